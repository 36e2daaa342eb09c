"""One file of bars: its bytes, unpacked where they are packed.

What belongs here: compression, told by a file's first bytes. Kept elsewhere: what the bytes mean (`cells.py`).
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from boursomatic_assets.sources import SourceError

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What unpacking a damaged, cut or encrypted archive raises."""


@dataclass(frozen=True)
class File:
    """One file of bars, or one member of an archive; equal as long as the file is not changed."""

    name: str
    path: Path
    size: int
    changed: int
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


def unpacked(file: File) -> Iterator[File]:
    """The file; of an archive, its members, each by itself. A damaged one is left as it is, and not understood."""
    with file.path.open("rb") as opened:
        start = opened.read(4)
    try:
        if start.startswith(GZIP):
            with gzip.open(file.path) as packed:
                yield replace(file, content=packed.read())
        elif start == ZIP:
            with zipfile.ZipFile(file.path) as archive:
                for member in (info.filename for info in archive.infolist() if not info.is_dir()):
                    yield replace(file, name=f"{file.name}/{member}", content=archive.read(member))
        else:
            yield file
    except DAMAGED as error:
        yield replace(file, damage=str(error))
