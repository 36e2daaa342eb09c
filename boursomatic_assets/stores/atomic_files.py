"""Files that are there as a whole or not at all, after any crash.

What belongs here: writing one. Kept elsewhere: what is written, and where (`learning/model_files.py`,
`archived.py`).

A file is written beside its place, as `.saving-...`, and then renamed. Whoever is killed in between leaves that
behind; the next one that writes into the folder removes it. Nobody reads such a file: it may be deleted by hand.
"""

import os
import tempfile
import time
from pathlib import Path

TEMPORARY_PREFIX = ".saving-"

ABANDONED_SECONDS = 60 * 60
"""After an hour nobody is still writing a file, which takes seconds."""


def write(path: Path, content: bytes) -> None:
    """Write a file, in a folder that is there, so that it and its name outlive a loss of power."""
    _remove_abandoned(path.parent)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _remove_abandoned(folder: Path) -> None:
    """Remove what was left behind by those that were killed while they wrote; two at once may."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()
        except FileNotFoundError:  # another one was quicker to remove it
            continue


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
