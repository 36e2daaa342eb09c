"""Returns of years: a year in cold storage goes back into its tables.

What belongs here: which years go back, for whom, and how.
Kept elsewhere: the move (`year_moves.py`), what a year is (`years.py`).

Whoever writes to a year in cold storage puts it back first (`restore_written`); the next move takes it again. Rows
that another program wrote to such a year are newer than those in the file: the older bars become revisions.
"""

import datetime as dt
from functools import partial

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import market_named
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import server_time
from boursomatic_assets.stores import archive_files
from boursomatic_assets.tables import frames, revisions
from boursomatic_assets.tables.archive import files
from boursomatic_assets.tables.archive.years import Month, MovedYear, Year, files_of, locked, stored_in_table
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import cold
from boursomatic_assets.tables.reading.cold import ASSETS, ColdYear
from boursomatic_assets.tables.revisions import PRICE_BARS
from boursomatic_assets.tables.staging import analyze, copy


def restore(market: str, start: dt.date, end: dt.date) -> list[MovedYear]:
    """Put the years of a range back into the tables, where they stay until they are moved again.

    Returns:
        Each year that was ever moved; one that is in its tables again has no rows.
    """
    moved = text(
        "SELECT DISTINCT extract(year FROM first_session)::int AS number FROM archive_files"
        " WHERE asset = ANY(:assets) AND market = :market"
        " AND extract(year FROM first_session) BETWEEN :first AND :last ORDER BY number"
    )
    given = {"assets": [*ASSETS], "market": market, "first": start.year, "last": end.year}
    with database.engine().connect() as connection:
        numbers = connection.scalars(moved, given).all()
    return [database.again(partial(put_back, Year(market_named(market), number))) for number in numbers]


def restore_written(asset: str, part: Slice) -> None:
    """Put the years back in which rows of a slice are about to be written."""
    if asset in ASSETS:
        for year in _cold_years(part):
            database.again(partial(put_back, year))


def restore_of(connection: Connection, part: Slice, instrument_id: str) -> None:
    """Put the years of a slice back that have rows of an instrument, under locks that the transaction has."""
    for year in _cold_years(part):
        files_of_year = files_of(year)
        if any(instrument_id in cold.read(one, ("instrument_id",))["instrument_id"] for one in files_of_year):
            _put_back(connection, year)


def put_back(year: Year) -> MovedYear:
    """Put a year back, in a transaction of its own."""
    with locked(year) as connection:
        return MovedYear(year.market.name, year.number, _put_back(connection, year))


def _put_back(connection: Connection, year: Year) -> dict[str, int]:
    """Insert the rows of a year's files that the tables lack, and let the files stand for none."""
    counts = dict[str, int]()
    for file in files_of(year):
        table = GRAINS[file.asset].table
        counts[file.asset] = sum(_put_back_month(connection, file, month) for month in year.months)
        files.supersede(connection, year.rows_of(file.asset))
        analyze(connection, table.name, skip_locked=True)
    return counts


def _put_back_month(connection: Connection, file: ColdYear, month: Month) -> int:
    table = GRAINS[file.asset].table
    rows, newer = cold.read(file, part=month), stored_in_table(file.asset, month)
    if table is PRICE_BARS:
        _record_older(connection, rows, newer)
    missing = rows.join(newer, on=frames.key(table), how="anti")
    copy(connection, table.name, missing)
    return missing.height


def _record_older(connection: Connection, rows: pl.DataFrame, newer: pl.DataFrame) -> None:
    """Record the bars whose place another program has given to others, known until those, or until now."""
    key = frames.key(PRICE_BARS)
    others = newer.select(*key, other_from=archive_files.KNOWN_FROM, same=pl.struct(*"ohlcv"))
    older = rows.with_columns(known_from=archive_files.KNOWN_FROM).join(others, on=key)
    is_earlier = pl.col("known_from") < pl.col("other_from")
    now = pl.lit(server_time.database_time(connection), pl.Datetime("us"))
    known_until = pl.when(is_earlier).then("other_from").otherwise(now)
    columns = (*key, *"ohlcv", *frames.origins(PRICE_BARS), "known_from", "known_until")
    lost = older.filter(is_earlier | (pl.struct(*"ohlcv") != pl.col("same"))).with_columns(known_until=known_until)
    revisions.record_older_bars(connection, lost.select(columns))


def _cold_years(part: Slice) -> list[Year]:
    """The years of a slice of which a file stands for some rows."""
    found = [year for asset in ASSETS for year in cold.years(GRAINS[asset], part)]
    return [Year(part.market, number) for number in sorted({year.first.year for year in found})]
