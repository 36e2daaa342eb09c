"""What the command line shows of bars, as they are known now or were known at a past time.

What belongs here: an instrument's bars, and how they are shown.
Kept elsewhere: options (`cli/results.py`), tables as text (`text.py`), which bars are known at a time
(`tables/archive/reading.py`).
"""

import datetime as dt

import polars as pl

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.tables.aliases.names import symbols_of
from boursomatic_assets.tables.archive import reading

LOADED_BY = {"daily": "`boursomatic backfill`", "15m": "`boursomatic backfill --assets price_bars_15m`"}


def read_bars(symbol: str, dates: list[dt.date], interval: str, known_at: dt.datetime | None) -> pl.DataFrame:
    """An instrument's bars on some dates, as they are known now or were known at a past time.

    A symbol under which it was known before names it too.

    Raises:
        ValueError: It has none; the message says how to load some.
    """
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    bars = pl.concat(reading.read_bars(part, interval, known_at) for part in parts)
    bars = bars.filter(pl.col("symbol").is_in(symbols_of(symbol)))
    if bars.is_empty():
        raise ValueError(
            f"no {interval} bars of {symbol!r} are known for these dates: {LOADED_BY[interval]} loads bars"
        )
    return bars


def as_table(bars: pl.DataFrame) -> str:
    """Bars as a table; `known_from` is the time, in UTC, from which each is known as it is."""
    return as_text_table(bars.with_columns(pl.col("ts", "known_from").dt.strftime("%Y-%m-%d %H:%M:%S")))
