"""Rereading: rejected rows of files, read again from the cells that are kept of them.

What belongs here: the rows of a file as a small file of their own, which is then read as any other (`cells.py`).
Kept elsewhere: rejected rows of other sources (`sources/raw_rows.py`), which rows are read again
(`tables/deliveries/replay.py`).

What all rows of a file decided together (its decimal sign, its interval) may not show in the rejected ones alone.
It is asked for then, as the order of day and month is. A row that did not fit the others of its file, or had other
cells than its headers, may look right by itself: it keeps its fault.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError
from boursomatic_assets.sources.files.cells import (
    NOT_DAILY,
    PRICE_OF_UNKNOWN_FORM,
    TIME_OF_UNKNOWN_FORM,
    VOLUME_OF_UNKNOWN_FORM,
    read_raw_bars,
)
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.examination import examine
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.layouts.fields import FIELDS
from boursomatic_assets.sources.files.notation.numbers import detect_decimal_sign
from boursomatic_assets.sources.files.reading import number_columns
from boursomatic_assets.sources.files.scan import NO_RECORD, TOO_FEW, TOO_MANY
from boursomatic_assets.sources.raw_rows import READ_AGAIN, rows_of_errors

Cells = dict[str, str]
"""A row: the text of each cell by its header, empty where the file has none."""

_HEADER_OF_WIDE_FILE = re.compile(r"(.+) (\S+) \d+")
"""Field, symbol and number, where each instrument has columns of its own."""

_TIME_OF_DAY = re.compile(r"(?<![\d:+-])(?!0?0:00)\d{1,2}:\d{2}")

LASTING = {
    **dict.fromkeys((TOO_MANY, TOO_FEW, NO_RECORD, NOT_DAILY)),
    **dict.fromkeys((PRICE_OF_UNKNOWN_FORM, VOLUME_OF_UNKNOWN_FORM), "decimal"),
    TIME_OF_UNKNOWN_FORM: "dates",
}
"""Faults that a row alone may not show, each with the key that says how to read it without the others, if any."""

Says = tuple[tuple[str, str], ...]
"""What the folders of a file say, see `contents.File`."""


def read_again(
    rejected: pl.DataFrame, declaration_of: Callable[[str], Declaration], says: Mapping[str, Says]
) -> pl.DataFrame:
    """Rejected rows as raw bars, and a row with the reason for each file of which none can be read again.

    Args:
        rejected: rows with the columns of `raw_rows.REJECTED`.
        declaration_of: what is declared of the file of this name.
        says: what the folders of a file say, by its name.

    Returns:
        The columns of `raw_rows.READ_AGAIN`.
    """
    frames, errors = [pl.DataFrame(schema=READ_AGAIN)], {}
    for (name, interval), rows in rejected.group_by("file", "interval", maintain_order=True):
        try:
            declared = declaration_of(name)
            _require_whole_rows(name, declared)
            for same in _rows_by_headers(rows):
                stated = declared.model_copy(update={"interval": _stated_interval(name, same, declared, interval)})
                bars = _read_rows(name, same, stated, says.get(name, ()))
                frames.append(_with_lasting_faults(bars, rows, declared))
        except SourceError as error:  # becomes a row of the result
            errors[name] = str(error)
    return pl.concat([*frames, rows_of_errors(errors.items())])


def _require_whole_rows(name: str, declared: Declaration) -> None:
    """Raise SourceError if a bar comes from several rows, of which the ledger has the first alone."""
    if declared.resample:
        raise SourceError(f"{name}: its bars are added up from several rows: load its sessions again")


def _with_lasting_faults(bars: pl.DataFrame, rejected: pl.DataFrame, declared: Declaration) -> pl.DataFrame:
    """Rows with the faults that they had in their file, and without one that they have by themselves alone."""
    lasting = [fault for fault, key in LASTING.items() if key is None or getattr(declared, key) is None]
    reason, fault = pl.col("reason"), pl.col("fault")
    found = pl.when(reason.is_in(lasting)).then(reason).when(fault.ne_missing(NOT_DAILY)).then(fault)
    reasons = rejected.select("id", "reason")
    return bars.join(reasons, on="id", maintain_order="left").with_columns(fault=found).select(*READ_AGAIN)


def _rows_by_headers(rejected: pl.DataFrame) -> list[dict[str, Cells]]:
    """The cells of rows by their id; those with the same headers together."""
    by_headers: dict[tuple[str, ...], dict[str, Cells]] = {}
    for identifier, raw in rejected.select("id", "raw").iter_rows():
        cells = _cells_of_row(raw)
        by_headers.setdefault(tuple(cells), {})[identifier] = cells
    return list(by_headers.values())


def _cells_of_row(raw: str) -> Cells:
    """The cells of a row; columns of one instrument have their fields as headers."""
    row = json.loads(raw, parse_float=_number_as_text, parse_int=str)
    cells = {header: "" if cell is None else str(cell) for header, cell in row.items()}
    parts = {header: _HEADER_OF_WIDE_FILE.fullmatch(header) for header in list(cells)[1:]}
    symbols = {part[2] for part in parts.values() if part}
    if not all(parts.values()) or len(symbols) != 1:
        return cells
    fields = {part[1]: cells[header] for header, part in parts.items() if part}
    return {header: cells[header] for header in cells if header not in parts} | fields | {"symbol": symbols.pop()}


def _number_as_text(number: str) -> str:
    """The number of a typed column as a text that cannot be taken for thousands, and has the same value."""
    if float(number).is_integer():
        return str(int(float(number)))
    return number if "e" in number.lower() else f"{number}000"


def _read_rows(name: str, rows: dict[str, Cells], declared: Declaration, says: Says) -> pl.DataFrame:
    """Rows with the same headers, read as a file of this name with these rows alone, as JSON lines.

    Raises:
        SourceError: naming the file, and what must be stated of it.
    """
    content = "".join(f"{json.dumps(cells)}\n" for cells in rows.values())
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as opened:
        opened.write(content)
        opened.flush()
        file = File(name, Path(opened.name), len(content), says=says)
        sign = declared.decimal or _decimal_sign(file, rows, declared)
        bars = read_raw_bars(file, declared.model_copy(update={"decimal": sign}))
    numbered = pl.DataFrame(
        {"id": list(rows), "line": range(1, len(rows) + 1)}, schema_overrides={"line": pl.Int64}
    )
    return bars.join(numbered, on="line").select(*READ_AGAIN)


def _decimal_sign(file: File, rows: dict[str, Cells], declared: Declaration) -> str:
    """The decimal sign that the numbers of all rows show, whatever was between the cells of their file.

    Raises:
        SourceError: they can be read both ways, or contradict each other.
    """
    headers = number_columns(examine(file, declared).layout)
    numbers = [cells[header] for cells in rows.values() for header in headers]
    return detect_decimal_sign([pl.Series(numbers, dtype=pl.String)], ";", file.name)


def _stated_interval(name: str, rows: dict[str, Cells], declared: Declaration, interval: str) -> str | None:
    """The interval of all rows: as declared, or as they were delivered; None if a column says it.

    Raises:
        SourceError: bars with a time of day may be daily ones, or one of each session of another interval.
    """
    headers, *_ = rows.values()
    in_column = "interval" in dict(declared.columns) or any(
        header.strip('<> "').lower() in FIELDS["interval"] for header in headers
    )
    if declared.interval or in_column:
        return declared.interval
    if interval == "daily" and any(_TIME_OF_DAY.search(cell) for row in rows.values() for cell in row.values()):
        raise SourceError(
            f"{name}: the interval of bars with a time of day cannot be told from its rejected rows alone: state"
            f" `interval:` for it in {DECLARATIONS_FILE}"
        )
    return interval
