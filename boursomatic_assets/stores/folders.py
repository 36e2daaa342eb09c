"""Folders: a path that is read from a table, or put together from names, stays below its folder.

What belongs here: finding the path of a name, and refusing one that leads elsewhere. Kept elsewhere: what is
written and read there (`folder_store.py`, `backups/`).
"""

from pathlib import Path, PurePath


class OutsideError(OSError):
    """A path leaves its folder: by its name, or by a link on its way."""


def inside(folder: Path, name: str) -> Path:
    """Return the path of a name below a folder, whether or not it exists; the folder itself may be a link.

    Raises:
        OutsideError: The name is absolute, empty, holds `..` or NUL, or a link on the way leaves the folder.
    """
    parts = PurePath(name)
    path = folder / name
    plain = name and "\0" not in name and not parts.is_absolute() and ".." not in parts.parts
    if not plain or not path.resolve().is_relative_to(folder.resolve()):
        raise OutsideError(f"{name!r} leads out of {folder}: remove the link, or correct the name")
    return path
