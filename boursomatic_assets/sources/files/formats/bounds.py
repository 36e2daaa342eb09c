"""Bounds: how large what is delivered may become, so that a small file cannot fill the memory.

What belongs here: the bounds, reading a packed stream within them, and the error of a file that goes beyond one.
Kept elsewhere: which files are packed (`contents.py`), what is in them.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from typing import IO

from boursomatic_assets.sources import SourceError

MOST_MEMBERS = 10_000
"""Members of an archive."""

MOST_BYTES = 1 << 29
"""Bytes of a packed file, or of a member, when it is unpacked: ten years of 15m bars of 150 shares."""

MOST_RATIO, SMALL_BYTES = 250, 1 << 24
"""How many bytes one packed byte may become, of what is not small anyway; prices become 3 to 30."""

MOST_COLUMNS = 10_000
"""Columns of a file: six prices of 1,600 symbols beside each other."""

LONGEST_CELL = 10_000
"""Bytes of a cell of text."""

MOST_SHEET_CELLS = 20_000_000
"""Cells of the rectangle that a sheet of a workbook fills, empty ones too: each takes memory."""

MOST_TYPED_CELLS = 1_000_000_000
"""Rows times columns of a Parquet file, of which a few bytes may say that a value is repeated without end."""

_CHUNK = 1 << 20
_REFERENCE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')


def unpack(packed: IO[bytes], packed_bytes: int, name: str) -> bytes:
    """The bytes of a stream that unpacks itself, read piece by piece.

    Args:
        packed: the stream.
        packed_bytes: how many bytes it is made of.
        name: of the file.

    Raises:
        SourceError: it becomes too large.
    """
    most = min(MOST_BYTES, max(SMALL_BYTES, MOST_RATIO * packed_bytes))
    unpacked = io.BytesIO()
    while piece := packed.read(_CHUNK):
        unpacked.write(piece)
        if unpacked.tell() > most:
            raise _too_large(name, packed_bytes)
    return unpacked.getvalue()


def require_archive(archive: zipfile.ZipFile, packed_bytes: int, name: str) -> None:
    """Check what a zip says of its members: how many there are, and how large they are together.

    Raises:
        SourceError: they are too many, or too large; members that lie over each other are found so, too.
    """
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise SourceError(f"{name}: holds {len(members):,} members: pack {MOST_MEMBERS:,} at most into an archive")
    total = sum(member.file_size for member in members)
    if total > max(SMALL_BYTES, MOST_RATIO * packed_bytes):
        raise _too_large(name, packed_bytes)


def require_workbook(content: bytes, name: str) -> None:
    """Check a workbook that is a zip, before a reader unpacks all of it into memory.

    Raises:
        SourceError: it becomes too large, or a sheet has a cell so far away that it fills too many.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        require_archive(book, len(content), name)
        for member in book.infolist():
            with book.open(member) as packed:
                part = unpack(packed, len(content), name)
            if re.fullmatch(r"/?xl/worksheets/.*\.xml", member.filename, re.IGNORECASE):
                _require_sheet(part, name)


def require_text(content: bytes, name: str) -> None:
    """Check the cells of a text by its lines, and how many there are in its first ones.

    Raises:
        SourceError: they are too many, or one is too long; the message names its line.
    """
    begin = 0
    while len(content) - begin > LONGEST_CELL:
        end = content.rfind(b"\n", begin, begin + LONGEST_CELL + 1)  # lines before it are short, all of them
        if end < 0:
            end = content.find(b"\n", begin) % (len(content) + 1)  # -1 becomes the end
            _require_line(content, begin, end, name)
        begin = end + 1


def _require_line(content: bytes, begin: int, end: int, name: str) -> None:
    cells = re.split(rb"[,;\t|]", content[begin:end])
    require_columns(len(cells), name)
    if (longest := max(map(len, cells))) > LONGEST_CELL:
        line = content.count(b"\n", 0, begin) + 1
        raise SourceError(f"{name}: a cell of line {line} has {longest:,} bytes: wanted {LONGEST_CELL:,} at most")


def require_columns(columns: int, name: str) -> None:
    """Check how many columns there are.

    Raises:
        SourceError: they are too many.
    """
    if columns > MOST_COLUMNS:
        raise SourceError(f"{name}: has {columns:,} columns: wanted {MOST_COLUMNS:,} at most, so split it")


def require_cells(cells: Sequence[str], line: int, name: str) -> None:
    """Check the cells of a record of a workbook or JSON.

    Raises:
        SourceError: they are too many, or one is too long.
    """
    require_columns(len(cells), name)
    if (longest := max(map(len, cells), default=0)) > LONGEST_CELL:
        raise SourceError(f"{name}: a cell of row {line} has {longest:,} letters: wanted {LONGEST_CELL:,} at most")


def require_typed(rows: int, columns: int, name: str) -> None:
    """Check the rows and columns that a typed file says it has.

    Raises:
        SourceError: they are too many.
    """
    require_columns(columns, name)
    if rows * columns > MOST_TYPED_CELLS:
        raise SourceError(f"{name}: says that it has {rows:,} rows of {columns:,} columns: split it")


def _require_sheet(sheet: bytes, name: str) -> None:
    found = set(_REFERENCE.findall(sheet))
    rows = max((int(row) for _, row in found), default=0)
    columns = max((_column_number(letters) for letters, _ in found), default=0)
    if rows * columns > MOST_SHEET_CELLS:
        raise SourceError(
            f"{name}: a sheet has cells as far as row {rows:,} and column {columns:,}: save it as CSV"
        )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _too_large(name: str, packed_bytes: int) -> SourceError:
    return SourceError(
        f"{name}: its {packed_bytes:,} bytes become more than {MOST_BYTES >> 20} MiB or {MOST_RATIO} times as"
        " many: unpack it, and split it"
    )
