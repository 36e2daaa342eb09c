"""The folder of backups: sets, and the files that they share.

What belongs here: its layout, which sets are whole, what no set needs any more. It is a folder of a disk, or of a
bucket. Below it::

    .boursomatic-backups     says that the folder is one of backups: no other is written into
    sets/20260601T193000Z/   one set: manifest.json, and a dump of each database
    files/                   each file of the platform under its SHA-256, once for all sets

A set without a manifest is none: whoever made it was killed, or goes on. The next backup removes it.
Kept elsewhere: what a set holds (`manifest.py`), how it is made (`making.py`) and restored (`restoring.py`), how
objects are kept (`stores/`).
"""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boursomatic_assets.backups import BackupError, manifest
from boursomatic_assets.backups.manifest import CopiedFile, Manifest
from boursomatic_assets.stores.places import open_store
from boursomatic_assets.stores.store import Lock
from boursomatic_assets.stores.streams import Content

SUFFIX = ".dump"

MARK = ".boursomatic-backups"
"""The file by which a folder of backups is known."""

SETS, FILES = "sets/", "files/"

SET = re.compile(r"\d{8}T\d{6}Z(?:-(\d{6}))?")
CONTENT = re.compile(r"files/[0-9a-f]{64}")
"""The names of sets and of files; nothing of another name is ever removed."""


class BackupFolder:
    """A folder of backups, closed to other users of this machine."""

    def __init__(self, address: str | Path) -> None:
        """Name it, as a path or as s3://bucket/prefix."""
        self.store = open_store(str(address), private=True)
        self.address = self.store.address

    def names(self) -> list[str]:
        """The sets that are whole, the oldest first."""
        return sorted(name for name, is_whole in self._sets().items() if is_whole)

    def choose(self, name: str | None) -> str:
        """A set of this name, or the newest.

        Raises:
            BackupError: There is none.
        """
        names = self.names()
        if not names:
            raise BackupError(
                f"{self.address} holds no whole backup: name the folder that `boursomatic backup` was given"
            )
        if name and name not in names:
            raise BackupError(f"{self.address} holds no whole set {name}: it has {', '.join(names)}")
        return name or names[-1]

    def manifest_of(self, name: str) -> Manifest:
        """What a set holds.

        Raises:
            BackupError: Its manifest is not as it was written.
        """
        path = f"{SETS}{name}/{manifest.NAME}"
        return manifest.read(self.store.get(path), self.store.shown(path))

    def finish(self, name: str, held: Manifest) -> None:
        """Write the manifest of a set: from now on it counts."""
        self.store.replace(f"{SETS}{name}/{manifest.NAME}", held.to_text().encode())

    def dump(self, name: str, database: str) -> str:
        """Where a set keeps the dump of a database."""
        return f"{SETS}{name}/{database}{SUFFIX}"

    def file(self, one: CopiedFile) -> str:
        """Where the content of a file lies."""
        return f"{FILES}{one.content.sha256}"

    def holds(self, wanted: Content) -> bool:
        """Whether a file of this content is there."""
        return self.store.holds(f"{FILES}{wanted.sha256}", wanted)

    def differing(self, name: str, found: Manifest) -> Iterator[str]:
        """The parts of a set that are missing or not as they were written, by their names on the platform."""
        parts = [
            (f"{database}{SUFFIX}", self.dump(name, database), one.content)
            for database, one in found.databases.items()
        ]
        parts += [(str(one), self.file(one), one.content) for one in found.files]
        for shown, path, wanted in parts:
            if self.store.find(path) is None:
                yield f"{shown} ({self.store.shown(path)}) is missing"
            elif self.store.content(path) != wanted:
                yield f"{shown} ({self.store.shown(path)}) differs from its digest"

    @contextmanager
    def locked(self) -> Iterator[Lock]:
        """Make the folder, for the current user alone, and let nobody else write into it meanwhile.

        Raises:
            BackupError: The folder holds something else.
            StoreError: Another process writes there.
        """
        if self.store.find(MARK) is None:
            if found := next(self.store.entries(), None):
                first = found.name.partition("/")[0]
                raise BackupError(f"{self.address} holds {first} and no backups: name an empty or a new folder")
            self.store.create(MARK, b"")
        with self.store.locked("another backup into") as lock:
            yield lock

    def new_set(self, moment: dt.datetime) -> str:
        """The name of a new set: the moment, later than all others."""
        name = f"{moment:%Y%m%dT%H%M%SZ}"
        newest = next(reversed(self.names()), "")
        if name <= newest:  # of the same second, or a clock went back
            moment_of_newest, _, suffix = newest.partition("-")
            name = f"{moment_of_newest}-{int(suffix or 0) + 1:06}"
        return name

    def remove_unfinished(self) -> None:
        """Remove what backups that were killed have left behind; nobody else may write meanwhile."""
        self.store.remove_unfinished()
        for name, is_whole in self._sets().items():
            if not is_whole:
                self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a set. Its manifest goes first, so that a set of which a part is removed is none."""
        self.store.delete(f"{SETS}{name}/{manifest.NAME}")
        self.store.clear(f"{SETS}{name}/")

    def keep(self, count: int, lock: Lock) -> list[str]:
        """Remove all but the newest sets, then the files that none of them has; the names of those removed.

        Raises:
            StoreError: The lock was lost, so another backup may need what is left.
        """
        names = self.names()
        removed, kept = names[:-count], names[-count:]
        needed = {self.file(one) for name in kept for one in self.manifest_of(name).files}
        for name in removed:
            self.remove(name)
        for entry in [*self.store.entries(FILES)]:
            if CONTENT.fullmatch(entry.name) and entry.name not in needed:
                lock.require()
                self.store.delete(entry.name)
        return removed

    def _sets(self) -> dict[str, bool]:
        """The sets of which something is there, and whether they are whole."""
        found = dict[str, bool]()
        for entry in self.store.entries(SETS):
            name, _, part = entry.name.removeprefix(SETS).partition("/")
            if SET.fullmatch(name):
                found[name] = found.get(name, False) or part == manifest.NAME
        return found
