"""Records: the rows of workbooks and JSON as cells of text.

What belongs here: what such a file is made of, and its rows in its own notation.
Kept elsewhere: texts (`text.py`), Parquet and Arrow (`scan.py`), what cells mean (`files/layouts/`, `cells.py`).
"""

import datetime as dt
import io
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.formats import bounds
from boursomatic_assets.sources.files.formats.contents import DAMAGED, ZIP, File, decode
from boursomatic_assets.sources.files.formats.text import Record

_log = logging.getLogger(__name__)

OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_LISTS = ("data", "results", "bars", "prices", "historical", "values")
"""Keys below which services put a list of bars."""
_OF_ALL = ("symbol", "ticker", "exchange", "interval")
"""Keys beside that list that services write once for all bars."""


@dataclass(frozen=True)
class Records:
    """The records of a file.

    Attributes:
        kind: what the file is.
        rows: number and cells of each record, from 1; of JSON as the headers say.
        headers: the keys of JSON; None: they are among the rows.
        broken: numbers of the lines that are no record.
    """

    kind: str
    rows: list[Record]
    headers: tuple[str, ...] | None = None
    broken: tuple[int, ...] = ()


def is_workbook(content: bytes) -> bool:
    """Whether it is a workbook of a spreadsheet program; archives are unpacked before."""
    return content.startswith((ZIP, OLD_WORKBOOK))


def is_json(content: bytes) -> bool:
    """Whether it is JSON, or a line of it; `[Data]` is not."""
    return bool(re.match(rb"(\xef\xbb\xbf)?\s*(\{\s*[\"}]|\[\s*[\[{\]])", content[:1024]))


def read_workbook(file: File) -> Records:
    """The rows of the one sheet that has any.

    Raises:
        SourceError: it cannot be read, or bars may be in several sheets.
    """
    content = file.read()
    try:
        if content.startswith(ZIP):
            bounds.require_workbook(content, file.name)
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except SourceError:
        raise
    except (CalamineError, *DAMAGED) as error:
        _log.debug("%s cannot be read: %s", file.name, error)
        raise SourceError(f"{file.name}: a workbook, or an archive, that cannot be read: save it as CSV") from None
    filled = {name: rows for name, rows in sheets.items() if any(cell != "" for row in rows for cell in row)}
    if len(filled) != 1:
        found = f"has {len(filled)} sheets with cells" if filled else "has no cell"
        raise SourceError(
            f"{file.name}: a workbook that {found}: save the sheet with bars as a CSV file of its own"
        )
    rows = next(iter(filled.values()))
    return Records(
        "workbook", [(number, list(map(_cell_as_text, row))) for number, row in enumerate(rows, start=1)]
    )


def _cell_as_text(cell: object) -> str:
    """A cell of a workbook as a spreadsheet shows it, with all digits of a number."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, dt.date | dt.time) else str(cell)


def read_json(file: File) -> Records:
    """The objects of JSON lines, or of one list.

    Raises:
        SourceError: it is no list of objects.
    """
    text = decode(file.read())
    listed = _one_document(text)
    if listed is None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
        objects = list(map(_object_of_line, lines))
        if not any(objects):
            raise SourceError(
                f"{file.name}: JSON that is cut or broken: write a list of bars, or one object a line"
            )
        return _as_records("JSON lines", objects)
    if isinstance(listed, dict):
        listed = _listed_below(listed)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise SourceError(
            f"{file.name}: JSON that is no list of objects: write a list of bars, or one object a line"
        )
    return _as_records("JSON", listed)


def _listed_below(answer: dict[str, Any]) -> Any:
    """The list of bars in an answer of a service, each with what the answer says of all: whose bars they are."""
    bars = next((answer[key] for key in _LISTS if isinstance(answer.get(key), list)), None)
    if bars is None or not all(isinstance(one, dict) for one in bars):
        return answer if bars is None else bars
    of_all = {key: answer[key] for key in answer if key.lower() in _OF_ALL and isinstance(answer[key], str)}
    return [of_all | one for one in bars]


def _one_document(text: str) -> Any:
    """The text as one value of JSON; None if it is none, or one bar of JSON lines."""
    try:
        value = _parse(text)
    except (ValueError, RecursionError):  # it may be JSON lines, of which each broken one is told
        return None
    one_bar = isinstance(value, dict) and not any(isinstance(part, list) for part in value.values())
    return None if one_bar else value


def _object_of_line(line: str) -> dict[str, Any] | None:
    """The object of a line, empty for a blank one; None if it is none."""
    if not line.strip():
        return {}
    try:
        value = _parse(line)
    except (ValueError, RecursionError):  # the line is told by its number
        return None
    return value if isinstance(value, dict) else None


def _parse(text: str) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(one := dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return one


def _as_records(kind: str, objects: Sequence[dict[str, Any] | None]) -> Records:
    found = list(enumerate(objects, start=1))
    headers = tuple(dict.fromkeys(key for _, one in found for key in one or ()))
    rows = [(number, _values(one or {}, headers)) for number, one in found]
    return Records(kind, rows, headers, tuple(number for number, one in found if one is None))


def _values(one: dict[str, Any], headers: Sequence[str]) -> list[str]:
    return [_value_as_text(one.get(header)) for header in headers]


def _value_as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
