"""The folder of backups: sets, and the files that they share.

What belongs here: its layout, which sets are whole, what no set needs any more. Below the folder::

    .boursomatic-backups     says that the folder is one of backups: no other is written into
    sets/20260601T193000Z/   one set: manifest.json, and a dump of each database
    files/                   each file of the platform under its SHA-256, once for all sets

A set without a manifest is none: whoever made it was killed, or goes on. The next backup removes it.
Kept elsewhere: what a set holds (`manifest.py`), how it is made (`making.py`) and restored (`restoring.py`).
"""

import datetime as dt
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boursomatic_assets.backups import BackupError, manifest
from boursomatic_assets.backups.manifest import CopiedFile, Manifest
from boursomatic_assets.stores.atomic_files import TEMPORARY_PREFIX, sync_folder
from boursomatic_assets.stores.streams import Content, content

SUFFIX = ".dump"

MARK = ".boursomatic-backups"
"""The file by which a folder of backups is known."""

SET = re.compile(r"\d{8}T\d{6}Z(?:-(\d{6}))?")
CONTENT = re.compile(r"[0-9a-f]{64}")
"""The names of sets and of files; nothing of another name is ever removed."""


class BackupFolder:
    """A folder of backups."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.expanduser().absolute()
        self.sets, self.files = self.path / "sets", self.path / "files"

    def names(self) -> list[str]:
        """The sets that are whole, the oldest first."""
        names = (path.parent.name for path in self.sets.glob(f"*/{manifest.NAME}"))
        return sorted(filter(SET.fullmatch, names))

    def choose(self, name: str | None) -> str:
        """A set of this name, or the newest.

        Raises:
            BackupError: There is none.
        """
        names = self.names()
        if not names:
            raise BackupError(
                f"{self.path} holds no whole backup: name the folder that `boursomatic backup` was given"
            )
        if name and name not in names:
            raise BackupError(f"{self.path} holds no whole set {name}: it has {', '.join(names)}")
        return name or names[-1]

    def dump(self, name: str, database: str) -> Path:
        """Where a set keeps the dump of a database."""
        return self.sets / name / f"{database}{SUFFIX}"

    def file(self, one: CopiedFile) -> Path:
        """Where the content of a file lies."""
        return self.files / one.content.sha256

    def holds(self, wanted: Content) -> bool:
        """Whether a file of this content is there, intact."""
        path = self.files / wanted.sha256
        return path.is_file() and path.stat().st_size == wanted.size and content(path) == wanted

    def differing(self, name: str, found: Manifest) -> Iterator[str]:
        """The parts of a set that are missing or not as they were written, by their names on the platform."""
        parts = [
            (f"{database}{SUFFIX}", self.dump(name, database), one.content)
            for database, one in found.databases.items()
        ]
        parts += [(str(one), self.file(one), one.content) for one in found.files]
        for shown, path, wanted in parts:
            if not path.is_file():
                yield f"{shown} ({path}) is missing"
            elif content(path) != wanted:
                yield f"{shown} ({path}) differs from its digest"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, for the current user alone, and let nobody else write into it meanwhile.

        Raises:
            BackupError: Another process does, or the folder holds something else.
        """
        self._make()
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        """Make the folder, unless it is there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / MARK).exists():
            if found := next(self.path.iterdir(), None):
                raise BackupError(f"{self.path} holds {found.name} and no backups: name an empty or a new folder")
            (self.path / MARK).touch(mode=0o600)
        for folder in (self.sets, self.files):
            folder.mkdir(mode=0o700, exist_ok=True)

    def new_set(self, moment: dt.datetime) -> str:
        """Make the folder of a new set, and return its name: the moment, later than all others."""
        name = f"{moment:%Y%m%dT%H%M%SZ}"
        newest = next(reversed(self.names()), "")
        if name <= newest:  # of the same second, or a clock went back
            moment_of_newest, _, suffix = newest.partition("-")
            name = f"{moment_of_newest}-{int(suffix or 0) + 1:06}"
        (self.sets / name).mkdir(mode=0o700)
        return name

    def remove_unfinished(self) -> None:
        """Remove what backups that were killed have left behind; nobody else may write meanwhile."""
        for path in self.sets.iterdir():
            if SET.fullmatch(path.name) and not (path / manifest.NAME).exists():
                shutil.rmtree(path)
        for path in self.files.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink()

    def keep(self, count: int) -> list[str]:
        """Remove all but the newest sets, then the files that none of them has; the names of those removed.

        A manifest goes first, so that a set of which a part is removed is none.
        """
        names = self.names()
        removed, kept = names[:-count], names[-count:]
        needed = {one.content.sha256 for name in kept for one in manifest.read(self.sets / name).files}
        for name in removed:
            (self.sets / name / manifest.NAME).unlink()
            sync_folder(self.sets / name)
            shutil.rmtree(self.sets / name)
        for path in self.files.iterdir():
            if CONTENT.fullmatch(path.name) and path.name not in needed:
                path.unlink()
        return removed


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(f"another backup into {folder} goes on: wait for its end") from None
