"""The rows of one file as they stand: Parquet or text, scanned or in memory.

What belongs here: telling Parquet from text, reading cells as text or as numbers, errors that name the file.
Kept elsewhere: compression (`contents.py`), what headers mean (`layouts.py`), cells as raw bars (`cells.py`).
"""

from collections.abc import Collection

import polars as pl

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.contents import File, decode
from boursomatic_assets.sources.files.layouts import Declaration, Layout, layout_of_columns, recognise_layout

PARQUET = b"PAR1"


def open_rows(file: File, declared: Declaration) -> tuple[pl.LazyFrame, Layout]:
    """A file's rows, of text with all cells as text, and what its columns are."""
    head = file.head
    try:
        if head.startswith(PARQUET):
            rows = pl.scan_parquet(file.source).with_row_index("line", offset=1)
            return rows, layout_of_columns(rows.collect_schema().names()[1:], ",", 0, file.name, declared)
        if b"\0" in head:
            raise SourceError(f"{file.name}: neither Parquet nor text: wanted bars as Parquet or CSV")
        layout = recognise_layout(decode(head).splitlines(), file.name, declared)
        return _scan_text(file, layout), layout
    except pl.exceptions.PolarsError as error:
        raise unreadable(file, error) from None


def unreadable(file: File, error: pl.exceptions.PolarsError) -> SourceError:
    """The error of a file that polars cannot read, with the first line of the reason."""
    kind = "parquet" if file.head.startswith(PARQUET) else "csv"
    return SourceError(f"{file.name}: cannot be read as {kind}: {str(error).splitlines()[0]}")


def _scan_text(file: File, layout: Layout, numbers: Collection[str] = ()) -> pl.LazyFrame:
    """Cells as text, so that nothing is guessed, but for these columns; `line` counts from 1 as an editor does.

    A cell of those columns that is no number, or has blanks around it, is null.
    """
    return pl.scan_csv(
        file.source,
        has_header=False,
        separator=layout.separator,
        skip_lines=layout.skipped,
        schema={header: pl.Float64() if header in numbers else pl.String() for header in layout.headers},
        missing_columns="insert",
        ignore_errors=bool(numbers),
        encoding="utf8-lossy",
    ).with_row_index("line", offset=layout.skipped + 1)


def select_cells(file: File, rows: pl.LazyFrame, layout: Layout, names: Collection[str]) -> pl.LazyFrame:
    """The columns that are needed for these names; in memory, if all rows together must tell what they mean.

    Numbers are read as such, which takes least time; a column in which that leaves nulls is read again, as text.
    """
    schema = rows.collect_schema()
    if schema[layout.series[0][1]["ts"]] != pl.String:
        return rows
    columns = {
        header: field for _, columns_of_series in layout.series for field, header in columns_of_series.items()
    }
    wanted = ["line", *(header for header, field in columns.items() if field not in "ohlcv" or field in names)]
    if layout.separator != "," or file.head.startswith(PARQUET) or not set("ohlcv") & set(names):
        return rows.select(wanted).collect().lazy()
    numbers = [header for header, field in columns.items() if field in "ohlcv"]
    # All columns, as a line with too many cells would pass unnoticed among some of them.
    cells = _scan_text(file, layout, numbers).collect().select(wanted)
    if unread := [header for header in numbers if cells[header].has_nulls()]:
        cells = cells.with_columns(rows.select(unread).collect())
    return cells.lazy()
