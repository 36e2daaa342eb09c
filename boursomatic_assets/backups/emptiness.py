"""Emptiness: a backup is restored into a place that holds nothing, or a part of the same set.

What belongs here: what a place holds already, and the mark of a place that is being restored. Kept elsewhere: what
is written there (`restoring.py`).

The mark is a file in the home, from before the first byte until all is done. So a restore that was killed is known
as such, by `boursomatic doctor` and by commands that would start a run, and the same command ends it.
"""

import json
from pathlib import Path

from boursomatic_assets import settings
from boursomatic_assets.backups import BackupError, places
from boursomatic_assets.database import create_databases, dumps
from boursomatic_assets.stores import atomic_files

NAMED = 3
"""How many of the files, or tables, that are in the way are named."""


def require_empty() -> None:
    """Require that neither the folders nor the databases of the platform hold anything; makes empty databases.

    Raises:
        BackupError: They do; the message names it.
    """
    files = [
        str(root / path)
        for place, root in places.folders().items()
        for path in places.paths(place)
        if not places.is_own_link(place, path)
    ]
    if files:
        raise BackupError(
            f"{settings.home()} is not empty, it has {_some(files)}: restore into an empty place, such as a"
            " BOURSOMATIC_HOME that is not there yet"
        )
    create_databases()
    for url in places.urls().values():
        if tables := list(dumps.row_counts(url)):
            raise BackupError(
                f"the database {url.database} is not empty, it has the tables {_some(tables)}: restore into an"
                " empty one, or with the embedded server into a BOURSOMATIC_HOME that is not there yet"
            )


def require_none_unfinished() -> None:
    """Require that the home is not one that is being restored.

    Raises:
        BackupError: It is.
    """
    if mark := read_mark():
        raise BackupError(
            f"a restore into {settings.home()} is not done: run `boursomatic restore {mark['folder']} --set"
            f" {mark['set']}` again, or remove the home"
        )


def read_mark() -> dict[str, str] | None:
    """What the mark says: `folder`, `set`, the manifest's `sha256`, and the databases that are `done`."""
    try:
        found: dict[str, str] = json.loads(_path().read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise BackupError(f"{_path()} is damaged: remove it with all else in {settings.home()}") from None
    return found


def write_mark(mark: dict[str, str]) -> None:
    """Keep the mark; a reader sees it whole."""
    atomic_files.write(_path(), json.dumps(mark).encode())


def remove_mark() -> None:
    """The place is whole."""
    _path().unlink()
    atomic_files.sync_folder(_path().parent)


def _path() -> Path:
    return settings.home() / places.UNFINISHED


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
