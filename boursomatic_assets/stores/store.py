"""A store: named objects outside the database, in a folder or in a bucket.

What belongs here: what every kind of store does, and what it promises: an object is whole or not there; one whose
name holds its SHA-256 is written once, and read only as it was written.
Kept elsewhere: the kinds (`folder_store.py`, `bucket_store.py`), which one the settings name (`places.py`).
"""

import hashlib
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from boursomatic_assets import absorbed
from boursomatic_assets.stores.streams import Content


class StoreError(OSError):
    """A store cannot do what it is asked for. The message is one line: where, why, and what to do."""


class AwayError(StoreError):
    """A store does not answer; it is waited for."""


class MissingError(StoreError):
    """There is no object of this name."""


class DamagedError(StoreError):
    """An object is not what its name says."""


@dataclass(frozen=True)
class Entry:
    """An object of a store.

    Attributes:
        name: Its name, with slashes.
        size: In bytes.
    """

    name: str
    size: int


class Store(ABC):
    """Named objects."""

    def __init__(self, address: str) -> None:
        """Name it: a folder, or s3://bucket/prefix; no address holds a secret."""
        self.address = address

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write an object that is not there yet; return False, and change nothing, if there is one."""

    @abstractmethod
    def save(self, below: str, pieces: Iterable[bytes], name: str = "") -> Content:
        """Write an object of any size, or replace it, under a name or under its SHA-256; `below` ends with /."""

    @abstractmethod
    def get(self, name: str) -> bytes:
        """The content of an object, unproven.

        Raises:
            MissingError: There is none.
        """

    @abstractmethod
    def pieces(self, name: str) -> Iterator[bytes]:
        """The content of an object of any size, unproven, piece by piece.

        Raises:
            MissingError: There is none.
        """

    @abstractmethod
    def entries(self, below: str = "") -> Iterator[Entry]:
        """The objects whose names begin with a folder's, sorted; `below` is empty or ends with /."""

    @abstractmethod
    def find(self, name: str) -> Entry | None:
        """The object of a name, if it is there."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete an object, whether or not it is there."""

    @abstractmethod
    def locked(self, purpose: str) -> AbstractContextManager["Lock"]:
        """Let nobody else hold this store's lock meanwhile; a holder that was killed holds it no longer.

        Raises:
            StoreError: Another process holds it.
        """

    def write_once(self, name: str, content: bytes) -> None:
        """Write an object whose name holds its SHA-256; one that is there stays, unless it is damaged.

        Raises:
            ValueError: The name does not hold the content's SHA-256.
        """
        if digest_in(name) != (found := sha256(content)):
            raise ValueError(f"{name} does not hold {found}, the SHA-256 of its content")
        if self.create(name, content):
            return
        try:
            self.read(name)
        except (DamagedError, MissingError) as error:
            absorbed.record(error, f"{name} is written again")
            self.replace(name, content)

    def replace(self, name: str, content: bytes) -> None:
        """Write a small object, or replace it."""
        folder, _, last = name.rpartition("/")
        self.save(f"{folder}/" if folder else "", [content], last)

    def read(self, name: str) -> bytes:
        """The content of an object whose name holds its SHA-256.

        Raises:
            MissingError: There is none.
            DamagedError: It is cut off, or was changed.
        """
        content = self.get(name)
        if digest_in(name) != (found := sha256(content)):
            raise DamagedError(f"{self.shown(name)} is damaged, its SHA-256 is {found}")
        return content

    def content(self, name: str) -> Content:
        """What an object holds.

        Raises:
            MissingError: There is none.
        """
        digest, size = hashlib.sha256(), 0
        for piece in self.pieces(name):
            digest.update(piece)
            size += len(piece)
        return Content(size, digest.hexdigest())

    def claimed(self, name: str) -> Content:
        """What an object holds, by its name where the service proves what it keeps.

        Raises:
            MissingError: There is none.
        """
        return self.content(name)

    def holds(self, name: str, wanted: Content) -> bool:
        """Whether an object of this content is there."""
        found = self.find(name)
        return found is not None and found.size == wanted.size and self.content(name) == wanted

    def clear(self, below: str) -> None:
        """Delete all objects below a folder, which ends with /."""
        for entry in [*self.entries(below)]:
            self.delete(entry.name)

    @abstractmethod
    def remove_unfinished(self) -> None:
        """Remove what writers that were killed have left behind; nobody may write meanwhile."""

    @contextmanager
    def as_file(self, name: str) -> Iterator[Path]:
        """An object as a file, for programs that read nothing else.

        Raises:
            MissingError: There is none.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(name).name)
            with path.open("wb") as file:
                file.writelines(self.pieces(name))
            yield path

    def shown(self, name: str) -> str:
        """An object as messages name it."""
        return f"{self.address}/{name}"

    def missing(self, name: str) -> MissingError:
        """The error of an object that is not there."""
        return MissingError(f"{self.shown(name)} is missing")


class Lock:
    """The lock of a store, held."""

    def require(self) -> None:
        """Require that it is still held.

        Raises:
            StoreError: It was taken over meanwhile.
        """


def sha256(content: bytes) -> str:
    """The SHA-256 of a content, as 64 digits."""
    return hashlib.sha256(content).hexdigest()


def digest_in(name: str) -> str | None:
    """The SHA-256 that a name holds, before the ending of its last part; None if it holds none."""
    found = re.fullmatch(r"([0-9a-f]{64})(\.[a-z]+)?", PurePosixPath(name).name)
    return found[1] if found else None
