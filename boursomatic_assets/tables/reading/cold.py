"""Cold rows: daily bars and features of years that were moved out of their tables, read where they lie.

What belongs here: which file stands for which year of a market, and its rows as a frame.
Kept elsewhere: moving years and back (`tables/archive/year_moves.py`), letting the SQL of checks see them
(`tables/archive/shown.py`), the files themselves (`stores/archive_files.py`).

A reader asks for rows and for files as of one moment, so that it sees each row once. A file stays for long after
its year was put back, so it may be read after that moment. Files are read whole, to prove them; the last ones stay
in memory, since readers go through a year in chunks.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import polars as pl
from sqlalchemy import Connection, ScalarSelect, Select, Table, func, select

from boursomatic_assets.calendars.slices import Period, Slice
from boursomatic_assets.schema import ArchiveFile
from boursomatic_assets.stores import archive_files, places
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.grains import GRAINS, Grain
from boursomatic_assets.tables.reading.queries import fetch

FILES: Table = ArchiveFile.__table__

ASSETS = ("price_bars", "features")
"""The assets whose old years are moved, in the order in which their tables are locked."""

FILES_IN_MEMORY = 2
"""A chunk of sessions lies in two years at most."""


class ColdError(RuntimeError):
    """Rows are about to be written to a year that is in cold storage."""


@dataclass(frozen=True)
class ColdYear:
    """A year of an asset's rows in one market that is in a file.

    Attributes:
        asset: One of ASSETS.
        market: The market's name.
        first: The first day of the year, as midnight.
        last: Its last day.
        name: The file's name in the store.
        row_count: How many rows it holds.
    """

    asset: str
    market: str
    first: dt.datetime
    last: dt.datetime
    name: str
    row_count: int


def years(grain: Grain, part: Slice | None = None) -> list[ColdYear]:
    """The years that are in files, in order, as of the moment of the context; of a slice, or all of them."""
    asset = _asset(grain)
    return [ColdYear(*row) for row in fetch(_standing(asset, part)).iter_rows()] if asset else []


def years_seen(connection: Connection, asset: str, part: Slice | None = None) -> list[ColdYear]:
    """The years that are in files, as a connection sees them; of a slice, or all of them."""
    return [ColdYear(**row) for row in connection.execute(_standing(asset, part)).mappings()]


def require_in_table(connection: Connection, grain: Grain, part: Slice) -> None:
    """Require that a slice, which is locked, has all its rows in the table.

    Raises:
        ColdError: Some are in a file.
    """
    asset = _asset(grain)
    for found in years_seen(connection, asset, part) if asset else ():
        year, market = found.first.year, found.market
        raise ColdError(
            f"{part} cannot be written: {found.asset} of {year} are in cold storage; run `boursomatic archive"
            f" restore --market {market} --from {year}-01-01 --to {year}-12-31`, then this once more"
        )


def count(grain: Grain) -> ScalarSelect[int]:
    """A subquery: how many rows of a grain are in files."""
    counted = select(func.coalesce(func.sum(FILES.c.row_count), 0))
    return counted.where(FILES.c.asset == _asset(grain), FILES.c.superseded_at.is_(None)).scalar_subquery()


def ends() -> pl.DataFrame:
    """When the first and the last daily bar is that each instrument has in files: instrument_id, first, last."""
    types = {"instrument_id": pl.String(), "first": pl.Datetime("us"), "last": pl.Datetime("us")}
    of_years = [
        read(year, ("instrument_id", "ts")).select("instrument_id", first="ts", last="ts")
        for year in years(GRAINS["price_bars"])
    ]
    bars = pl.concat([pl.DataFrame(schema=types), *of_years])
    return bars.group_by("instrument_id").agg(pl.min("first"), pl.max("last"))


def read(year: ColdYear, columns: Collection[str] = (), part: Period | None = None) -> pl.DataFrame:
    """The rows of a year, or those of a part of it, sorted by time and instrument; uuid and JSON as text.

    Args:
        year: The year.
        columns: Those of the table that are wanted; by default all. One that the table did not have yet is null.
        part: A slice or a month.

    Raises:
        ArchiveFileError: The file is missing, or is not as it was written.
        StoreError: The store is away, or refuses.
    """
    table, store = GRAINS[year.asset].table, places.archive()
    types = {column.name: frames.polars_type(column) for column in table.columns if not column.computed}
    file = archive_files.scan(_content(store.address, year.name))
    known = file.collect_schema().names()
    rows = file if part is None else file.filter(pl.col("ts").is_between(part.start, part.end, "left"))
    wanted = columns or types.keys()
    return rows.select(
        pl.col(name) if name in known else pl.lit(None, types[name]).alias(name) for name in wanted
    ).collect()


@lru_cache(maxsize=FILES_IN_MEMORY)
def _content(_address: str, name: str) -> bytes:
    return archive_files.read(places.archive(), name)


def _asset(grain: Grain) -> str | None:
    """Whose grain it is, if cold storage may hold it."""
    return next((asset for asset in ASSETS if GRAINS[asset] == grain), None)


def _standing(asset: str, part: Slice | None) -> Select[tuple[str, str, dt.datetime, dt.datetime, str, int]]:
    f = FILES.c
    standing = (
        select(
            f.asset, f.market, f.first_session.label("first"), f.last_session.label("last"), f.name, f.row_count
        )
        .where(f.asset == asset, f.superseded_at.is_(None))
        .order_by(f.market, f.first_session)
    )
    if part is None:
        return standing
    return standing.where(f.market == part.market.name, f.first_session < part.end, f.last_session >= part.start)
