"""Merging: the four ways to write a frame into a table.

What belongs here: `replace` (a slice becomes the frame), `add` (missing rows are inserted, none is changed or
deleted), `upsert` (rows are inserted or changed, none is deleted), `supersede` (old rows are archived, new ones
inserted). Each runs in the caller's transaction.
Kept elsewhere: locks and COPY (`staging.py`), the comparison (`differences.py`).

All four read the stored rows under the slice's lock and compare them here, so only the difference is written. New
rows are copied straight into the table. Identical rows are not touched. Sessions for which the frame has no row
stay as they are, so that an empty delivery never wipes a full slice; unless the grain is `derived`. The stored
rows are read through another connection, which sees only what is committed: a transaction writes a slice once.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl
from sqlalchemy import Connection, Table, text

from boursomatic_assets.calendars.slices import Slice, rows_outside
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.schema import identifiers
from boursomatic_assets.tables import expiry, frames
from boursomatic_assets.tables.differences import Difference, compare
from boursomatic_assets.tables.grains import Grain
from boursomatic_assets.tables.reading import cold, read_slice, read_table
from boursomatic_assets.tables.staging import (
    advisory_lock,
    analyze,
    copy,
    lock_slice,
    quote,
    require_within_slice,
    same_key,
    stage,
)

WORTH_ANALYSING, GROWTH = 10_000, 0.2
"""A table of sessions is analysed after more rows than so many are inserted, and than this share of its rows."""


@dataclass(frozen=True)
class MergeCounts:
    """How many rows a write inserted, changed, left unchanged and removed."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0

    def __add__(self, other: Self) -> "MergeCounts":
        return MergeCounts(
            self.inserted + other.inserted,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.removed + other.removed,
        )


DifferenceCallback = Callable[[Connection, Difference], None]
"""Called within the transaction with the difference that is about to be written."""


def _do_nothing(connection: Connection, difference: Difference) -> None:
    """The callback of writes without one."""


def replace(
    connection: Connection,
    grain: Grain,
    part: Slice,
    frame: pl.DataFrame,
    on_difference: DifferenceCallback = _do_nothing,
    *,
    incomplete: Sequence[Slice] = (),
) -> MergeCounts:
    """Make a slice equal to the frame: rows of vanished keys are deleted, changed rows are updated.

    Args:
        connection: the transaction.
        grain: the rows that the asset owns.
        part: the slice.
        frame: all rows of the slice.
        on_difference: called before anything is written.
        incomplete: slices of which the frame is known to lack rows: their vanished keys stay.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    difference = _compare_with_stored(connection, grain, part, frame)
    difference = dataclasses.replace(
        difference, vanished=rows_outside(difference.vanished, grain.time_column, incomplete)
    )
    on_difference(connection, difference)
    if difference.vanished.height:
        name = stage(connection, grain.table, difference.vanished)
        connection.exec_driver_sql(
            f"DELETE FROM {grain.table.name} t USING {name} s WHERE {same_key(grain.table)}"
        )
    _change(connection, grain.table, difference.changed)
    _insert(connection, grain.table, difference.new.with_columns(identifiers.of_rows(difference.new)))
    return _merge_counts(difference)


def add(connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame) -> MergeCounts:
    """Insert the rows whose key a slice does not have; stored rows stay unchanged.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    new = _compare_with_stored(connection, grain, part, frame).new
    _insert(connection, grain.table, new.with_columns(identifiers.of_rows(new)))
    return MergeCounts(inserted=new.height, unchanged=frame.height - new.height)


def upsert(connection: Connection, table: Table, frame: pl.DataFrame) -> MergeCounts:
    """Insert and change rows of an unpartitioned table; rows whose key the frame does not have stay.

    Raises:
        frames.FrameError: the frame does not fit the table.
    """
    advisory_lock(connection, table.name)
    frame, key = frames.validate(table, frame), frames.key(table)
    stored = read_table(table).select(name for name in frame.columns if name != "id")
    difference = compare(frame, stored.join(frame, on=key, how="semi"), key)
    _change(connection, table, difference.changed.drop("id"))
    copy(connection, table.name, difference.new)
    if difference.new.height:  # autovacuum waits for 50 rows: a new market would be planned for as one instrument
        analyze(connection, table.name)
    return _merge_counts(difference)


