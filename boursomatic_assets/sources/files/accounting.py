"""Accounting: what the lines of a file are that hold no bar.

What belongs here: blank lines, comments, repeated headers, footers.
Kept elsewhere: the sum of all lines (`examination.py`), why a line with a bar is rejected (`cells.py`).
"""

import polars as pl

from boursomatic_assets.sources.files.intervals import time_cell
from boursomatic_assets.sources.files.layouts.layout import FAULT, LINE, Layout
from boursomatic_assets.sources.files.scan import (
    NO_RECORD,
)

_TOTALS = (
    r"(?i)^\s*(grand )?(totals?|totaux|sums?|somme|average|mean|moyenne|mittel|summe|gesamt|totaal|count|nombre)\b"
)

_COMMENT = r"^\s*(#|//)"


def lines_without_bars(cells: pl.DataFrame, layout: Layout, times: pl.DataFrame) -> dict[str, list[int]]:
    """The lines that are blank, comments, repeated headers or below the last bar, of those without a time."""
    columns = layout.series[0][1]
    readable = times.filter(pl.any_horizontal(pl.col("session", "instant").is_not_null()))["cell"]
    has_time = time_cell(columns).is_in(readable.implode()).fill_null(False)
    prices = [pl.col(columns[price]).cast(pl.String).str.contains(r"\d").fill_null(False) for price in "ohlc"]
    if layout.of_folder:
        has_time &= pl.any_horizontal(prices)
    broken = pl.col(FAULT).eq_missing(NO_RECORD) if FAULT in cells.columns else pl.lit(False)
    odd = cells.filter(~has_time, ~broken)
    if odd.is_empty():
        return {}
    last = max(cells.filter(has_time)[LINE].tail(1).to_list(), default=0)
    text = [pl.col(header).cast(pl.String).str.strip_chars() for header in layout.headers if header in odd.columns]
    filled = [pl.when(cell != "").then(cell) for cell in text]
    first, time = pl.coalesce(filled), pl.col(columns["ts"]).str.strip_chars()
    words = first.str.contains(r"^[^\d\s]") & ~pl.any_horizontal(prices)
    kind = (
        pl.when(first.is_null())
        .then(pl.lit("blank"))
        .when(first.str.contains(_COMMENT))
        .then(pl.lit("comments"))
        .when(time == columns["ts"])
        .then(pl.lit("header"))
        .when((pl.col(LINE) > last) & pl.lit(last > 0) & (words | first.str.contains(_TOTALS)))
        .then(pl.lit("footer"))
    )
    named = odd.select(LINE, kind=kind).drop_nulls().group_by("kind").agg(LINE)
    return dict(named.iter_rows())
