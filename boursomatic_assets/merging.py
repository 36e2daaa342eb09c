"""The four ways in which a frame's rows become a table's rows.

What belongs here: `replace` (a slice becomes the frame), `add` (rows that are missing come, none changes or goes),
`upsert` (rows are added or changed, none goes), `supersede` (old rows are archived, new ones inserted). Each is
one transaction's worth of SQL, the caller's.
Kept elsewhere: locks and COPY (`staging.py`), the comparison (`differences.py`).

Everywhere: the stored rows are read under the slice's lock and compared here, so only a difference is sent.
New rows are copied straight into the table. Identical rows are not touched, and sessions for which the frame
has no row stay as they are, so that an empty delivery never wipes a full slice; unless the rows are derived from
tables alone. The stored rows come through another connection, which sees what was committed: a transaction writes
a slice once.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl
from sqlalchemy import Connection, Table, text

from boursomatic_assets import frames, identifiers
from boursomatic_assets.differences import Difference, difference
from boursomatic_assets.models import PROFILES
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import advisory_lock, bounds, copy, lock, quote, require_inside, same_key, stage
from boursomatic_assets.tables import Grain, read, read_table

WORTH_ANALYSING, GROWTH = 10_000, 0.2
"""A table of sessions is analysed when more rows come than so many, and than this share of those that it had."""

_OF_MARKET = "t.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))"


@dataclass(frozen=True)
class Merge:
    """What writing a frame did, in rows."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0

    def __add__(self, other: Self) -> "Merge":
        return Merge(
            self.inserted + other.inserted,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.removed + other.removed,
        )


Told = Callable[[Connection, Difference], None]
"""Who is told, in the transaction, what it is about to do."""


def _nobody(connection: Connection, found: Difference) -> None:
    """Nobody needs to know."""


def replace(
    connection: Connection,
    grain: Grain,
    part: Slice,
    frame: pl.DataFrame,
    told: Told = _nobody,
    *,
    staying: Sequence[Slice] = (),
) -> Merge:
    """Make a slice equal to the frame: vanished keys go, changed rows change. `told` sees what before it is done.

    Of what is `staying` vanished keys stay: there the frame is known to be incomplete.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    found = _difference(connection, grain, part, frame)
    stays = (pl.col(grain.time).is_between(one.start, one.end, closed="left") for one in staying)
    found = dataclasses.replace(found, vanished=found.vanished.filter(~pl.any_horizontal(pl.lit(False), *stays)))
    told(connection, found)
    if found.vanished.height:
        name = stage(connection, grain.table, found.vanished)
        connection.exec_driver_sql(
            f"DELETE FROM {grain.table.name} t USING {name} s WHERE {same_key(grain.table)}"
        )
    _change(connection, grain.table, found.changed)
    _insert(connection, grain.table, found.new.with_columns(identifiers.of_rows(found.new)))
    return _counts(found)


def add(connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame) -> Merge:
    """Insert the rows whose key a slice does not have; what is stored stays, whatever the frame says of it.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    new = _difference(connection, grain, part, frame).new
    _insert(connection, grain.table, new.with_columns(identifiers.of_rows(new)))
    return Merge(inserted=new.height, unchanged=frame.height - new.height)


def upsert(connection: Connection, table: Table, frame: pl.DataFrame) -> Merge:
    """Add and change rows of an unpartitioned table; rows that the frame does not name stay.

    Raises:
        frames.FrameError: the frame does not fit the table.
    """
    advisory_lock(connection, table.name)
    frame, key = frames.check(table, frame), frames.key(table)
    stored = read_table(table).select(name for name in frame.columns if name != "id")
    found = difference(frame, stored.join(frame, on=key, how="semi"), key)
    _change(connection, table, found.changed.drop("id"))
    copy(connection, table.name, found.new)
    if found.new.height:  # autovacuum waits for 50 rows: until then a new market is planned for as one instrument
        connection.exec_driver_sql(f"ANALYZE {table.name}")
    return _counts(found)


