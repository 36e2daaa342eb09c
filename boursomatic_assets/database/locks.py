"""Locks: for whom a transaction waits, said while it does, and the end of patience.

What belongs here: who holds what another needs, as words, when that is said, and when a command gives up.
Kept elsewhere: which transactions are watched (`tables/staging.py`, `migrations/env.py`), who shows what is said
(`cli/running/progress.py`, a run's log by `dagster.yaml`).

A thread looks on, by a connection of its own that it opens only once a statement has taken two seconds. To let the
lock time out, look, and ask again would be simpler, but who asks again is the last in the queue.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from boursomatic_assets import absorbed
from boursomatic_assets.database.connections import connect
from boursomatic_assets.database.errors import DatabaseError

logger = logging.getLogger(__name__)
"""What the command line and the log of a run listen to; where nobody does, Python writes to standard error."""

LOOK_SECONDS = 0.5
SAY_SECONDS = 2.0
LONGEST_PAUSE = 300.0
"""How often it is looked, how long one waits in silence, and the longest pause between two lines about it."""

LOCK = "boursomatic lock"
"""The key of a connection's `info` under which the lock that it asks for has its name."""

patience: float | None = None
"""Seconds that a lock is waited for; None: as long as it takes. Commands of a person set it."""

_HOLDERS = """
SELECT a.pid, a.usename AS login, a.application_name AS program, a.client_addr::text AS address,
    a.xact_start AT TIME ZONE 'UTC' AS since
FROM pg_stat_activity a WHERE a.pid = ANY(%(pids)s) AND a.pid <> pg_backend_pid()
ORDER BY a.wait_event_type = 'Lock', a.xact_start
"""
"""The first is one that does not wait itself. The server tells since when to the same login alone."""

_BLOCKING = "SELECT pg_blocking_pids(pid) AS pids FROM pg_locks WHERE pid = %(pid)s AND NOT granted"

_OF_LOCK = """
SELECT array_agg(pid) AS pids FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = %(key)s
"""

_CLAIMS = "SELECT has_table_privilege(to_regclass('run_claims'), 'SELECT') AS readable"

_RUN = """
SELECT c.run_id, c.host, c.pid, c.claimed_at AS since FROM run_claims c
JOIN pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.pid = %(pid)s
    AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('writing ' || c.run_id, 0)
"""
"""The run that writes in a session: it holds the lock by which its claim is fenced."""


class LockWaitError(DatabaseError):
    """A command has waited for a lock as long as it may; nothing of its transaction is written."""


class Notice:
    """Says for whom one waits: after two seconds, and again after pauses that grow."""

    def __init__(self) -> None:
        """Begin to wait."""
        self.holder: str | None = None
        self.restart()

    def restart(self) -> None:
        """Begin to wait anew."""
        self._began, self._pause = time.monotonic(), SAY_SECONDS
        self._next = self._began + (SAY_SECONDS if patience is None else min(SAY_SECONDS, patience / 2))

    @property
    def seconds(self) -> float:
        """How long one has waited."""
        return time.monotonic() - self._began

    def is_due(self) -> bool:
        """Whether it is time to look and to say something; the next time is later."""
        if time.monotonic() < self._next:
            return False
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._next = time.monotonic() + self._pause
        return True

    def say(self, what: str, holder: str) -> None:
        """Say it: on the command line, and in the run's log."""
        self.holder = holder
        logger.warning("waits for %s, for %.0f s: %s has it", what, self.seconds, holder)

    def give_up(self, what: str) -> LockWaitError:
        """The error of who has waited as long as he may."""
        return LockWaitError(
            f"gave up after {patience:,.0f} s of waiting for {what}, which {self.holder or 'another session'} has:"
            " give the command again when that is over (`boursomatic runs` shows what goes on), or let"
            " BOURSOMATIC_LOCK_WAIT be more seconds"
        )


@contextlib.contextmanager
def watched(connection: Connection) -> Iterator[None]:
    """Say for whom the transaction of a connection waits, for as long as the context lasts.

    Raises:
        LockWaitError: The server ended a statement after its `lock_timeout`.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    notice, over = Notice(), threading.Event()
    name = _name_of_lock(connection.info)
    arguments = (driver, connection.engine.url, name, notice, over)
    threading.Thread(target=_watch, args=arguments, name="lock watch", daemon=True).start()
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        if patience is not None and isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
            raise notice.give_up(name()) from None
        raise
    finally:
        over.set()
        connection.info.pop(LOCK, None)


def _name_of_lock(info: dict[object, object]) -> Callable[[], str]:
    return lambda: str(info.get(LOCK, "a table or a row"))


def _watch(
    driver: psycopg.Connection, url: URL, name: Callable[[], str], notice: Notice, over: threading.Event
) -> None:
    """Look, while one statement takes long, whether it waits for a lock."""
    pid = driver.info.backend_pid
    while not over.wait(LOOK_SECONDS):
        if driver.closed:
            return
        if driver.info.transaction_status != TransactionStatus.ACTIVE:
            notice.restart()
        elif notice.is_due():
            _look(pid, url, name, notice, over)


def _look(pid: int, url: URL, name: Callable[[], str], notice: Notice, over: threading.Event) -> None:
    """Look who blocks a session, by another connection, and say it."""
    try:
        with connect(url, wait=False) as connection:
            row = connection.execute(_BLOCKING, {"pid": pid}).fetchone()
            holder = describe(connection, row[0]) if row else None
    except (DatabaseError, psycopg.Error) as error:  # who waits does not depend on who says so
        absorbed.record(error, "a run that waits does not say for whom")
        return
    if holder and not over.is_set():
        notice.say(name(), holder)


def holder_of(connection: psycopg.Connection, key: int) -> str | None:
    """Who holds an advisory lock, in words; None if nobody does."""
    row = connection.execute(_OF_LOCK, {"key": key}).fetchone()
    return describe(connection, row[0]) if row and row[0] else None


def describe(connection: psycopg.Connection, pids: list[int]) -> str | None:
    """The sessions of some backends, in words: the run that writes there, or the program; None if none is left."""
    with connection.cursor(row_factory=dict_row) as cursor:
        sessions = cursor.execute(_HOLDERS, {"pids": pids}).fetchall()
        if not sessions:
            return None
        first, more = sessions[0], len(sessions) - 1
        claims = cursor.execute(_CLAIMS).fetchone()
        run = cursor.execute(_RUN, {"pid": first["pid"]}).fetchone() if claims and claims["readable"] else None
    return _in_words(first, run) + (f", and {more:,} more" if more else "")


def _in_words(session: dict[str, Any], run: dict[str, Any] | None) -> str:
    """A session, and the run that writes there."""
    if run:
        who = f"run {run['run_id'][:8]} (process {run['pid']} of {run['host']})"
    else:
        address = f" from {session['address']}" if session["address"] else ""
        who = f"{session['program'] or 'a program'} as {session['login']}{address}"
    since = session["since"] or (run and run["since"])
    return f"{who}, since {since:%Y-%m-%d %H:%M:%S} UTC" if since else who
