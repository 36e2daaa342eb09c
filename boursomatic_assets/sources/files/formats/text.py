"""Texts: the lines of a file, and the cells of each, with no line lost.

What belongs here: ends of lines, quotation marks, cells of several lines.
Kept elsewhere: how letters are written (`contents.py`), what cells mean (`layouts.py`, `cells.py`).

A quotation mark encloses a cell if it opens and closes one; any other one is a letter. A cell that never closes
ends with its line.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.formats import bounds
from boursomatic_assets.sources.files.formats.contents import File, encoding_of

MOST_LINES = 200
"""Lines of one cell; a quotation mark that closes later than that does not belong to the one that opened it."""

_OPEN = "unexpected end of data"
"""What the reader says of a record whose last quotation mark has no other one."""

Record = tuple[int, list[str]]
"""The number of a record's first line, from 1, and its cells."""


@dataclass(frozen=True)
class Text:
    """A text.

    Attributes:
        content: in UTF-8, each line ended by a line feed alone.
        encoding: in which it was written.
        lines: how many there are.
    """

    content: bytes
    encoding: str
    lines: int

    def head(self, lines: int) -> list[str]:
        """The first lines."""
        return self.content[:1_000_000].decode("utf-8", "replace").split("\n")[:lines]


@lru_cache(maxsize=1)
def read_text(file: File) -> Text:
    """A file as text.

    Raises:
        SourceError: it is none, or has too many or too long cells.
    """
    content = file.read()
    encoding = encoding_of(content)
    try:
        if encoding != "utf-8":
            content = content.decode(encoding, "strict" if encoding == "utf-16" else "replace").encode()
    except UnicodeError:
        raise SourceError(f"{file.name}: cannot be unpacked: its last letter is cut, as by a download") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        raise SourceError(
            f"{file.name}: neither text, Parquet, Arrow nor a workbook: wanted bars in one of these forms"
        )
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    bounds.require_text(content, file.name)
    return Text(content, encoding, content.count(b"\n") + (not content.endswith(b"\n") and content != b""))


def is_plain(text: Text, separator: str) -> bool:
    """Whether each line is a record by itself whose quotation marks all enclose cells."""
    if b'"' not in text.content:
        return True
    between = re.escape(separator)
    cell = rf'(?:[^"{between}]*|"(?:[^"]|"")*")'
    lines = pl.Series(text.content.decode("utf-8", "replace").split("\n"))
    return bool(lines.str.contains(rf"^{cell}(?:{between}{cell})*$").all())


def separators_by_line(text: Text, separator: str) -> pl.Series:
    """How many separators each line has, of a text without quotation marks."""
    lines = pl.Series(text.content.decode("utf-8", "replace").removesuffix("\n").split("\n"))
    return lines.str.count_matches(separator, literal=True)


def split_records(lines: Sequence[str], separator: str, width: int | None = None) -> Iterator[Record]:
    """The records of some lines; blank lines are records without cells.

    Args:
        lines: without their ends.
        separator: between cells.
        width: cells of a record that goes over several lines; None: none does.
    """
    number = 0
    while number < len(lines):
        line = lines[number]
        first, number = number, number + 1
        cells = _split(line, separator)
        if cells is None and width and (longer := _over_lines(lines, first, separator, width)):
            cells, number = longer
        yield first + 1, line.split(separator) if cells is None else cells


def _split(record: str, separator: str) -> list[str] | None:
    """The cells of a record; None if its quotation marks do not enclose cells."""
    if '"' not in record:
        return record.split(separator)
    try:
        return _parse(record, separator)
    except csv.Error:  # they are letters, or the record goes on
        return None


def _parse(record: str, separator: str) -> list[str] | None:
    read = list(csv.reader([record], delimiter=separator, strict=True))
    return read[0] if len(read) == 1 else None


def _over_lines(lines: Sequence[str], first: int, separator: str, width: int) -> tuple[list[str], int] | None:
    """The cells of a record that goes over several lines and where it ends; None if there is none.

    A cell that holds a whole line of cells is none: two quotation marks stand by themselves there.
    """
    for end in range(first + 2, min(first + 1 + MOST_LINES, len(lines)) + 1):
        if '"' not in lines[end - 1]:
            continue
        try:
            cells = _parse("\n".join(lines[first:end]), separator)
        except csv.Error as error:
            if str(error) == _OPEN:
                continue
            return None
        below = [line for cell in cells or () for line in cell.split("\n")[1:]]
        whole = any(line.count(separator) >= width - 1 for line in below)
        return (cells, end) if cells and len(cells) == width and not whole else None
    return None
