"""Streams: files of any size, written and read piece by piece, with their SHA-256.

What belongs here: copying bytes into a file that is whole or not there. Kept elsewhere: what a killed process
leaves of one (`atomic_files.py`), what the files hold (`backups/`).
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boursomatic_assets.stores.atomic_files import TEMPORARY_PREFIX, remove_abandoned, sync_folder

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Content:
    """What a file holds: how many bytes, and their SHA-256."""

    size: int
    sha256: str


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, piece by piece; a link is not followed.

    Raises:
        OSError: It cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def save(folder: Path, pieces: Iterable[bytes], name: str = "", mode: int = 0o600) -> Content:
    """Write a file durably into an existing folder, under a name or under its SHA-256; a crash leaves no half one.

    Raises:
        OSError: It cannot be written, as on a full disk; nothing is left of it.
    """
    digest, size = hashlib.sha256(), 0
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=TEMPORARY_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(folder / (name or digest.hexdigest()))
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return Content(size, digest.hexdigest())


def write(path: Path, content: bytes) -> None:
    """Write a small file durably into an existing folder, for all to read."""
    remove_abandoned(path.parent)
    save(path.parent, [content], path.name, 0o644)
