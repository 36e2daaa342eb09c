"""The mark: a home that is being restored says so, from before the first byte until all is done.

What belongs here: the file in the home. By it a restore that was killed is known as such, to `boursomatic doctor`
and to commands that would start a run, and the same command ends it. Kept elsewhere: what is restored when
(`restoring.py`).
"""

import json
from pathlib import Path

from boursomatic_assets import settings
from boursomatic_assets.backups import BackupError
from boursomatic_assets.stores import atomic_files, streams

NAME = ".restoring"


def require_none() -> None:
    """Require that the home is not one that is being restored.

    Raises:
        BackupError: It is.
    """
    if found := read():
        raise BackupError(
            f"a restore into {settings.home()} is not done: run `boursomatic restore {found['folder']} --set"
            f" {found['set']}` again, or remove the home"
        )


def read() -> dict[str, str] | None:
    """What the mark says: `folder`, `set`, the manifest's `sha256`, and the databases that are `done`."""
    try:
        found: dict[str, str] = json.loads(_path().read_text())
    except FileNotFoundError:  # nothing is being restored
        return None
    except ValueError:
        raise BackupError(f"{_path()} is damaged: remove it with all else in {settings.home()}") from None
    return found


def write(said: dict[str, str]) -> None:
    """Keep the mark; a reader sees it whole."""
    streams.write(_path(), json.dumps(said).encode())


def remove() -> None:
    """The place is whole."""
    _path().unlink()
    atomic_files.sync_folder(_path().parent)


def _path() -> Path:
    return settings.home() / NAME
