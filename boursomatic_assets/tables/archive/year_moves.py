"""Moves of years: daily bars and features of old years go to cold storage, a file a year, market and table.

What belongs here: which years are moved, and the move. 15m bars are moved by session (`moving.py`).
Kept elsewhere: the way back (`year_returns.py`), what a year is (`years.py`).

Rows that another program wrote to a year in cold storage are put together with its own first.
"""

import dataclasses
import datetime as dt
from functools import partial
from typing import Any

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.stores import archive_files
from boursomatic_assets.stores.store import AwayError, StoreError
from boursomatic_assets.tables.activity import SESSIONS_UNTIL_INACTIVE
from boursomatic_assets.tables.archive import files
from boursomatic_assets.tables.archive.year_returns import put_back
from boursomatic_assets.tables.archive.years import MovedYear, Year, any_stored, files_of, locked, stored_in_table
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import one_moment
from boursomatic_assets.tables.reading.cold import ASSETS
from boursomatic_assets.tables.staging import analyze

NAMED = 3
"""Years that an error names."""

BESIDE_A_FILE = "{} came beside its file while the year was waited for; another program wrote them, so try again"


def move(older_than: int, today: dt.date, market: str | None = None) -> list[MovedYear]:
    """Move every year with rows in a table after which so many whole years have passed, of one market or of both.

    Returns:
        The years that were moved, in order.

    Raises:
        ValueError: The number of years is not positive.
        RuntimeError: Some years stay, such as those that another program writes; all others are moved.
        AwayError: The store does not answer.
    """
    if older_than < 1:
        raise ValueError(f"{older_than} years cannot stay: at least the last whole one does, so name 1 or more")
    first, moved, failed = database.again(_first_year), list[MovedYear](), list[str]()
    for one in (one for one in MARKETS.values() if market in (None, one.name)):
        end = min(today.year - older_than, database.again(partial(_newest_years_start, one)))
        for number in range(first or end, end):
            try:
                moved.append(database.again(partial(_move, Year(one, number))))
            except AwayError:
                raise
            except (RuntimeError, StoreError) as error:
                failed.append(f"{one.name} {number}: {error}")
    files.remove_superseded()
    if failed:
        raise RuntimeError(f"{len(failed):,} years were not moved, all others were: {'; '.join(failed[:NAMED])}")
    return [year for year in moved if any(year.rows.values())]


def _newest_years_start(market: Market) -> int:
    """The year from which on all years stay: `activity` looks in the table for bars of the newest sessions."""
    newest = text(
        "SELECT extract(year FROM min(session))::int FROM (SELECT session FROM computed_sessions"
        " WHERE asset = 'price_bars' AND market = :market ORDER BY session DESC LIMIT :count) AS newest"
    )
    with database.engine().connect() as connection:
        found = connection.scalar(newest, {"market": market.name, "count": SESSIONS_UNTIL_INACTIVE})
    return dt.MAXYEAR if found is None else int(found)


def _first_year() -> int | None:
    firsts = " UNION ALL ".join(
        f"SELECT min(ts) FROM {GRAINS[asset].table.name} WHERE {GRAINS[asset].row_condition}" for asset in ASSETS
    )
    with database.engine().connect() as connection:
        first = connection.scalar(text(f"SELECT extract(year FROM min(min))::int FROM ({firsts}) AS firsts"))
    return None if first is None else int(first)


def _move(year: Year) -> MovedYear:
    if files_of(year) and any_stored(year):
        put_back(year)
    with locked(year) as connection:
        files.lock_shared(connection)
        return MovedYear(
            year.market.name, year.number, {asset: _move_rows(connection, year, asset) for asset in ASSETS}
        )


def _move_rows(connection: Connection, year: Year, asset: str) -> int:
    grain = GRAINS[asset]
    pieces, months = list[bytes](), list[dict[str, Any]]()
    with one_moment():
        for rows in (stored_in_table(asset, month) for month in year.months):
            if rows.height:
                pieces.append(archive_files.to_piece(rows))
                months.append(_of_month(rows))
    row_count = sum(month["rows"] for month in months)
    if not row_count:
        return 0
    if any(file.asset == asset for file in files_of(year)):
        raise RuntimeError(BESIDE_A_FILE.format(f"{row_count:,} rows of {asset}"))
    content = archive_files.to_file(pieces)
    name = archive_files.name_of_year(asset, year.number, year.market.name, content)
    files.write(connection, dataclasses.replace(year.rows_of(asset), months=months), name, content, row_count)
    deleted = connection.execute(
        text(
            f"DELETE FROM {grain.table.name} t USING instruments i WHERE i.id = t.instrument_id"
            f" AND t.{grain.row_condition} AND t.ts >= :start AND t.ts < :end AND i.exchange = ANY(:exchanges)"
        ),
        {"start": year.start, "end": year.end, "exchanges": list(year.market.exchanges)},
    ).rowcount
    if deleted != row_count:
        raise RuntimeError(
            f"{row_count:,} rows of {asset} were read, and {deleted:,} would be deleted; another program writes"
            " them, so try again when it has ended"
        )
    analyze(connection, grain.table.name, skip_locked=True)
    return deleted


def _of_month(rows: pl.DataFrame) -> dict[str, Any]:
    """What `coverage_by_month` says of the rows of a month."""
    ts = pl.col("ts")
    of_month = rows.select(
        month=ts.min().dt.truncate("1mo").dt.date().cast(pl.String),
        as_of=ts.max().cast(pl.String),
        sessions=ts.n_unique(),
        rows=pl.len(),
        instruments=pl.col("instrument_id").n_unique(),
    )
    return of_month.row(0, named=True)
