"""A store that is a folder: each object is a file, written durably.

What belongs here: how objects are kept as files. Kept elsewhere: writing one whole (`streams.py`,
`atomic_files.py`), names that lead out of the folder (`folders.py`).
"""

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boursomatic_assets.stores import atomic_files, folders, streams
from boursomatic_assets.stores.store import Entry, Lock, Store, StoreError
from boursomatic_assets.stores.streams import Content

ABSENT = (errno.ENOENT, errno.ENOTDIR)


class FolderStore(Store):
    """Objects as files below a folder, for all to read, or for the current user alone."""

    def __init__(self, folder: Path, *, private: bool = False) -> None:
        """Name it; it is made when something is written, and need not be there before."""
        super().__init__(str(folder))
        self.folder = folder
        self._file_mode, self._folder_mode = (0o600, 0o700) if private else (0o644, 0o755)

    def create(self, name: str, content: bytes) -> bool:
        """As `Store.create`; of two at once that write the same content both may be told that they did."""
        if self._path(name).exists():
            return False
        self.replace(name, content)
        return True

    def save(self, below: str, pieces: Iterable[bytes], name: str = "") -> Content:
        """As `Store.save`."""
        folder = self._path(below) if below else self.folder
        if name:
            self._path(f"{below}{name}")
        self.make_folder(folder)
        atomic_files.remove_abandoned(folder)
        return streams.save(folder, pieces, name, self._file_mode)

    def get(self, name: str) -> bytes:
        """As `Store.get`."""
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """As `Store.pieces`; a link is not followed."""
        try:
            yield from streams.chunks(self._path(name))
        except OSError as error:
            if error.errno in ABSENT:
                raise self.missing(name) from None
            if error.errno == errno.ELOOP:
                raise StoreError(f"{self.shown(name)} is a link: put the file itself there") from None
            raise

    def entries(self, below: str = "") -> Iterator[Entry]:
        """As `Store.entries`; links and files that are being written are none."""
        for path in sorted(self._walk(self.folder / below)):
            with suppress(FileNotFoundError):  # deleted meanwhile
                yield Entry(path.relative_to(self.folder).as_posix(), path.stat().st_size)

    def find(self, name: str) -> Entry | None:
        """As `Store.find`."""
        path = self._path(name)
        return Entry(name, path.stat().st_size) if path.is_file() else None

    def delete(self, name: str) -> None:
        """As `Store.delete`; folders that are empty then go too, but for the store's own."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            atomic_files.sync_folder(path.parent)
        for folder in path.parents:
            if folder == self.folder or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()

    def remove_unfinished(self) -> None:
        """As `Store.remove_unfinished`."""
        for path in self.folder.rglob(f"{atomic_files.TEMPORARY_PREFIX}*"):
            path.unlink()

    @contextmanager
    def as_file(self, name: str) -> Iterator[Path]:
        """As `Store.as_file`."""
        yield self._path(name)

    @contextmanager
    def locked(self, purpose: str) -> Iterator[Lock]:
        """As `Store.locked`; the system lets go of it when its holder ends."""
        self.make_folder(self.folder)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"{purpose} {self.address} goes on: wait for its end") from None
            yield Lock()
        finally:
            os.close(descriptor)

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, durably."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(self._folder_mode, exist_ok=True)
            atomic_files.sync_folder(one.parent)

    def _path(self, name: str) -> Path:
        return folders.inside(self.folder, name)

    def _walk(self, folder: Path) -> Iterator[Path]:
        for parent, _, names in os.walk(folder, onerror=_raise_unless_absent):
            for name in names:
                path = Path(parent, name)
                if not name.startswith(atomic_files.TEMPORARY_PREFIX) and not path.is_symlink():
                    yield path


def _raise_unless_absent(error: OSError) -> None:
    """Let a folder that cannot be read be an error: what it holds is not missing."""
    if error.errno not in ABSENT:
        raise error
