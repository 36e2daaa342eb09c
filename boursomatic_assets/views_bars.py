"""What the command line shows of bars: as they are known now, or were known at a past moment.

What belongs here: an instrument's bars as a table, and where those are that cannot be shown.
Kept elsewhere: options (`cli.py`), tables as text (`views.py`), what was known when (`revisions.py`).
"""

import datetime as dt

import polars as pl
from sqlalchemy import text

from boursomatic_assets import archive, database
from boursomatic_assets.markets import MARKETS
from boursomatic_assets.revisions import read_bars
from boursomatic_assets.slices import slices_of
from boursomatic_assets.views import as_text_table

LOADED_BY = {"daily": "`boursomatic backfill`", "15m": "`boursomatic backfill --assets price_bars_15m`"}


def bars(symbol: str, dates: list[dt.date], interval: str, known_at: dt.datetime | None) -> pl.DataFrame:
    """An instrument's bars on some dates, as they are known now or were known at a past moment.

    Raises:
        ValueError: it has none; the message says how to get some.
    """
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    found = pl.concat(read_bars(part, interval, known_at) for part in parts).filter(pl.col("symbol") == symbol)
    if found.is_empty():
        hint = archived(symbol, dates, interval, found) or f"{LOADED_BY[interval]} loads bars"
        raise ValueError(f"no {interval} bars of {symbol!r} are known for that: {hint}")
    return found


def archived(symbol: str, dates: list[dt.date], interval: str, shown: pl.DataFrame) -> str | None:
    """Which sessions are not shown because they are archived, and what to do about it; None without any."""
    if interval != "15m":
        return None
    there = set(shown["ts"].dt.date())
    with database.engine().connect() as connection:
        query = text("SELECT exchange FROM instruments WHERE symbol = :symbol")
        exchanges = set(connection.scalars(query, {"symbol": symbol}))
    for market in MARKETS.values():
        gone = [date for date in archive.dates(market.name, dates) if date not in there]
        if gone and exchanges & set(market.exchanges):
            restore = f"`boursomatic restore --from {gone[0]} --to {gone[-1]} --market {market.name}`"
            return f"{market.name} sessions from {gone[0]} to {gone[-1]} are archived: {restore} puts them back"
    return None


def as_table(found: pl.DataFrame) -> str:
    """Bars as a table; `known_from` is since when each is known so, in UTC."""
    return as_text_table(found.with_columns(pl.col("ts", "known_from").dt.strftime("%Y-%m-%d %H:%M:%S")))
