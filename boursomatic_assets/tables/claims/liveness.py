"""Liveness: which claimed runs have lost their process, and giving those up.

What belongs here: judging the claims of all processes, and the end of a claim from outside.
Kept elsewhere: the claims of this process (`holding.py`).
"""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.database import advisory

GONE_SECONDS = 25
"""For how long a run without its lock may be silent: after a restart of the server it takes the lock again."""

SILENT_SECONDS = 100
"""For how long a run that has its lock may be silent: its process is stopped, or its machine is cut off."""

_OF_RUN = advisory.is_lock(advisory.of_name("'run ' || c.run_id"), "l")
_CLAIMS = text(f"""
SELECT c.run_id, c.host, c.pid, c.seen_at, c.epoch > 0 AS given_up, l.pid IS NOT NULL AS locked,
    extract(epoch FROM clock_timestamp()::timestamp
        - greatest(c.seen_at, pg_postmaster_start_time()::timestamp))::float AS silence
FROM run_claims c LEFT JOIN pg_locks l ON {_OF_RUN}
ORDER BY c.claimed_at
""")
"""While the server was down nobody could say that it lives."""

_GIVE_UP = text("UPDATE run_claims SET epoch = epoch + 1 WHERE run_id = :run")

_GIVE_UP_ALL = text("UPDATE run_claims SET epoch = epoch + 1 WHERE epoch = 0")

_FORGET = text("DELETE FROM run_claims WHERE epoch > 0 AND seen_at < now() - interval '30 days'")

_OF_WRITING = advisory.is_lock(advisory.of_name("'writing ' || :run"))
_END_WRITING = text(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {_OF_WRITING}")

_AWAIT_END = text("SELECT pg_advisory_xact_lock(hashtextextended('writing ' || :run, 0))")


@dataclass(frozen=True)
class DeadRun:
    """A run whose process does not live any more, as far as the database can see.

    Attributes:
        run_id: Dagster's id.
        host: The machine that it ran on.
        pid: Its process there.
        seen_at: When that last said that it lives, naive UTC.
        locked: Whether the server still has its connection: the process is stopped, or cut off.
        given_up: Whether it can write no more.
    """

    run_id: str
    host: str
    pid: int
    seen_at: dt.datetime
    locked: bool
    given_up: bool

    def __str__(self) -> str:
        state = "is silent" if self.locked else "is gone"
        return f"process {self.pid} of {self.host} {state}, last seen at {self.seen_at:%Y-%m-%d %H:%M:%S} UTC"


def dead_runs(connection: Connection) -> dict[str, DeadRun]:
    """The claimed runs whose process is gone or silent, or that were given up, by id, the oldest first."""
    return {
        row.run_id: DeadRun(row.run_id, row.host, row.pid, row.seen_at, row.locked, row.given_up)
        for row in connection.execute(_CLAIMS)
        if row.given_up or row.silence > (SILENT_SECONDS if row.locked else GONE_SECONDS)
    }


def unended_runs(connection: Connection) -> dict[str, DeadRun]:
    """Those that nobody has given up yet."""
    return {run_id: dead for run_id, dead in dead_runs(connection).items() if not dead.given_up}


def give_up_all() -> None:
    """Let no run write that is claimed in a database which was restored: its process is one of another place."""
    with database.engine().begin() as connection:
        connection.execute(_GIVE_UP_ALL)


def give_up(run_id: str) -> None:
    """Let a run write no more: its transactions are rolled back, and it can begin no other.

    One that has no claim is left alone. First none may begin, then those that go on are ended, then it is awaited
    that they are over.
    """
    engine = database.engine()
    with engine.begin() as connection:
        if not connection.execute(_GIVE_UP, {"run": run_id}).rowcount:
            return
        connection.execute(_FORGET)
    with engine.begin() as connection:
        connection.execute(_END_WRITING, {"run": run_id})
        connection.execute(_AWAIT_END, {"run": run_id})