def supersede(
    connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame, told: Told = _nobody
) -> Merge:
    """Make the current rows of a slice equal to the frame without losing one: what it replaces is archived.

    Of each instrument and profile the current row of the newest session is then the active one, whatever
    order the sessions were written in.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    found = _difference(connection, grain, part, frame)
    told(connection, found)
    replaced = pl.concat([found.vanished, found.changed.select(found.vanished.columns)])
    if replaced.height:
        name = stage(connection, grain.table, replaced)
        connection.exec_driver_sql(
            f"UPDATE {grain.table.name} t SET superseded_at = now(), is_active = false"
            f" FROM {name} s WHERE t.{grain.own} AND {same_key(grain.table)}"
        )
    written = pl.concat([found.new, found.changed]).sort(grain.time, maintain_order=True)
    ids = identifiers.of_advice(written)
    _insert(connection, grain.table, written.with_columns(ids, is_active=pl.lit(False)))
    _activate_newest(connection, part)
    return _counts(found)


def _difference(connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame) -> Difference:
    """Lock a slice, and hold the frame against what the sessions that it delivers have."""
    lock(connection, grain.table.name, part)
    key = frames.key(grain.table)
    frame = frames.check(grain.table, frame).sort(key)
    require_inside(connection, grain.table, grain.time, part, frame)
    stored = read(grain, part, tuple(frame.columns)).drop("market")
    if not grain.derived:
        stored = stored.join(frame, on=grain.time, how="semi", maintain_order="left")
    return difference(frame, stored, key)


def _insert(connection: Connection, table: Table, rows: pl.DataFrame) -> None:
    """Append rows. A table that grows by much is analysed, or the next reader's plan is made for less.

    Whoever analyses it beside this transaction is not waited for. A role that may not is warned by PostgreSQL.
    """
    copy(connection, table.name, rows)
    if rows.height > WORTH_ANALYSING:
        known = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:table)")
        stored = connection.scalar(known, {"table": table.name}) or 0
        if rows.height > GROWTH * stored:
            connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {table.name}")


def _change(connection: Connection, table: Table, rows: pl.DataFrame) -> None:
    """Give stored rows another content, and the time of the change, whatever the rows say of it.

    Where a table has no `updated_at`, a changed row is a new record: its `created_at` says since when.
    """
    if rows.is_empty():
        return
    stamp = "updated_at" if "updated_at" in table.columns else "created_at"
    content = [quote(name) for name in rows.columns if name not in (*frames.key(table), stamp)]
    assignments = ", ".join([*(f"{name} = s.{name}" for name in content), f"{stamp} = now()"])
    name = stage(connection, table, rows)
    connection.exec_driver_sql(f"UPDATE {table.name} t SET {assignments} FROM {name} s WHERE {same_key(table)}")


def _counts(found: Difference) -> Merge:
    return Merge(found.new.height, found.changed.height, found.unchanged, found.vanished.height)


def _activate_newest(connection: Connection, part: Slice) -> None:
    """Move the active flag to the newest current row; one writer per market at a time, until its commit."""
    advisory_lock(connection, f"recommendations|{part.market.name}|active")
    newest = (
        "(SELECT max(n.as_of) FROM recommendations n WHERE n.instrument_id = t.instrument_id"
        " AND n.profile = t.profile AND n.superseded_at IS NULL)"
    )
    connection.execute(
        text(
            "UPDATE recommendations t SET is_active = false"
            f" WHERE t.is_active AND {_OF_MARKET} AND t.as_of < {newest}"
        ),
        bounds(part),
    )
    connection.execute(
        text(
            "UPDATE recommendations t SET is_active = true"
            " FROM (SELECT i.id, p.profile, (SELECT max(n.as_of) FROM recommendations n"
            "   WHERE n.instrument_id = i.id AND n.profile = p.profile AND n.superseded_at IS NULL) AS as_of"
            "   FROM instruments i, unnest(CAST(:profiles AS text[])) AS p(profile)"
            "   WHERE i.exchange = ANY(:exchanges)) newest"
            " WHERE t.instrument_id = newest.id AND t.profile = newest.profile AND t.as_of = newest.as_of"
            " AND t.superseded_at IS NULL AND NOT t.is_active"
        ),
        {**bounds(part), "profiles": list(PROFILES)},
    )
