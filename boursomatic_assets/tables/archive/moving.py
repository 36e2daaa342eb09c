"""Moving: 15m bars older than the retention period go to the archive, and come back when they are asked for.

What belongs here: which sessions are moved, the move, and the way back. Old years of daily bars: `year_moves.py`.
Kept elsewhere: the files (`files.py`), reading them where they lie (`reading.py`).

A crash leaves bars in the table, or in a file that is named, never in neither. No archived bar is lost afterwards:

- A session that is delivered again is restored first. So the delivery is compared with the known bars, and those
  that it changes become revisions in `price_bar_revisions`. Bars that it lacks stay, since a source often has only
  a part of a session that old.
- Bars written to the table without that step (by another program, or before a file was adopted) are newer than
  those in the archive. When the session is archived again or restored, the older ones become revisions, known
  until the newer ones came.
"""

import datetime as dt
from dataclasses import dataclass
from functools import partial

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import absorbed, database
from boursomatic_assets.calendars.markets import MARKETS, market_named
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.stores import archive_files, places
from boursomatic_assets.tables import merging, revisions
from boursomatic_assets.tables.archive import adoption, files, reading
from boursomatic_assets.tables.archive.files import ArchivedSession
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import read_slice, read_table
from boursomatic_assets.tables.staging import bounds, lock_slice, transaction

RETENTION = dt.timedelta(days=30)

ARCHIVE_TIME = dt.time(3, 30)
"""When the bars that exceed RETENTION are moved each day, in UTC."""

GRAIN = GRAINS[files.ASSET]


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
    """Archive the bars of every session that is older than RETENTION, and delete them from the table.

    Files of before are adopted first, and files that were superseded long ago are removed at last.
    """
    for name, reason in adoption.adopt().left.items():
        absorbed.record(ValueError(reason), f"{name} is left as it is")
    parts = database.again(lambda: _sessions_before(first_kept_date(today)))
    moved = [database.again(partial(_move_session, part)) for part in parts]
    files.remove_superseded()
    return [session for session in moved if session.bar_count]


def restore(market: str, start: dt.date, end: dt.date, *, none_is_wrong: bool = True) -> list[MovedSession]:
    """Insert archived bars into the table where it has none; they stay in the archive.

    A bar that is in the table is newer, and stays as it is.

    Returns:
        Each session with an archive file, and how many of its bars were inserted.

    Raises:
        ValueError: the range is empty, or nothing is archived for these dates though something should be.
    """
    if start > end:
        raise ValueError(f"the range is empty: {start} is after {end}")
    dates = tuple(start + dt.timedelta(days=n) for n in range((end - start).days + 1))
    sessions = [session.part for session in files.archived_sessions(Slice(market_named(market), dates))]
    if not sessions and none_is_wrong:
        raise ValueError(f"nothing of {market} is archived from {start} to {end} in {places.archive().address}")
    return [database.again(partial(_restore_session, session)) for session in sessions]


def restore_delivered(part: Slice, times: pl.Series) -> None:
    """Restore the archived sessions of a slice that have a bar at one of these times."""
    for session in files.archived_sessions(part):
        if times.is_between(session.part.start, session.part.end, "left").any():
            _restore_session(session.part)


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
        files.lock_shared(connection)
        lock_slice(connection, GRAIN.table.name, part)
        columns = ("instrument_id", *archive_files.COLUMNS[2:])
        bars = _with_symbols(read_slice(GRAIN, part, columns)).select(archive_files.COLUMNS)
        if bars.is_empty():  # bars of an evening, dated after midnight, were moved with their session
            return MovedSession(part, 0)
        missing = [_reconcile_with_table(connection, session) for session in files.archived_sessions(part)]
        whole = pl.concat([bars, *missing])
        content = archive_files.to_content(whole)
        files.write(connection, files.rows_of(part), archive_files.name_of(part, content), content, whole.height)
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
        found = [_reconcile_with_table(connection, session) for session in files.archived_sessions(part)]
        return MovedSession(part, sum(_add(connection, part, bars) for bars in found))


def _add(connection: Connection, part: Slice, bars: pl.DataFrame) -> int:
    return merging.add(connection, GRAIN, part, _with_instrument_ids(bars)).inserted


def _reconcile_with_table(connection: Connection, session: ArchivedSession) -> pl.DataFrame:
    """The archived bars of a session that the table lacks; those with a newer bar are written to the revisions."""
    bars = reading.unstored_bars(session)
    replaced = pl.col("known_until").is_not_null()
    older = _with_instrument_ids(bars.filter(replaced).drop("created_at", "updated_at"))
    revisions.record_older_bars(connection, older)
    return bars.filter(~replaced).select(archive_files.COLUMNS)


def _with_instrument_ids(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with `instrument_id` instead of symbol and exchange."""
    return bars.join(_instrument_ids(), on=["symbol", "exchange"]).drop("symbol", "exchange")


def _with_symbols(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with symbol and exchange instead of `instrument_id`."""
    return bars.join(_instrument_ids(), on="instrument_id").drop("instrument_id")


def _instrument_ids() -> pl.DataFrame:
    return read_table(INSTRUMENTS).select("symbol", "exchange", instrument_id="id")
