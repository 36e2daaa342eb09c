"""Atomic files: complete or absent after any crash.

What belongs here: the names of unfinished files, and what makes names durable. Kept elsewhere: writing one
(`streams.py`).

A file is written under a temporary name in its folder, `.saving-...`, and then renamed. A killed process leaves
the temporary file behind; a later write into the folder removes it. No such file is ever read: it may be deleted.
"""

import os
import time
from pathlib import Path

TEMPORARY_PREFIX = ".saving-"

ABANDONED_SECONDS = 60 * 60
"""The age from which a temporary file counts as abandoned; writing a file takes seconds."""


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files that killed processes left behind; several processes may do so at once."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()
        except FileNotFoundError:  # another process has removed it
            continue


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
