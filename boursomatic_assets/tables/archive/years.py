"""Years: a year of a market's daily bars and features, as it is moved to cold storage and back.

What belongs here: the value, its lock, its rows in tables, and the files that stand for them.
Kept elsewhere: the move (`year_moves.py`), the way back (`year_returns.py`), the rows of the files
(`tables/reading/cold.py`).

A year of a market is moved as a whole, bars and features in one transaction, under the locks of everything that
writes them. A crash leaves it in its tables or in files that are named, never in neither. Rows stay as they are to
the last bit, with ids and times. Earlier versions of bars stay in `price_bar_revisions`, and are found as before.
"""

import datetime as dt
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection

from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.archive import files
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import cold, fetch
from boursomatic_assets.tables.reading.cold import ASSETS, ColdYear
from boursomatic_assets.tables.reading.slices import table_query
from boursomatic_assets.tables.staging import lock_slice, transaction


@dataclass(frozen=True)
class MovedYear:
    """A year of a market that was moved or put back, and how many rows of each asset."""

    market: str
    number: int
    rows: dict[str, int]

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {asset}" for asset, count in self.rows.items())
        return f"{self.market} {self.number}  {counts}"


@dataclass(frozen=True)
class Year:
    """A year of a market. Unlike a slice it ends with its last day, whether or not that is a session."""

    market: Market
    number: int

    @property
    def start(self) -> dt.datetime:
        """Its first instant, naive UTC."""
        return dt.datetime(self.number, 1, 1)

    @property
    def end(self) -> dt.datetime:
        """The first instant after it."""
        return dt.datetime(self.number + 1, 1, 1)

    @property
    def months(self) -> "list[Month]":
        """Its months: rows are held by month, as those of a year may not fit into memory."""
        firsts = [dt.datetime(self.number, month, 1) for month in range(1, 13)]
        return [Month(self.market, *ends) for ends in itertools.pairwise([*firsts, self.end])]

    @property
    def whole(self) -> Slice:
        """The slice that holds it: whoever locks it keeps everybody from writing rows of the market."""
        return Slice(self.market, (self.start.date(), self.end.date() - dt.timedelta(days=1)))

    def rows_of(self, asset: str) -> files.Rows:
        """The rows of an asset in this year."""
        return files.Rows(asset, self.market.name, self.start, self.end - dt.timedelta(days=1))


@dataclass(frozen=True)
class Month:
    """A month of a year of a market, from its first instant to the first one after it, in naive UTC."""

    market: Market
    start: dt.datetime
    end: dt.datetime


@contextmanager
def locked(year: Year) -> Iterator[Connection]:
    """A transaction in which nobody else writes bars or features of the year's market."""
    with transaction() as connection:
        for asset in ASSETS:
            lock_slice(connection, GRAINS[asset].table.name, year.whole)
        yield connection


def files_of(year: Year) -> list[ColdYear]:
    """The files that stand for the rows of a year."""
    found = (one for asset in ASSETS for one in cold.years(GRAINS[asset], year.whole))
    return [one for one in found if one.first == year.start]


def stored_in_table(asset: str, month: Month) -> pl.DataFrame:
    """The rows of a month that lie in the table, with all columns."""
    table = GRAINS[asset].table
    columns = [column.name for column in table.columns if not column.computed]
    return fetch(table_query(GRAINS[asset], month, columns))


def any_stored(year: Year) -> bool:
    """Whether some rows of a year lie in tables."""
    firsts = (table_query(GRAINS[asset], year, ("id",)).limit(1) for asset in ASSETS)
    return any(fetch(first).height for first in firsts)
