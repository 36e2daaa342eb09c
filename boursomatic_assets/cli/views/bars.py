"""What the command line shows of bars: as they are known now, or were known at a past moment.

What belongs here: an instrument's bars, and how they are shown.
Kept elsewhere: options (`cli.py`), tables as text (`views.py`), what was known when (`archive.py`).
"""

import datetime as dt

import polars as pl

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.tables import archive

LOADED_BY = {"daily": "`boursomatic backfill`", "15m": "`boursomatic backfill --assets price_bars_15m`"}


def bars(symbol: str, dates: list[dt.date], interval: str, known_at: dt.datetime | None) -> pl.DataFrame:
    """An instrument's bars on some dates, as they are known now or were known at a past moment.

    Raises:
        ValueError: it has none; the message says how to get some.
    """
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    found = pl.concat(archive.read_bars(part, interval, known_at) for part in parts)
    found = found.filter(pl.col("symbol") == symbol)
    if found.is_empty():
        raise ValueError(f"no {interval} bars of {symbol!r} are known for that: {LOADED_BY[interval]} loads bars")
    return found


def as_table(found: pl.DataFrame) -> str:
    """Bars as a table; `known_from` is since when each is known so, in UTC."""
    return as_text_table(found.with_columns(pl.col("ts", "known_from").dt.strftime("%Y-%m-%d %H:%M:%S")))
