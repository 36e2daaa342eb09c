"""Years: daily bars and features of old years go to cold storage, a file a year, market and table, and come back.

What belongs here: which years are moved, the move, and the way back. 15m bars are moved by session (`moving.py`).
Kept elsewhere: the rows of these files (`tables/reading/cold.py`), the files (`files.py`).

A year of a market is moved as a whole, bars and features in one transaction, under the locks of everything that
writes them. A crash leaves it in its tables or in files that are named, never in neither. Rows stay as they are to
the last bit, with ids and times. Earlier versions of bars stay in `price_bar_revisions`, and are found as before.

Whoever writes to a year in cold storage puts it back first (`restore_written`); the next move takes it again. Rows
that another program wrote to such a year are newer than those in the file: the older bars become revisions.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS, Market, market_named
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import server_time
from boursomatic_assets.stores import archive_files
from boursomatic_assets.stores.store import AwayError, StoreError
from boursomatic_assets.tables import frames, revisions
from boursomatic_assets.tables.activity import SESSIONS_UNTIL_INACTIVE
from boursomatic_assets.tables.archive import files
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import cold, fetch
from boursomatic_assets.tables.reading.cold import ASSETS, ColdYear
from boursomatic_assets.tables.reading.slices import table_query
from boursomatic_assets.tables.revisions import PRICE_BARS
from boursomatic_assets.tables.staging import analyze, copy, lock_slice, transaction

NAMED = 3
"""Years that an error names."""

BESIDE_A_FILE = "{} came beside its file while the year was waited for; another program wrote them, so try again"

KNOWN_FROM = pl.coalesce("updated_at", "created_at")
"""Since when a row is known as it is."""


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
    def whole(self) -> Slice:
        """The slice that holds it: whoever locks it keeps everybody from writing rows of the market."""
        return Slice(self.market, (self.start.date(), self.end.date() - dt.timedelta(days=1)))

    def rows_of(self, asset: str) -> files.Rows:
        """The rows of an asset in this year."""
        return files.Rows(asset, self.market.name, self.start, self.end - dt.timedelta(days=1))


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
    return [database.again(partial(_restore, Year(market_named(market), number))) for number in numbers]


def restore_written(asset: str, part: Slice) -> None:
    """Put the years back in which rows of a slice are about to be written."""
    if asset in ASSETS:
        for year in _cold_years(part):
            database.again(partial(_restore, year))


def restore_of(connection: Connection, part: Slice, instrument_id: str) -> None:
    """Put the years of a slice back that have rows of an instrument, under locks that the transaction has."""
    for year in _cold_years(part):
        files_of_year = _files(year)
        if any(instrument_id in cold.read(one, ("instrument_id",))["instrument_id"] for one in files_of_year):
            _put_back(connection, year)


def count_beside(connection: Connection, asset: str) -> int:
    """How many rows of years in files are in their table, where another program wrote them."""
    grain = GRAINS[asset]
    exchanges = [(exchange, market.name) for market in MARKETS.values() for exchange in market.exchanges]
    beside = text(
        f"SELECT count(*) FROM archive_files f JOIN {grain.table.name} t ON t.ts >= f.first_session"
        f" AND t.ts < f.last_session + interval '1 day' AND t.{grain.row_condition}"
        " JOIN instruments i ON i.id = t.instrument_id"
        " JOIN unnest(CAST(:exchanges AS text[]), CAST(:markets AS text[])) AS m(exchange, market)"
        "   ON m.exchange = i.exchange AND m.market = f.market"
        " WHERE f.asset = :asset AND f.superseded_at IS NULL"
    )
    names, markets = zip(*exchanges, strict=True)
    given = {"asset": asset, "exchanges": [*names], "markets": [*markets]}
    return connection.scalar(beside, given) or 0


def _cold_years(part: Slice) -> list[Year]:
    """The years of a slice of which a file stands for some rows."""
    found = [year for asset in ASSETS for year in cold.years(GRAINS[asset], part)]
    return [Year(part.market, number) for number in sorted({year.first.year for year in found})]


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
    if _files(year) and any(_stored(asset, year).height for asset in ASSETS):
        _restore(year)
    with _locked(year) as connection:
        files.lock_shared(connection)
        return MovedYear(
            year.market.name, year.number, {asset: _move_rows(connection, year, asset) for asset in ASSETS}
        )


@contextmanager
def _locked(year: Year) -> Iterator[Connection]:
    """A transaction in which nobody else writes bars or features of the year's market."""
    with transaction() as connection:
        for asset in ASSETS:
            lock_slice(connection, GRAINS[asset].table.name, year.whole)
        yield connection


