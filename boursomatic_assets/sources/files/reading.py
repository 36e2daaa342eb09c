"""Reading: the cells of a file in memory, each line once.

What belongs here: which columns are read and as what, lines that polars does not find.
Kept elsewhere: the formats (`formats/`), what the cells mean (`examination.py`).
"""

from collections.abc import Collection
from functools import lru_cache

import polars as pl

from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.formats.text import Text, separators_by_line
from boursomatic_assets.sources.files.layouts.layout import FAULT, LINE, Layout
from boursomatic_assets.sources.files.scan import (
    TOO_FEW,
    UNREADABLE,
    Opened,
    open_rows,
    scan_text,
    unreadable,
)


def number_columns(layout: Layout, fields: Collection[str] = "ohlcv") -> list[str]:
    """The headers of prices and volumes."""
    return [header for _, columns in layout.series for field, header in columns.items() if field in fields]


@lru_cache(maxsize=1)
def read_cells(file: File, declared: Declaration) -> tuple[Opened, pl.DataFrame]:
    """A file's rows, and those of its columns that mean something, in memory; the last file's are kept.

    Numbers of a text are read as such where polars reads all of them. A text in which polars finds other rows than
    lines, or too many cells in one, is read by lines.
    """
    opened = open_rows(file, declared)
    if opened.text is not None:
        if (cells := _read_plain(opened, declared)) is not None:
            return opened, cells
        opened = open_rows(file, declared, line_by_line=True)
    schema = opened.rows.collect_schema()
    wanted = [LINE, *(_meaningful(opened.layout) if is_typed(opened) else _with_first(opened.layout))]
    wanted += [name for name in (FAULT, *opened.layout.empty) if name in schema]
    try:
        return opened, opened.rows.select(wanted).collect()
    except UNREADABLE as error:
        raise unreadable(file, error) from None


def is_typed(opened: Opened) -> bool:
    """Whether its columns have types, so that a row need not be read to know what they mean."""
    return opened.kind in ("Parquet", "Arrow")


def _meaningful(layout: Layout) -> list[str]:
    return list(dict.fromkeys(header for _, columns in layout.series for header in columns.values()))


def _with_first(layout: Layout) -> list[str]:
    """The columns that mean something, and the first one, which says what a line without a bar is."""
    return list(dict.fromkeys((layout.headers[0], *_meaningful(layout))))


def _read_plain(opened: Opened, declared: Declaration) -> pl.DataFrame | None:
    """The cells of a text that polars reads; None if it does not find each line as a row of its own."""
    assert opened.text is not None
    layout = opened.layout
    numbers = number_columns(layout) if layout.separator == "," and declared.decimal != "," else []
    try:
        cells = scan_text(opened.text, layout, numbers, layout.words.intersection(layout.headers)).collect()
        if cells.height != opened.lines - opened.header:
            return None
        if unread := [header for header in numbers if cells[header].has_nulls()]:
            cells = cells.with_columns(opened.rows.select(unread).collect())
    except UNREADABLE:  # read line by line, a line with too many cells is told by its number
        return None
    whole = not cells[layout.headers[layout.whole - 1]].has_nulls()
    cells = cells.select(LINE, *_with_first(layout), *layout.empty)
    return cells if whole else _with_short_lines(cells, opened.text, layout)


def _with_short_lines(cells: pl.DataFrame, text: Text, layout: Layout) -> pl.DataFrame | None:
    """The cells with the fault of lines that are cut; None if their quotation marks hide which these are."""
    if b'"' in text.content:
        return None
    separators = separators_by_line(text, layout.separator).tail(cells.height)
    short = (separators > 0) & (separators < layout.whole - 1)
    if not short.any():
        return cells
    return cells.with_columns(pl.when(short).then(pl.lit(TOO_FEW)).alias(FAULT))
