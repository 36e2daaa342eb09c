"""Holding: the claims of this process, each with its lock and its sign of life.

What belongs here: taking and releasing a claim, and requiring in a transaction that it still stands.
Kept elsewhere: the claims of other processes (`liveness.py`).
"""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, text

from boursomatic_assets import absorbed, database
from boursomatic_assets.database import advisory, server_time, waiting
from boursomatic_assets.schema.runs import LONGEST_HOST

BEAT_SECONDS = 10.0
"""How often a process says that it lives."""

CONNECTIONS = 10
"""How many connections a run has open at most: with fewer, several that go on could wait for one another."""

ADMIT, ADMITTED = (
    f"SELECT {function}(hashtextextended('run begins', 0))"
    for function in ("pg_try_advisory_lock", "pg_advisory_unlock")
)
OF_RUN = advisory.is_lock(advisory.of_name("'run ' || c.run_id"), "l")
ROOM = f"""
SELECT given.connections / %(each)s AS runs, going_on.count AS going_on, given.connections - used.count AS free
FROM (SELECT sum(setting::int * CASE name WHEN 'max_connections' THEN 1 ELSE -1 END)::int AS connections
        FROM pg_settings
        WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')) given,
    (SELECT sum(numbackends)::int AS count FROM pg_stat_database) used,
    (SELECT count(*)::int FROM run_claims c JOIN pg_locks l ON {OF_RUN}) going_on
"""
LOCK = "SELECT pg_try_advisory_lock(hashtextextended('run ' || %(run)s, 0))"
CLAIM = (
    "INSERT INTO run_claims (id, run_id, host, pid) VALUES (gen_random_uuid(), %(run)s, %(host)s, %(pid)s)"
    " ON CONFLICT (run_id) DO NOTHING"
)
BEAT = "UPDATE run_claims SET seen_at = now() WHERE run_id = %(run)s AND epoch = 0"
OTHERS = "SELECT host, pid FROM run_claims WHERE run_id = %(run)s AND (host, pid) <> (%(host)s, %(pid)s)"
RELEASE = "DELETE FROM run_claims WHERE run_id = %(run)s AND epoch = 0"
WRITING = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('writing ' || :run, 0))")
REQUIRE = text("SELECT 1 FROM run_claims WHERE run_id = :run AND epoch = 0")

_log = logging.getLogger(__name__)
_held: dict[str, "Claim"] = {}


class GivenUpError(RuntimeError):
    """This run was given up: what it computed is not written."""


class ClaimedError(RuntimeError):
    """Another process has claimed this run."""


class Claim:
    """The claim of a run that this process executes."""

    def __init__(self, run_id: str, *, alone: bool = False) -> None:
        """Take it; `alone` if another process cannot be one of the same run's.

        Raises:
            ClaimedError: Another process has it, or had.
            DatabaseError: The database cannot be reached, or has no connections left for another run.
            ClockError: The clocks of the database and of this machine differ, so what is over is not known.
        """
        self.run_id, self._alone, self._over, self.left = run_id, alone, threading.Event(), False
        self._connection = waiting.again(
            lambda: waiting.until_it_answers(lambda: self._open(claim=True), database.let_go)
        )
        self._beating = threading.Thread(target=self._beat, name=f"claim of {run_id}", daemon=True)
        self._beating.start()

    def _open(self, *, claim: bool) -> psycopg.Connection:
        """A connection of its own that has the lock; pooled ones are returned, and would lose it."""
        connection = database.connect(database.database_url())
        connection.autocommit = True
        given = {"run": self.run_id, "host": socket.gethostname()[:LONGEST_HOST], "pid": os.getpid()}
        try:
            if claim:
                _require_same_clock(connection)
                _require_room(connection)
                connection.execute(CLAIM, given)
                if self._alone and (other := connection.execute(OTHERS, given).fetchone()):
                    raise ClaimedError(f"process {other[1]} of {other[0]} has claimed it")
            connection.execute(LOCK, given)
            if claim:
                connection.execute(ADMITTED)
        except psycopg.errors.UndefinedTable:
            connection.close()
            raise database.DatabaseError(
                "the database has no table of claims yet: run `boursomatic db upgrade`"
            ) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _beat(self) -> None:
        """Say again and again that this process lives; after a restart of the server, take the lock again."""
        while not self._over.wait(BEAT_SECONDS):
            try:
                if self._connection.closed:
                    self._connection = self._open(claim=False)
                if not self._connection.execute(BEAT, {"run": self.run_id}).rowcount:
                    _log.error("run %s was given up: nothing that it computes is written", self.run_id)
                    return
            except (psycopg.Error, database.DatabaseError) as error:
                absorbed.record(error, f"the claim of run {self.run_id} is taken again")
                self._connection.close()

    def release(self) -> None:
        """Give it back at the end of the run; a claim that others gave up stays as they left it."""
        self._over.set()
        self._beating.join()
        if self.left:
            self._connection.close()
            return
        try:
            database.again(self._delete)
        except (psycopg.Error, database.DatabaseError) as error:  # what the run has written is there
            absorbed.record(error, f"the claim of run {self.run_id} is left to `boursomatic runs end-dead`")
        finally:
            self._connection.close()

    def _delete(self) -> None:
        """Delete it, by a new connection if its own was lost."""
        try:
            self._connection.execute(RELEASE, {"run": self.run_id})
        except psycopg.OperationalError:
            self._connection.close()
            self._connection = database.connect(database.database_url())
            self._connection.autocommit = True
            raise


def _require_same_clock(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT clock_timestamp()::timestamp").fetchone()
    assert row is not None
    server_time.require_same_clock(row[0])


def _require_room(connection: psycopg.Connection) -> None:
    """Require that the server has connections for one run more, and that no other begins until ADMITTED.

    Raises:
        AwayError: It has none for now: runs that hold some of them each would wait for one another.
    """
    admitted = connection.execute(ADMIT).fetchone()
    row = connection.execute(ROOM, {"each": CONNECTIONS}).fetchone()
    assert admitted is not None
    assert row is not None
    if not admitted[0]:
        raise database.AwayError("another run begins at this moment")
    runs, going_on, free = row
    if going_on >= max(runs, 1) or (going_on and free < CONNECTIONS - 1):
        raise database.AwayError(
            f"the server has connections for {max(runs, 1)} runs at once, and {going_on} go on: end one, or raise"
            " its max_connections"
        )


@contextmanager
def held(run_id: str | None, *, alone: bool = False) -> Iterator[None]:
    """Hold the claim of a run that this process executes; None: it is no run of Dagster's.

    Raises:
        ClaimedError: `alone` is asked for, and another process has claimed it.
    """
    if run_id is None or run_id in _held:
        yield
        return
    claim = _held[run_id] = Claim(run_id, alone=alone)
    try:
        yield
    finally:
        del _held[run_id]
        claim.release()


def leave(run_id: str) -> None:
    """Let the claim of a run stay at its end, as that of a dead process: Dagster does not know of the end."""
    _held[run_id].left = True


def require_held(connection: Connection) -> None:
    """Require that no run of this process was given up, and that none can be until the transaction ends.

    Raises:
        GivenUpError: One was; the message names it.
    """
    for run_id in _held:
        connection.execute(WRITING, {"run": run_id})  # before the look: who gives it up waits for this lock
        if connection.scalar(REQUIRE, {"run": run_id}) is None:
            raise GivenUpError(
                f"run {run_id} was given up, since its process seemed gone, or it was ended from outside: what it"
                " computed is not written. Another run may have done its work meanwhile; if not, run it again"
            )