def supersede(
    connection: Connection,
    grain: Grain,
    part: Slice,
    frame: pl.DataFrame,
    on_difference: DifferenceCallback = _do_nothing,
) -> MergeCounts:
    """Make the current rows of a slice equal to the frame; the rows that it replaces are archived.

    Afterwards the active row of each instrument and profile is the current row of its newest session, unless it
    has expired (`expiry.py`), in whatever order the sessions are written. Rows are generated at the moment at
    which those that they replace end.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    difference = _compare_with_stored(connection, grain, part, frame)
    # Under the lock: the transaction may have begun, and waited, before another wrote what it replaces.
    moment = database_time(connection)
    on_difference(connection, difference)
    replaced = pl.concat([difference.vanished, difference.changed.select(difference.vanished.columns)])
    if replaced.height:
        expiry.lock_active(connection, part.market)  # before the rows: another writer may be about to expire them
        name = stage(connection, grain.table, replaced)
        connection.execute(
            text(
                f"UPDATE {grain.table.name} t SET superseded_at = :moment, is_active = false"
                f" FROM {name} s WHERE t.{grain.row_condition} AND {same_key(grain.table)}"
            ),
            {"moment": moment},
        )
    written = pl.concat([difference.new, difference.changed]).sort(grain.time_column, maintain_order=True)
    ids = identifiers.of_recommendations(written)
    generated_at = pl.lit(moment, pl.Datetime("us"))
    rows = written.with_columns(ids, generated_at=generated_at, is_active=pl.lit(False))
    _insert(connection, grain.table, rows)
    expiry.update_active(connection, part.market)
    return _merge_counts(difference)


def _compare_with_stored(connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame) -> Difference:
    """Lock a slice, and compare the frame with the stored rows of its sessions.

    What was advised on the day of a session is of that session, whatever time another program gave it.
    """
    lock_slice(connection, grain.table.name, part)
    cold.require_in_table(connection, grain, part)
    key = frames.key(grain.table)
    frame = frames.validate(grain.table, frame).sort(key)
    require_within_slice(connection, grain.table, grain.time_column, part, frame)
    compared = tuple(name for name in frame.columns if name not in frames.origins(grain.table))
    stored = read_slice(grain, part, compared).drop("market")
    if not grain.derived:
        time = pl.col(grain.time_column)
        session = time.dt.truncate("1d") if grain.supersedes else time
        stored = stored.join(frame, on=session, how="semi", maintain_order="left")
    return compare(frame, stored, key)


def _insert(connection: Connection, table: Table, rows: pl.DataFrame) -> None:
    """Append rows. A table that grows by much is analysed, or the next reader's plan is made for fewer rows.

    Another transaction that analyses it at the same time is not waited for.
    """
    copy(connection, table.name, rows)
    if rows.height > WORTH_ANALYSING:
        known = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:table)")
        stored = connection.scalar(known, {"table": table.name}) or 0
        if rows.height > GROWTH * stored:
            analyze(connection, table.name, skip_locked=True)


def _change(connection: Connection, table: Table, rows: pl.DataFrame) -> None:
    """Give stored rows another content, and the time of the change, whatever the rows say of their times.

    They come from where these rows say that they came from: of rows that do not say it, nothing is known.
    """
    if rows.is_empty():
        return
    unchanged = (*frames.key(table), "created_at", "updated_at")
    content = [quote(name) for name in rows.columns if name not in unchanged]
    unsaid = [f"{name} = NULL" for name in frames.origins(table) if name not in rows.columns]
    assignments = ", ".join([*(f"{name} = s.{name}" for name in content), *unsaid, "updated_at = now()"])
    name = stage(connection, table, rows)
    connection.exec_driver_sql(f"UPDATE {table.name} t SET {assignments} FROM {name} s WHERE {same_key(table)}")


def _merge_counts(difference: Difference) -> MergeCounts:
    return MergeCounts(
        difference.new.height, difference.changed.height, difference.unchanged, difference.vanished.height
    )
