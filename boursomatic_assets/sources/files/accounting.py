"""Accounting: what the lines of a file are that hold no bar.

What belongs here: blank lines, comments, repeated headers, footers.
Kept elsewhere: the sum of all lines (`examination.py`), why a line with a bar is rejected (`cells.py`).
"""

import polars as pl
import polars.selectors as cs

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.intervals import time_cell
from boursomatic_assets.sources.files.layouts.fields import WORDS
from boursomatic_assets.sources.files.layouts.layout import FAULT, LINE, Layout
from boursomatic_assets.sources.files.scan import NO_RECORD
from boursomatic_assets.sources.words import map_words

_TOTALS = (
    r"(?i)^\s*(grand )?(totals?|totaux|sums?|somme|average|mean|moyenne|mittel|summe|gesamt|totaal|count|nombre)\b"
)

_COMMENT = r"^\s*(#|//)"


def lines_without_bars(
    cells: pl.DataFrame, layout: Layout, times: pl.DataFrame, name: str
) -> dict[str, list[int]]:
    """The lines that are blank, comments, repeated headers or below the last bar, of those without a time.

    Raises:
        SourceError: a line among the bars is a header of other columns: bars below it would be misread.
    """
    columns = layout.series[0][1]
    readable = times.filter(pl.any_horizontal(pl.col("session", "instant").is_not_null()))["cell"]
    has_time = map_words(time_cell(columns), readable, pl.repeat(True, len(readable), eager=True)).fill_null(False)
    prices = [pl.col(columns[price]).cast(pl.String).str.contains(r"\d").fill_null(False) for price in "ohlc"]
    if layout.of_folder:
        has_time &= pl.any_horizontal(prices)
    broken = pl.col(FAULT).eq_missing(NO_RECORD) if FAULT in cells.columns else pl.lit(False)
    timed = cells.select(has_time).to_series()
    odd = cells.filter(~timed, ~broken).with_columns(cs.categorical().cast(pl.String))
    if odd.is_empty():
        return {}
    last = max(cells.filter(timed)[LINE].tail(1).to_list(), default=0)
    text = [pl.col(header).cast(pl.String).str.strip_chars() for header in layout.headers if header in odd.columns]
    filled = [pl.when(cell != "").then(cell) for cell in text]
    first, time = pl.coalesce(filled), pl.col(columns["ts"]).str.strip_chars()
    headers = [header for header in columns.values() if header in layout.headers]
    same = pl.all_horizontal((pl.col(one).cast(pl.String).str.strip_chars() == one) for one in headers)
    _require_one_header(odd.filter(~same.fill_null(False)), headers, name)
    totals = first.str.contains(_TOTALS) & ~(time.str.contains(r"\d") & (time != first)).fill_null(False)
    words = first.str.contains(r"^[^\d\s]") & ~pl.any_horizontal(prices)
    kind = (
        pl.when(first.is_null())
        .then(pl.lit("blank"))
        .when(first.str.contains(_COMMENT))
        .then(pl.lit("comments"))
        .when(same)
        .then(pl.lit("header"))
        .when((pl.col(LINE) > last) & pl.lit(last > 0) & (words | totals))
        .then(pl.lit("footer"))
    )
    named = odd.select(LINE, kind=kind).drop_nulls().group_by("kind").agg(LINE)
    return dict(named.iter_rows())


def _require_one_header(odd: pl.DataFrame, headers: list[str], name: str) -> None:
    """Raise SourceError if a line names other columns than the header: bars below it would be misread."""
    cells = (pl.col(one).cast(pl.String).str.strip_chars('<> "').str.to_lowercase() for one in headers)
    known = pl.sum_horizontal(cell.is_in(WORDS) for cell in cells)
    if len(others := odd.filter(known >= len("ohlc"))):
        raise SourceError(
            f"{name}: line {others[LINE][0]} is another header than the first one: split the file there"
        )
