"""Contents: the bytes of one file of bars, unpacked where they are packed, text of two bytes a letter as UTF-8.

What belongs here: compression and UTF-16, known by a file's first bytes.
Kept elsewhere: what the bytes mean (`scan.py`, `cells.py`).
"""

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePath

from boursomatic_assets.sources import SourceError

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeError)
"""What unpacking a damaged, cut or encrypted archive, or text that is cut, raises."""


@dataclass(frozen=True)
class File:
    """One file of bars, or one member of an archive; equal as long as the file is not changed."""

    name: str
    path: Path
    size: int
    modified_ns: int
    damage: str = ""
    content: bytes | None = field(default=None, compare=False)

    @property
    def source(self) -> Path | io.BytesIO:
        """Where its bytes are."""
        return self.path if self.content is None else io.BytesIO(self.content)

    @property
    def head(self) -> bytes:
        """Its first bytes: of text, three lines.

        Raises:
            SourceError: it is an archive that cannot be unpacked.
        """
        if self.damage:
            raise SourceError(f"{self.name}: cannot be unpacked: {self.damage}")
        with io.BytesIO(self.content) if self.content is not None else self.path.open("rb") as opened:
            return b"".join(islice(opened, 3))


def is_user_file(path: PurePath) -> bool:
    """Whether a file is the user's own: no hidden one, and none that a Mac puts into archives."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def unpack(file: File) -> Iterator[File]:
    """The file; of an archive, its members, each by itself. A damaged one raises where it is read."""
    with file.path.open("rb") as opened:
        start = opened.read(4)
    try:
        if start.startswith(GZIP):
            with gzip.open(file.path) as packed:
                yield replace(file, content=_to_utf_8(packed.read()))
        elif start == ZIP:
            with zipfile.ZipFile(file.path) as archive:
                members = [info.filename for info in archive.infolist() if not info.is_dir()]
                for member in filter(lambda name: is_user_file(PurePath(name)), members):
                    yield replace(file, name=f"{file.name}/{member}", content=_to_utf_8(archive.read(member)))
        else:
            yield replace(file, content=_to_utf_8(file.path.read_bytes())) if start.startswith(UTF_16) else file
    except DAMAGED as error:  # raised by whoever reads the file
        yield replace(file, damage=str(error))


def _to_utf_8(content: bytes) -> bytes:
    """Text that spreadsheets save with two bytes a letter, as UTF-8; anything else as it is.

    Raises:
        UnicodeError: it is cut within a letter.
    """
    return content.decode("utf-16").encode() if content.startswith(UTF_16) else content


def decode(head: bytes) -> str:
    """The first lines of a text: UTF-8, or what Windows writes in western Europe."""
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError:  # every byte is a character in this one; the cells are validated like others
        return head.decode("cp1252", "replace")
