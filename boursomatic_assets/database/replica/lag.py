"""Lag: how far a replica is behind what the primary had committed at a moment.

What belongs here: a mark of the primary, and the distance of a replica from it.
Kept elsewhere: what follows from it for a reader (`reading.py`).

The proof that a replica has what a reader needs is a position in the primary's log (WAL). The reader asks the
primary first: whatever is visible there at that moment was written before this position, in any table and by
whomever. Then the replica: a commit is visible there once it is replayed. No number of a ledger says as much.
Numbers of a sequence are not given in the order of commits, so the newest may be visible on the replica before an
older one; and a number that is, would be a lock for which all writers wait. A transaction does not know the
position of its own commit, but nobody asks for that: a reader asks for the position after all commits that it
could see.

That is as far as the log is on disk: before that no commit is visible, unless the server was told not to wait for
it (synchronous_commit); then it is as far as the log is written at all. What is not a commit may stay in memory
until the next one, and no replica gets it before.

Positions can be compared within one history alone, so both servers must be of one system and on one timeline, as
a replica and its primary are.
"""

import contextlib
import datetime as dt
import time
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import URL

from boursomatic_assets.database.addresses import database_url
from boursomatic_assets.database.connections import connect
from boursomatic_assets.database.errors import DatabaseError

SMALLEST_COMMIT: Final = 40
"""Bytes of the log. A position may be given after the header of a page, with nothing between: what is less behind
has every commit."""

CATCH_UP_SECONDS: Final = 1.0
"""How long a replica is waited for that is behind: usually by some milliseconds, as long as the log travels."""

FLUSH_SECONDS: Final = 0.1
"""After how long the primary is asked to hold nothing back."""

POLL_SECONDS: Final = 0.02

_MARK: Final = """
SELECT ARRAY[s.system_identifier::text, c.timeline_id::text, current_database()] AS history,
    clock_timestamp() AT TIME ZONE 'UTC' AS at,
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
        WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
        ELSE pg_current_wal_flush_lsn() END)::text AS lsn
FROM pg_control_system() s, pg_control_checkpoint() c
"""
_STATE: Final = """
SELECT pg_is_in_recovery() AS follows,
    ARRAY[s.system_identifier::text, c.timeline_id::text, current_database()] AS history,
    CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused,
    coalesce(pg_wal_lsn_diff(%(lsn)s::pg_lsn, pg_last_wal_replay_lsn()), 0)::bigint AS bytes,
    pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC' AS replayed
FROM pg_control_system() s, pg_control_checkpoint() c
"""

_REPLAYED: Final = """
SELECT pg_is_in_recovery() AS follows, pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC' AS replayed
"""


class NoReplicaError(DatabaseError):
    """The server of `BOURSOMATIC_READ_URL` is no replica of the primary."""


@dataclass(frozen=True)
class Mark:
    """What the primary had committed at a moment.

    Attributes:
        lsn: The position of its log.
        history: Which system it is, which of its timelines, and which database.
        at: The moment by its clock, naive UTC.
    """

    lsn: str
    history: list[str]
    at: dt.datetime


@dataclass(frozen=True)
class Lag:
    """How far a replica is behind a mark.

    Attributes:
        bytes: Bytes of the log that it has not replayed; 0 if it has every commit.
        replayed: When the last transaction that it has was committed, naive UTC; None: none since it started.
        seconds: How old that is, if there is something that it has not.
        paused: Whether somebody has paused its replay.
    """

    bytes: int
    replayed: dt.datetime | None
    seconds: float
    paused: bool

    def __str__(self) -> str:
        if not self.bytes:
            return "has all that the primary has"
        since = f", and shows what was committed by {self.replayed:%Y-%m-%d %H:%M:%S} UTC" if self.replayed else ""
        paused = "; its replay is paused: `SELECT pg_wal_replay_resume()` there ends that" if self.paused else ""
        return f"is {self.bytes:,} bytes of the log behind{since}{paused}"


def mark(primary: psycopg.Connection) -> Mark:
    """What the primary has committed by now."""
    row = _row(primary, _MARK, {})
    return Mark(row["lsn"], row["history"], row["at"])


def behind(replica: psycopg.Connection, mark: Mark) -> Lag:
    """How far a replica is behind a mark of the primary.

    Raises:
        NoReplicaError: It follows nobody, or another server; or it is another database.
    """
    row = _row(replica, _STATE, {"lsn": mark.lsn})
    _require_following(row)
    if row["history"] != mark.history:
        raise NoReplicaError(
            "BOURSOMATIC_READ_URL names a replica of another server or database than DATABASE_URL:"
            " let it name one of the same, or unset it"
        )
    has_all = row["bytes"] < SMALLEST_COMMIT
    replayed: dt.datetime | None = row["replayed"]
    seconds = 0.0 if has_all or replayed is None else max(0.0, (mark.at - replayed).total_seconds())
    return Lag(0 if has_all else row["bytes"], replayed, seconds, bool(row["paused"]))


def replayed_until(replica: psycopg.Connection) -> dt.datetime | None:
    """When the last transaction that a replica has was committed, naive UTC; None: none since it started.

    Raises:
        NoReplicaError: It follows nobody.
    """
    row = _row(replica, _REPLAYED, {})
    _require_following(row)
    replayed: dt.datetime | None = row["replayed"]
    return replayed


def _require_following(row: dict[str, Any]) -> None:
    if not row["follows"]:
        raise NoReplicaError(
            "the server of BOURSOMATIC_READ_URL follows nobody: let it name a replica, or unset it"
        )


def await_all(primary: psycopg.Connection, replica: psycopg.Connection, seconds: float = CATCH_UP_SECONDS) -> Lag:
    """Wait until a replica has what its primary has now, and no longer than it may; return how far it is then.

    Raises:
        NoReplicaError: As for `behind`.
    """
    marked = mark(primary)
    replica.autocommit = True
    began, flushed = time.monotonic(), False
    while (lag := behind(replica, marked)).bytes:
        waited = time.monotonic() - began
        if lag.paused or waited > seconds:
            break
        if waited > FLUSH_SECONDS and not flushed:
            _flush(primary)
            flushed = True
        time.sleep(POLL_SECONDS)
    return lag


def _flush(primary: psycopg.Connection) -> None:
    """Let the primary send its whole log: of what is no commit, such as hints of readers, it may hold back a part.

    A commit of a few bytes does that. If it is refused, the replica is waited for in vain, and that is said.
    """
    with contextlib.suppress(psycopg.Error):
        primary.rollback()
        primary.read_only = False
        primary.execute("SELECT pg_logical_emit_message(true, 'boursomatic', '')")
        primary.commit()


def measure(url: URL) -> Lag:
    """How far the replica at an address stays behind what the primary has now; each is tried once.

    Raises:
        DatabaseError: One of them does not answer, or it is no replica.
    """
    with connect(database_url(), wait=False) as primary, connect(url, wait=False) as replica:
        return await_all(primary, replica)


def _row(connection: psycopg.Connection, query: Any, given: dict[str, str]) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query, given).fetchone()
    assert row is not None
    return row
