"""The way into a table: lock the slice, copy the frame beside the table.

What belongs here: advisory locks, the staged COPY, and the SQL fragments that compare stage and table.
Kept elsewhere: what is then done with the staged rows (`merging.py`).
"""

from dataclasses import dataclass

import polars as pl
import psycopg
from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import JSON

from boursomatic_assets import frames
from boursomatic_assets.slices import Slice

_QUOTE = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Stage:
    """A frame's rows in a temporary table of this transaction, beside the table they are meant for.

    In the fragments, `t` is the table and `s` the stage.
    """

    table: Table
    columns: tuple[str, ...]
    rows: int

    @property
    def name(self) -> str:
        """The temporary table's name."""
        return f"stage_{self.table.name}"

    @property
    def same_key(self) -> str:
        """The rows of table and stage that mean the same thing."""
        return " AND ".join(f"t.{_QUOTE(name)} = s.{_QUOTE(name)}" for name in frames.key(self.table))

    @property
    def differs(self) -> str:
        """Rows of the same key whose content is not the same; JSON is compared as text."""
        return f"({self._content('t')}) IS DISTINCT FROM ({self._content('s')})"

    @property
    def assignments(self) -> str:
        """The content of `s` as the SET clause of an update of `t`, with the time of the change.

        Where a table has no `updated_at`, a changed row is a new record: its `created_at` says since when.
        """
        stamp = "updated_at" if "updated_at" in self.table.columns else "created_at"
        return ", ".join([*(f"{_QUOTE(name)} = s.{_QUOTE(name)}" for name in self._values), f"{stamp} = now()"])

    def listed(self, alias: str = "") -> str:
        """The staged columns, comma-separated."""
        return ", ".join(f"{alias}{_QUOTE(name)}" for name in self.columns)

    @property
    def _values(self) -> list[str]:
        return [name for name in self.columns if name not in {"id", *frames.key(self.table)}]

    def _content(self, alias: str) -> str:
        cast = {name: "::text" if isinstance(self.table.c[name].type, JSON) else "" for name in self._values}
        return ", ".join(f"{alias}.{_QUOTE(name)}{cast[name]}" for name in self._values)


def stage(connection: Connection, table: Table, frame: pl.DataFrame) -> Stage:
    """Copy a frame into a temporary table that goes with the transaction.

    Raises:
        frames.FrameError: the frame does not fit the table.
    """
    frame = frames.check(table, frame)
    staged = Stage(table, tuple(frame.columns), frame.height)
    listed = staged.listed()
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {staged.name}")
    connection.exec_driver_sql(
        f"CREATE TEMP TABLE {staged.name} ON COMMIT DROP AS SELECT {listed} FROM {table.name} WITH NO DATA"
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {staged.name} ({listed}) FROM STDIN (FORMAT csv)") as copy,
    ):
        copy.write(frame.write_csv(include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f").encode())
    connection.exec_driver_sql(f"ANALYZE {staged.name}")
    return staged


def stage_slice(connection: Connection, table: Table, time: str, part: Slice, frame: pl.DataFrame) -> Stage:
    """Lock a slice and stage its new rows.

    Raises:
        frames.FrameError: the frame does not fit the table, or has rows that another slice owns.
    """
    lock(connection, table.name, part)
    staged = stage(connection, table, frame)
    outside = connection.scalar(
        text(
            f"SELECT count(*) FROM {staged.name} s LEFT JOIN instruments i ON i.id = s.instrument_id"
            f" WHERE s.{_QUOTE(time)} < :start OR s.{_QUOTE(time)} >= :end"
            " OR i.exchange IS NULL OR i.exchange <> ALL(:exchanges)"
        ),
        bounds(part),
    )
    if outside:
        raise frames.FrameError(f"{table.name}: {outside} rows of the frame lie outside of the slice {part}")
    return staged


def bounds(part: Slice) -> dict[str, object]:
    """A slice as bound parameters: start, end, exchanges."""
    return {"start": part.start, "end": part.end, "exchanges": list(part.market.exchanges)}


def lock(connection: Connection, name: str, part: Slice) -> None:
    """Hold a slice until the transaction ends: one session locks itself, a range its whole market."""
    market = f"{name}|{part.market.name}"
    if len(part.dates) > 1:
        advisory_lock(connection, market)
    else:
        advisory_lock(connection, market, shared=True)
        advisory_lock(connection, f"{market}|{part.dates[0]}")


def advisory_lock(connection: Connection, name: str, *, shared: bool = False) -> None:
    """Wait for the lock of this name; it ends with the transaction."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(text(f"SELECT {function}(hashtextextended(:name, 0))"), {"name": name})
