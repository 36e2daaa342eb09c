"""What benchmarks write and read: simulated bars, judged, with their instruments listed.

What belongs here: made-up universes of any size, in frames and in the database.
Kept elsewhere: what is measured with them (one file each).
"""

import datetime as dt

import polars as pl
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS, Market, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import INSTRUMENTS

US = MARKETS["US"]
FIRST = dt.date(2016, 1, 4)


def slice_of(market: Market, sessions: int, first: dt.date = FIRST) -> Slice:
    """So many partition dates of a market from a date on."""
    dates = [date for date in all_sessions().tolist() if date >= first][:sessions]
    (part,) = slices_of(market, dates)
    return part


def list_instruments(source: Simulated) -> pl.DataFrame:
    """Store a source's instruments; returns them with their ids."""
    listed = source.instruments()
    listed = listed.with_columns(identifiers.of_instruments(listed))
    with database.engine().begin() as connection:
        merging.upsert(connection, INSTRUMENTS, listed)
    return listed


def judged(source: Simulated, part: Slice, listed: pl.DataFrame) -> pl.DataFrame:
    """A slice's bars as `price_bars` takes them."""
    raw = source.bars(part.market, part.start, part.end)
    return apply_contract(raw, part, listed, "simulated").kept.drop("market", "file")


def execute(*statements: str) -> None:
    """Run statements in one transaction, as the owner of the tables."""
    with database.engine("owner").begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
