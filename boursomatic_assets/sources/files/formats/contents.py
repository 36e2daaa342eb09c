"""Contents: the bytes of one file of bars, unpacked where they are packed.

What belongs here: compression and archives, known by a file's first bytes; letters of a text.
Kept elsewhere: which files there are (`folder.py`), what the bytes mean (`scan.py`).
"""

import bz2
import codecs
import gzip
import hashlib
import io
import logging
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import IO, cast

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.formats import bounds

ZIP = b"PK\x03\x04"
_UNPACKERS: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda packed: cast("IO[bytes]", gzip.GzipFile(fileobj=packed)),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
_SYSTEM_FOLDERS = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir")
_WORKBOOK_PARTS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)
"""What unpacking a damaged, cut or encrypted archive raises."""

DAMAGE = "it is damaged, cut short or encrypted: deliver it again"
"""What is said of such a file; what a library says of it, for programmers, goes to the log."""

_log = logging.getLogger(__name__)


def damaged(name: str, cannot: str, error: BaseException) -> SourceError:
    """The error of a file that cannot be read, or unpacked, as a library finds out."""
    _log.debug("%s cannot be %s: %s", name, cannot, error)
    return SourceError(f"{name}: cannot be {cannot}: {DAMAGE}")


@dataclass(frozen=True)
class File:
    """One file of bars, or one member of an archive; equal as long as the file is not changed.

    Attributes:
        name: from the folder of the source, the same in every message and table.
        path: where it is.
        size, modified_ns: of the file.
        member: the name within an archive.
        says: pairs of our field and its value that the folders above it say.
        problem: why it cannot be read, if that is known already.
    """

    name: str
    path: Path
    size: int = 0
    modified_ns: int = 0
    member: str | None = None
    says: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    def read(self) -> bytes:
        """All of its bytes.

        Raises:
            SourceError: it may not be opened, or cannot be unpacked.
        """
        if self.problem:
            raise SourceError(f"{self.name}: {self.problem}")
        return _read(self)


@lru_cache(maxsize=1)
def _read(file: File) -> bytes:
    """A file's bytes; the last one's are kept, as a file is read several times in a row."""
    try:
        with file.path.open("rb", buffering=0) as opened:  # a buffer would copy all of it once more
            return _unpacked(file, opened)
    except SourceError:
        raise
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno:
            raise SourceError(f"{file.name}: may not be opened: {error.strerror or error}") from None
        raise damaged(file.name, "unpacked", error) from None


def _unpacked(file: File, opened: IO[bytes]) -> bytes:
    """The bytes of a file, or of its member; what is packed again within it is unpacked too."""
    if file.member is None:
        start = opened.read(6)
        opened.seek(0)
        unpacker = _unpacker_of(start)
        return bounds.unpack(unpacker(opened), file.size, file.name) if unpacker else opened.read()
    with zipfile.ZipFile(opened) as archive, archive.open(file.member) as packed:
        content = bounds.unpack(packed, file.size, file.name)
    unpacker = _unpacker_of(content[:6])
    return bounds.unpack(unpacker(io.BytesIO(content)), len(content), file.name) if unpacker else content


def _unpacker_of(start: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    return next((unpacker for mark, unpacker in _UNPACKERS.items() if start.startswith(mark)), None)


def identify(name: str, digest: str) -> int:
    """The number of a file of this name and content, the same in every database: 64 bits of their SHA-256."""
    return int.from_bytes(hashlib.sha256(f"{name}\0{digest}".encode()).digest()[:8], "big", signed=True)


def members(file: File) -> Iterator[File]:
    """The file; of an archive, its members, each by itself. A damaged one raises where it is read."""
    try:
        with file.path.open("rb") as opened:
            if opened.read(4) != ZIP:
                yield file
                return
        with zipfile.ZipFile(file.path) as archive:
            bounds.require_archive(archive, file.size, file.name)
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except SourceError as error:
        yield replace(file, problem=str(error).removeprefix(f"{file.name}: "))
        return
    except DAMAGED as error:
        may_not = isinstance(error, PermissionError)
        yield replace(
            file, problem="may not be opened: Permission denied" if may_not else f"cannot be unpacked: {DAMAGE}"
        )
        return
    if any(part in names for part in _WORKBOOK_PARTS):
        yield file
        return
    for name in names:
        outside = PurePath(name).is_absolute() or ".." in re.split(r"[/\\]", name)
        problem = "its name leaves the archive: pack it anew" if outside else ""
        yield replace(file, name=f"{file.name}/{printable(name)}", member=name, problem=problem)


def is_hidden(path: PurePath) -> bool:
    """Whether a file is none of the user's own: a hidden one, a deleted one, or one of a system."""
    return any(re.match(r"\.(?!\.)", part) or part in _SYSTEM_FOLDERS for part in path.parts)


def printable(name: str) -> str:
    """A file's name with bytes that are no letter, and control characters, as escapes."""
    letters = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in letters
    )


def decode(content: bytes) -> str:
    """A text: UTF-8, UTF-16 with a mark, or what Windows writes in western Europe."""
    return content.decode(encoding_of(content), "replace").lstrip("\N{BOM}")


def encoding_of(content: bytes) -> str:
    """How the letters of a text are written."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content.isascii():
        return "utf-8"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:  # every byte is a character in this one; the cells are validated like others
        return "cp1252"
    return "utf-8"
