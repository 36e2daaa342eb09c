"""Listings: whose bars a file has.

What belongs here: the symbols and exchanges that its cells, its name and its folders say.
Kept elsewhere: what they mean (`sources/symbols.py`).
"""

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.layouts.fields import IDENTIFIERS, word_of
from boursomatic_assets.sources.files.layouts.layout import Layout
from boursomatic_assets.sources.symbols import UNKNOWN_FORM, canonical, is_symbol, read_listing_of


def find_listings(
    bars: pl.DataFrame, layout: Layout, declared: Declaration, says: dict[str, str], dated: pl.Series
) -> pl.DataFrame:
    """The listing of each distinct pair of cells that name one.

    Returns:
        symbol_cell, exchange_cell; symbol, exchange and fault (text); how many of its bars have a date, and the
        first and the last of these: dates, first, last.
    """
    columns = layout.series[0][1]
    stated = declared.exchange or (says.get("exchange") if "exchange" not in columns else None)
    by_column = not stated and "exchange" in columns
    exchange = pl.col(columns["exchange"]) if by_column else pl.lit(stated, pl.String)
    date = pl.col("date")
    spans = [
        bars.lazy()
        .select(
            symbol_cell=pl.lit(symbol, pl.String) if symbol else pl.col(columns["symbol"]),
            exchange_cell=exchange,
            date=pl.lit(dated),
        )
        .group_by("symbol_cell", "exchange_cell")
        .agg(dates=date.count(), first=date.min(), last=date.max())
        .with_columns(pl.col("symbol_cell", "exchange_cell").cast(pl.String))
        .collect()
        for symbol, _ in layout.series
    ]
    found = pl.concat(spans).sort("symbol_cell", "exchange_cell")
    named = [_listing(*pair) for pair in found.select("symbol_cell", "exchange_cell").iter_rows()]
    schema = dict.fromkeys(("symbol", "exchange", "fault"), pl.String())
    return pl.concat([found, pl.DataFrame(named, schema=schema, orient="row")], how="horizontal")


def require_one_instrument(rows: pl.LazyFrame, layout: Layout, declared: Declaration, name: str) -> None:
    """Raise SourceError if one symbol, of the file's name or folder, stands for rows of several instruments."""
    if declared.symbol or len(layout.series) > 1 or layout.series[0][0] is None:
        return
    for header in layout.headers:
        if word_of(header) not in IDENTIFIERS:
            continue
        cells = rows.select(pl.col(header).drop_nulls().unique()).collect().to_series()
        if cells.len() > 1:
            raise SourceError(
                f"{name}: the column {header!r} names {cells.len()} instruments, such as {cells.min()!r} and"
                f" {cells.max()!r}, and no column their symbols: add a column `symbol`, or, if all are one, state"
                f" `symbol:` for it in {DECLARATIONS_FILE}",
                symbol=UNSTATED,
            )


def _listing(symbol: str | None, exchange: str | None) -> tuple[str | None, ...]:
    """The symbol and the exchange that a pair of cells names, and what is wrong with it."""
    if symbol is None or not canonical(symbol):
        return None, exchange, None
    found = read_listing_of(symbol, exchange)
    fault = UNKNOWN_FORM if found.exchange is None or not is_symbol(found.symbol) else None
    return found.symbol, found.exchange, fault