def _move_rows(connection: Connection, year: Year, asset: str) -> int:
    grain = GRAINS[asset]
    rows = _stored(asset, year)
    if rows.is_empty():
        return 0
    if any(file.asset == asset for file in _files(year)):
        raise RuntimeError(BESIDE_A_FILE.format(f"{rows.height:,} rows of {asset}"))
    content = archive_files.to_file(rows)
    name = archive_files.name_of_year(asset, year.number, year.market.name, content)
    moved = dataclasses.replace(year.rows_of(asset), months=_months(rows))
    files.write(connection, moved, name, content, rows.height)
    deleted = connection.execute(
        text(
            f"DELETE FROM {grain.table.name} t USING instruments i WHERE i.id = t.instrument_id"
            f" AND t.{grain.row_condition} AND t.ts >= :start AND t.ts < :end AND i.exchange = ANY(:exchanges)"
        ),
        {"start": year.start, "end": year.end, "exchanges": list(year.market.exchanges)},
    ).rowcount
    if deleted != rows.height:
        raise RuntimeError(
            f"{rows.height:,} rows of {asset} were read, and {deleted:,} would be deleted; another program writes"
            " them, so try again when it has ended"
        )
    analyze(connection, grain.table.name, skip_locked=True)
    return deleted


def _months(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """What `coverage_by_month` says of rows."""
    ts, month = pl.col("ts"), pl.col("ts").dt.truncate("1mo").dt.date().cast(pl.String)
    by_month = rows.group_by(month=month).agg(
        as_of=ts.max().cast(pl.String),
        sessions=ts.n_unique(),
        rows=pl.len(),
        instruments=pl.col("instrument_id").n_unique(),
    )
    return by_month.sort("month").to_dicts()


def _restore(year: Year) -> MovedYear:
    with _locked(year) as connection:
        return MovedYear(year.market.name, year.number, _put_back(connection, year))


def _put_back(connection: Connection, year: Year) -> dict[str, int]:
    """Insert the rows of a year's files that the tables lack, and let the files stand for none."""
    counts = dict[str, int]()
    for file in _files(year):
        table = GRAINS[file.asset].table
        rows, newer = cold.read(file), _stored(file.asset, year)
        if table is PRICE_BARS:
            _record_older(connection, rows, newer)
        missing = rows.join(newer, on=frames.key(table), how="anti")
        copy(connection, table.name, missing)
        files.supersede(connection, year.rows_of(file.asset))
        analyze(connection, table.name, skip_locked=True)
        counts[file.asset] = missing.height
    return counts


def _files(year: Year) -> list[ColdYear]:
    """The files that stand for the rows of a year."""
    found = (one for asset in ASSETS for one in cold.years(GRAINS[asset], year.whole))
    return [one for one in found if one.first == year.start]


def _record_older(connection: Connection, rows: pl.DataFrame, newer: pl.DataFrame) -> None:
    """Record the bars whose place another program has given to others, known until those, or until now."""
    key = frames.key(PRICE_BARS)
    others = newer.select(*key, other_from=KNOWN_FROM, same=pl.struct(*"ohlcv"))
    older = rows.with_columns(known_from=KNOWN_FROM).join(others, on=key)
    is_earlier = pl.col("known_from") < pl.col("other_from")
    now = pl.lit(server_time.database_time(connection), pl.Datetime("us"))
    known_until = pl.when(is_earlier).then("other_from").otherwise(now)
    columns = (*key, *"ohlcv", *frames.origins(PRICE_BARS), "known_from", "known_until")
    lost = older.filter(is_earlier | (pl.struct(*"ohlcv") != pl.col("same"))).with_columns(known_until=known_until)
    revisions.record_older_bars(connection, lost.select(columns))


def _stored(asset: str, year: Year) -> pl.DataFrame:
    """The rows of a year that lie in the table, with all columns."""
    table = GRAINS[asset].table
    columns = [column.name for column in table.columns if not column.computed]
    return fetch(table_query(GRAINS[asset], year, columns))
