"""Listings: whose bars a file has.

What belongs here: the symbols and exchanges that its cells, its name and its folders say.
Kept elsewhere: what they mean (`sources/symbols.py`).
"""

import polars as pl

from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.layouts.layout import Layout
from boursomatic_assets.sources.symbols import UNKNOWN_FORM, canonical, is_symbol, read_listing_of


def find_listings(bars: pl.DataFrame, layout: Layout, declared: Declaration, says: dict[str, str]) -> pl.DataFrame:
    """The listing of each distinct pair of cells that name one."""
    columns = layout.series[0][1]
    stated = declared.exchange or (says.get("exchange") if "exchange" not in columns else None)
    pairs: list[tuple[str | None, str | None]] = []
    for symbol, _ in layout.series:
        named = pl.lit(symbol, pl.String) if symbol else pl.col(columns["symbol"]).cast(pl.String)
        exchange = (
            pl.lit(stated, pl.String)
            if stated or "exchange" not in columns
            else pl.col(columns["exchange"]).cast(pl.String)
        )
        pairs += bars.lazy().select(symbol=named, exchange=exchange).unique(maintain_order=True).collect().rows()
    schema = dict.fromkeys(("symbol_cell", "exchange_cell", "symbol", "exchange", "fault"), pl.String())
    return pl.DataFrame([_listing(*pair) for pair in dict.fromkeys(pairs)], schema=schema, orient="row")


def _listing(symbol: str | None, exchange: str | None) -> tuple[str | None, ...]:
    """A pair of cells, what it names, and what is wrong with it."""
    if symbol is None or not canonical(symbol):
        return symbol, exchange, None, exchange, None
    found = read_listing_of(symbol, exchange)
    fault = UNKNOWN_FORM if found.exchange is None or not is_symbol(found.symbol) else None
    return symbol, exchange, found.symbol, found.exchange, fault
