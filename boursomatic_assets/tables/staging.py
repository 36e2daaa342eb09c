"""Staging: transactions that write, locks on slices, and COPY into a table or a temporary table.

What belongs here: what every kind of write needs.
Kept elsewhere: how a frame differs from its slice (`differences.py`), how a difference is written (`merging.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import psycopg
from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import locks
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.claims import holding
from boursomatic_assets.vocabulary import Role

quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]

LIMITS = {
    "work_mem": "64MB",
    **dict.fromkeys(("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"), "0"),
}
"""Settings of a transaction that writes, which override the server's: more memory for sorts, and no time limit on
training within the transaction. `lock_timeout` is as long as who waits has patience: a run of the daemon has it
until `max_runtime_seconds` is over."""

ROWS_PER_PIECE = 50_000
"""Rows of a COPY that are text in memory at once."""

LONGEST_STATEMENT = "30min"
"""The time limit of a statement once its slice is locked."""


@contextmanager
def transaction(role: Role = "writer") -> Iterator[Connection]:
    """A transaction that writes, with those of LIMITS that the server has.

    Raises:
        GivenUpError: The run of this process was given up meanwhile; nothing is written.
        LockWaitError: Another session has a lock for longer than a person waits; nothing is written.
    """
    limits = LIMITS | {"lock_timeout": f"{round((locks.patience or 0) * 1000)}ms"}
    query = text(
        "SELECT set_config(name, limits.value, true) FROM pg_settings"
        " JOIN unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS limits(name, value) USING (name)"
    )
    with database.engine(role).begin() as connection, locks.watched(connection):
        connection.execute(query, {"names": list(limits), "values": list(limits.values())})
        holding.require_held(connection)
        yield connection


def copy(connection: Connection, table: str, frame: pl.DataFrame) -> None:
    """Append a frame's rows to a table, times in microseconds and numbers to the last bit."""
    if frame.is_empty():
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    columns = ", ".join(map(quote, frame.columns))
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as rows:
        for piece in frame.iter_slices(ROWS_PER_PIECE):
            rows.write(piece.write_csv(include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f").encode())


def stage(connection: Connection, table: Table, frame: pl.DataFrame) -> str:
    """Copy a frame into a temporary table, dropped at the end of the transaction; returns its name."""
    name = f"stage_{table.name}"
    columns = ", ".join(map(quote, frame.columns))
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    connection.exec_driver_sql(
        f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {columns} FROM {table.name} WITH NO DATA"
    )
    copy(connection, name, frame)
    connection.exec_driver_sql(f"ANALYZE {name}")
    return name


def analyze(connection: Connection, table: str, *, skip_locked: bool = False) -> None:
    """Refresh a table's statistics, with the rights of its owner: PostgreSQL skips the ANALYZE of another role."""
    connection.execute(
        text("SELECT analyze_table(to_regclass(:table), :skip_locked)"),
        {"table": table, "skip_locked": skip_locked},
    )


def same_key(table: Table) -> str:
    """SQL that joins the table `t` and the staged rows `s` by key."""
    return " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in frames.key(table))


def require_within_slice(
    connection: Connection, table: Table, time: str, part: Slice, frame: pl.DataFrame
) -> None:
    """Require that every row of a frame lies in a slice.

    Raises:
        frames.FrameError: with the number of rows that do not.
    """
    query = text("SELECT id::text FROM instruments WHERE exchange = ANY(:exchanges)")
    instrument_ids = connection.scalars(query, bounds(part)).all()
    in_time = pl.col(time).is_between(part.start, part.end, closed="left")
    inside = frame.filter(in_time & pl.col("instrument_id").is_in(instrument_ids))
    if outside := frame.height - inside.height:
        raise frames.FrameError(f"{table.name}: {outside} rows of the frame lie outside of the slice {part}")


def bounds(part: Slice) -> dict[str, object]:
    """A slice as bound parameters: start, end, exchanges."""
    return {"start": part.start, "end": part.end, "exchanges": list(part.market.exchanges)}


def lock_slice(connection: Connection, name: str, part: Slice) -> None:
    """Lock a slice until the transaction ends: one session locks itself, a range locks its whole market."""
    market = f"{name}|{part.market.name}"
    if len(part.dates) > 1:
        advisory_lock(connection, market)
    else:
        advisory_lock(connection, market, shared=True)
        advisory_lock(connection, f"{market}|{part.dates[0]}")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{LONGEST_STATEMENT}'")


def advisory_lock(connection: Connection, name: str, *, shared: bool = False) -> None:
    """Wait for the lock of this name; the end of the transaction releases it."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.info[locks.LOCK] = f"the lock of {name.replace('|', ' ')}"
    connection.execute(text(f"SELECT {function}(hashtextextended(:name, 0))"), {"name": name})
    del connection.info[locks.LOCK]
