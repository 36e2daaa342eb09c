"""The archive: 15m bars older than the retention period are moved out of the table, and can be restored or read.

What belongs here: which sessions are moved, the move, and the way back. Daily bars are never moved.
Kept elsewhere: when bars are moved (`assets/archive_15m.py`, `automation.py`), the files
(`stores/archive_files.py`).

A file is complete before its rows are deleted: a crash leaves bars in both places, never in none. No archived bar
is lost afterwards:

- A session that is delivered again is restored first. So the delivery is compared with the known bars, and those
  that it changes become revisions in `price_bar_revisions`. Bars that it lacks stay, since a source often has only
  a part of a session that old.
- Bars written to the table without that step (the archive's folder was not there) are newer than those in the
  archive. When the session is archived again or restored, the older ones become revisions, known until the newer
  ones came.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import database, settings
from boursomatic_assets.calendars.markets import MARKETS, market_named
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.database import locks
from boursomatic_assets.database.dumps import lift_limits
from boursomatic_assets.stores import archive_files
from boursomatic_assets.tables import merging, revisions
from boursomatic_assets.tables.aliases import names
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import one_moment, read_slice, read_table
from boursomatic_assets.tables.staging import advisory_lock, bounds, lock_slice, transaction

RETENTION = dt.timedelta(days=30)

ARCHIVE_TIME = dt.time(3, 30)
"""When the bars that exceed RETENTION are moved each day, in UTC."""

GRAIN = GRAINS["price_bars_15m"]

FILES = "files of the archive"
"""The lock of whoever writes files of the archive, shared, and of whoever copies them all, alone."""


@dataclass(frozen=True)
class MovedSession:
    """A session whose bars were moved, and how many bars."""

    part: Slice
    bar_count: int


def first_kept_date(today: dt.date) -> dt.date:
    """The first date whose bars stay in the table."""
    return today - RETENTION


def first_allowed_date(now: dt.datetime) -> dt.date:
    """The first date whose bars may be in the table at an instant in UTC: bars are moved daily at ARCHIVE_TIME."""
    return first_kept_date((now - dt.timedelta(hours=ARCHIVE_TIME.hour, minutes=ARCHIVE_TIME.minute)).date())


def move_to_archive(today: dt.date) -> list[MovedSession]:
    """Archive the bars of every session that is older than RETENTION, and delete them from the table."""
    parts = database.again(lambda: _sessions_before(first_kept_date(today)))
    moved = [database.again(partial(_move_session, part)) for part in parts]
    return [session for session in moved if session.bar_count]


@contextmanager
def files_unchanged() -> Iterator[None]:
    """Let no file of the archive change within the block, and no session be half moved when it begins.

    So rows that are read in a snapshot from within, and the files, are of one moment. Delivering and restoring go
    on; archiving waits.
    """
    with database.connect(database.database_url("owner")) as connection:
        connection.autocommit = True
        lift_limits(connection)
        locks.lock(connection, FILES, "the archive's files")
        yield


def restore(market: str, start: dt.date, end: dt.date) -> list[MovedSession]:
    """Insert archived bars into the table where it has none; they stay in the archive.

    A bar that is in the table is newer, and stays as it is.

    Returns:
        Each session with an archive file, and how many of its bars were inserted.

    Raises:
        ValueError: the range is empty, or nothing is archived for these dates.
    """
    if start > end:
        raise ValueError(f"the range is empty: {start} is after {end}")
    dates = (start + dt.timedelta(days=n) for n in range((end - start).days + 1))
    slices = (Slice(market_named(market), (date,)) for date in dates)
    sessions = [session for part in slices for session in archive_files.archived_sessions(part)]
    if not sessions:
        raise ValueError(f"nothing of {market} is archived from {start} to {end} in {settings.archive()}")
    return [database.again(partial(_restore_session, session)) for session in sessions]


def restore_delivered(part: Slice, times: pl.Series) -> None:
    """Restore the archived sessions of a slice that have a bar at one of these times."""
    for session in archive_files.archived_sessions(part):
        if times.is_between(session.start, session.end, "left").any():
            _restore_session(session)


def read_bars(part: Slice, interval: str = "daily", known_at: dt.datetime | None = None) -> pl.DataFrame:
    """Bars of a slice as `revisions.read_bars` returns them, with those that are only in the archive.

    Bars that are moved or restored meanwhile are found: the table is read as of one moment, and the files after
    it, which are complete before their rows are deleted.
    """
    with one_moment():
        bars = revisions.read_bars(part, interval, known_at)
        if interval != GRAIN.interval:
            return bars
        sessions = archive_files.archived_sessions(part)
        archived = [_known_bars(_unstored_bars(session), known_at) for session in sessions]
    # Where both are known, a revision is the bar under a name that was merged since.
    one_per_time = pl.concat([*archived, bars]).unique(["exchange", "symbol", "ts"], keep="first")
    return one_per_time.sort("exchange", "symbol", "ts")


def bar_counts(part: Slice) -> dict[dt.date, int]:
    """The number of archived bars of each session of a slice that has a file, as they are read."""
    sessions = archive_files.archived_sessions(part)
    aliases = names.present_names() if sessions else pl.DataFrame()
    columns = ("symbol", "exchange", "ts")
    return {
        one.dates[0]: names.with_present_names(archive_files.read(one, columns), aliases).height
        for one in sessions
    }


def _sessions_before(date: dt.date) -> list[Slice]:
    query = text(
        "SELECT DISTINCT i.exchange, b.ts::date AS session FROM price_bars b"
        " JOIN instruments i ON i.id = b.instrument_id WHERE b.interval = '15m' AND b.ts < :date"
    )
    with database.engine().connect() as connection:
        rows = connection.execute(query, {"date": date}).all()
    return [
        part
        for market in MARKETS.values()
        for session in sorted({row.session for row in rows if row.exchange in market.exchanges})
        for part in slices_of(market, [session])
    ]


def _move_session(part: Slice) -> MovedSession:
    with transaction() as connection:
        advisory_lock(connection, FILES, shared=True)
        lock_slice(connection, GRAIN.table.name, part)
        columns = ("instrument_id", *archive_files.COLUMNS[2:])
        bars = _with_symbols(read_slice(GRAIN, part, columns)).select(archive_files.COLUMNS)
        if bars.is_empty():  # bars of an evening, dated after midnight, were moved with their session
            return MovedSession(part, 0)
        archived = archive_files.archived_sessions(part)
        missing = [_reconcile_with_table(connection, session) for session in archived]
        archive_files.write(part, pl.concat([bars, *missing]))
        deleted = connection.execute(
            text(
                "DELETE FROM price_bars b USING instruments i WHERE i.id = b.instrument_id AND b.interval = '15m'"
                " AND b.ts >= :start AND b.ts < :end AND i.exchange = ANY(:exchanges)"
            ),
            bounds(part),
        )
        return MovedSession(part, deleted.rowcount)


def _restore_session(part: Slice) -> MovedSession:
    with transaction() as connection:
        lock_slice(connection, GRAIN.table.name, part)
        bars = _with_instrument_ids(_reconcile_with_table(connection, part))
        return MovedSession(part, merging.add(connection, GRAIN, part, bars).inserted)


def _reconcile_with_table(connection: Connection, part: Slice) -> pl.DataFrame:
    """The archived bars of a session that the table lacks; those with a newer bar are written to the revisions."""
    bars = _unstored_bars(part)
    replaced = pl.col("known_until").is_not_null()
    older = _with_instrument_ids(bars.filter(replaced).drop("created_at", "updated_at"))
    revisions.record_older_bars(connection, older)
    return bars.filter(~replaced).select(archive_files.COLUMNS)


def _unstored_bars(part: Slice) -> pl.DataFrame:
    """The archived bars of a session that no table has, with `known_from` and `known_until`."""
    bars = names.with_present_names(archive_files.read(part), names.present_names())
    return revisions.find_unstored(bars.with_columns(known_from=archive_files.KNOWN_FROM), part, GRAIN.interval)


def _known_bars(bars: pl.DataFrame, known_at: dt.datetime | None) -> pl.DataFrame:
    """The bars that are known now, or were known at a past moment, with the columns of `revisions.read_bars`."""
    until = pl.col("known_until")
    known = (
        until.is_null()
        if known_at is None
        else (pl.col("known_from") <= known_at) & (until.is_null() | (until > known_at))
    )
    return bars.filter(known).select("symbol", "exchange", "ts", *"ohlcv", "known_from")


def _with_instrument_ids(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with `instrument_id` instead of symbol and exchange."""
    return bars.join(_instrument_ids(), on=["symbol", "exchange"]).drop("symbol", "exchange")


def _with_symbols(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with symbol and exchange instead of `instrument_id`."""
    return bars.join(_instrument_ids(), on="instrument_id").drop("instrument_id")


def _instrument_ids() -> pl.DataFrame:
    return read_table(INSTRUMENTS).select("symbol", "exchange", instrument_id="id")
