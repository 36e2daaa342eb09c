"""The rows of one file as they stand: typed ones of Parquet and Arrow, or cells of text of all others.

What belongs here: telling formats apart, reading cells as text or as numbers, errors that name the file.
Kept elsewhere: the bytes of each format (`formats/`), what headers mean (`layouts/`), cells as raw bars
(`cells.py`).
"""

import datetime as dt
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.formats import bounds
from boursomatic_assets.sources.files.formats.contents import File, damaged
from boursomatic_assets.sources.files.formats.records import (
    Records,
    is_json,
    is_workbook,
    read_json,
    read_workbook,
)
from boursomatic_assets.sources.files.formats.text import Record, Text, is_plain, read_text, split_records
from boursomatic_assets.sources.files.formats.typed import kind_of, read_typed
from boursomatic_assets.sources.files.layouts.layout import FAULT, LINE, Layout, layout_of_columns, unique_names
from boursomatic_assets.sources.files.layouts.recognition import HEAD, recognise_layout, recognise_records
from boursomatic_assets.sources.words import kind_of_words

UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises for a file that is damaged, or of a kind that it cannot read."""

TOO_MANY, TOO_FEW, NO_RECORD = (
    "line has more cells than headers",
    "line has fewer cells than headers",
    "line is no record of its format",
)


@dataclass(frozen=True)
class Opened:
    """A file's rows.

    Attributes:
        rows: `line`, a column for each header, and maybe FAULT.
        layout: what the columns are.
        kind: what the file is.
        lines: of a text; records, or rows, of other formats.
        header: lines above the first row.
        encoding: of a text.
        text: the text, if each of its lines is taken for a row, so that polars can read it.
    """

    rows: pl.LazyFrame
    layout: Layout
    kind: str
    lines: int
    header: int = 0
    encoding: str | None = None
    text: Text | None = None


def open_rows(file: File, declared: Declaration, *, line_by_line: bool = False) -> Opened:
    """A file's rows, of all but typed formats with cells as text, and what its columns are.

    Args:
        file: the file.
        declared: what is declared of it.
        line_by_line: whether the lines of a text are cut one by one, as those that polars cannot read.

    Raises:
        SourceError: naming the file, what was found and what is expected.
    """
    content = file.read()
    try:
        if kind := kind_of(content):
            return _open_typed(file, kind, declared)
        if is_workbook(content):
            return _open_records(file, read_workbook(file), declared)
        if is_json(content):
            return _open_records(file, read_json(file), declared)
        return _open_text(file, read_text(file), declared, line_by_line)
    except UNREADABLE as error:
        raise unreadable(file, error) from None


def unreadable(file: File, error: BaseException) -> SourceError:
    """The error of a file that polars cannot read."""
    return damaged(file.name, f"read as {(kind_of(file.read()) or 'csv').lower()}", error)


def _open_typed(file: File, kind: str, declared: Declaration) -> Opened:
    frame = read_typed(file)
    rows = frame.lazy()
    kinds = rows.collect_schema()
    rows = rows.drop(header for header, kind in kinds.items() if kind.is_nested() and "Binary" in str(kind))
    headers = rows.collect_schema().names()
    rows = rows.rename(dict(zip(headers, unique_names(headers), strict=True)))
    layout = layout_of_columns(headers, ",", 0, file.name, declared, dict(file.says))
    _require_types(rows.collect_schema(), layout, file.name)
    texts = [(cs.categorical() - cs.by_name(layout.words, require_all=False)).cast(pl.String)]
    texts += [cs.enum().cast(pl.String), cs.binary().map_batches(_decoded, pl.String)]
    dates = pl.when(cs.date().is_between(dt.date.min, dt.date.max)).then(cs.date())  # others cannot be written
    rows = rows.with_columns(*texts, dates, *_of_folder(layout)).with_row_index(LINE, offset=1)
    return Opened(rows, layout, kind, frame.height)


def _of_folder(layout: Layout) -> list[pl.Expr]:
    """The columns that the file has not."""
    return [pl.lit(value).alias(header) for header, value in layout.of_folder]


def _decoded(column: pl.Series) -> pl.Series:
    """Bytes as text, as programs write it that know no text in Parquet."""
    return pl.Series([cell and cell.decode("utf-8", "replace") for cell in column], dtype=pl.String)


def _require_types(schema: pl.Schema, layout: Layout, name: str) -> None:
    """Raise SourceError if a column has a type that its meaning cannot have."""
    text = (pl.String, pl.Null, pl.Categorical, pl.Enum, pl.Binary)
    for field, header in layout.series[0][1].items():
        kind = schema.get(header, pl.String())
        fits = kind.base_type() in text or kind.is_numeric() or (kind.is_temporal() and field in ("ts", "clock"))
        if not fits:
            raise SourceError(
                f"{name}: the column {header!r} holds {kind} and cannot be {field}: name another one under"
                f" `columns:` in {DECLARATIONS_FILE}"
            )


def _open_text(file: File, text: Text, declared: Declaration, line_by_line: bool) -> Opened:
    layout = recognise_layout(text.head(declared.skip + HEAD), file.name, declared, dict(file.says))
    if not line_by_line and is_plain(text, layout.separator):
        header = min(layout.skipped, text.lines)
        return Opened(scan_text(text, layout), layout, "text", text.lines, header, text.encoding, text)
    lines = text.content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    records = list(split_records(lines, layout.separator, len(layout.headers)))
    header = sum(line <= layout.skipped for line, _ in records)
    return Opened(_frame(records[header:], layout), layout, "text", len(records), header, text.encoding)


def scan_text(
    text: Text, layout: Layout, numbers: Collection[str] = (), words: Collection[str] = ()
) -> pl.LazyFrame:
    """Cells as text, so that nothing is guessed, but for these columns; `line` counts from 1 as an editor does.

    A cell of the numbers that is no number, or has blanks around it, is null.
    """
    kinds = dict.fromkeys(layout.headers, pl.String()) | {header: kind_of_words() for header in words}
    return (
        pl.scan_csv(
            io.BytesIO(text.content),
            has_header=False,
            separator=layout.separator,
            quote_char='"' if b'"' in text.content else None,
            skip_lines=layout.skipped,
            schema=kinds | dict.fromkeys(numbers, pl.Float64()),
            missing_columns="insert",
            ignore_errors=bool(numbers),
        )
        .with_columns(*_of_folder(layout))
        .with_row_index(LINE, offset=layout.skipped + 1)
    )


def _open_records(file: File, records: Records, declared: Declaration) -> Opened:
    bounds.require_columns(len(records.headers or ()), file.name)
    for line, cells in records.rows:
        bounds.require_cells(cells, line, file.name)
    if records.headers is None:
        head = [record for record in records.rows if record[0] <= declared.skip + HEAD]
        layout = recognise_records(head, file.name, declared, dict(file.says))
    else:
        layout = layout_of_columns(records.headers, ",", 0, file.name, declared, dict(file.says))
    header = sum(line <= layout.skipped for line, _ in records.rows)
    rows = _frame(records.rows[header:], layout)
    if records.broken:
        broken = pl.col(LINE).is_in(records.broken)
        rows = rows.with_columns(pl.when(broken).then(pl.lit(NO_RECORD)).otherwise(FAULT).alias(FAULT))
    return Opened(rows, layout, records.kind, len(records.rows), header)


def _frame(records: Sequence[Record], layout: Layout) -> pl.LazyFrame:
    """Records as rows, with the fault of those that have too many or too few cells."""
    headers = layout.headers
    width = len(headers)
    columns: dict[str, list[str | None]] = {header: [] for header in headers}
    faults: list[str | None] = []
    for _, cells in records:
        for place, header in enumerate(headers):
            columns[header].append((cells[place] or None) if place < len(cells) else None)
        surplus = any(cell.strip() for cell in cells[width:])
        short = 1 < len(cells) < layout.whole
        faults.append(TOO_MANY if surplus else TOO_FEW if short else None)
    frame = pl.DataFrame(columns, schema=dict.fromkeys(headers, pl.String()))
    line = pl.Series(LINE, [line for line, _ in records], dtype=pl.Int64)
    fault = pl.Series(FAULT, faults, dtype=pl.String)
    return frame.insert_column(0, line).with_columns(fault, *_of_folder(layout)).lazy()
