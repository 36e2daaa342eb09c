"""The three ways in which staged rows become a table's rows.

What belongs here: `replace` (a slice becomes the frame), `upsert` (rows are added or changed, none goes),
`supersede` (old rows are archived, new ones inserted). Each is one transaction's worth of SQL, the caller's.
Kept elsewhere: locks and COPY (`staging.py`).

Everywhere: identical rows are not touched, and sessions for which the frame has no row stay as they are, so
that an empty delivery never wipes a full slice.
"""

from dataclasses import dataclass
from typing import Self

import polars as pl
from sqlalchemy import Connection, Table, text

from boursomatic_assets.models import PROFILES
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import Stage, advisory_lock, bounds, stage, stage_slice
from boursomatic_assets.tables import Grain

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


def replace(connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame) -> Merge:
    """Make a slice equal to the frame: vanished keys go, changed rows change.

    Raises:
        frames.FrameError: the frame does not fit the table or the slice.
    """
    staged = stage_slice(connection, grain.table, grain.time, part, frame)
    removed = connection.execute(
        text(f"DELETE FROM {grain.table.name} t WHERE {_vanished(grain, staged)}"),
        bounds(part),
    ).rowcount
    return _merge(connection, staged, removed)


def upsert(connection: Connection, table: Table, frame: pl.DataFrame) -> Merge:
    """Add and change rows of an unpartitioned table; rows that the frame does not name stay."""
    advisory_lock(connection, table.name)
    return _merge(connection, stage(connection, table, frame), removed=0)


def supersede(connection: Connection, grain: Grain, part: Slice, frame: pl.DataFrame) -> Merge:
    """Make the current rows of a slice equal to the frame without losing one: what it replaces is archived.

    Of each instrument and profile the current row of the newest session is then the active one, whatever
    order the sessions were written in.
    """
    staged = stage_slice(connection, grain.table, grain.time, part, frame)
    archive = f"UPDATE {grain.table.name} t SET superseded_at = now(), is_active = false"
    removed = connection.execute(text(f"{archive} WHERE {_vanished(grain, staged)}"), bounds(part)).rowcount
    changed = connection.exec_driver_sql(
        f"{archive} FROM {staged.name} s WHERE {grain.own} AND {staged.same_key} AND {staged.differs}"
    ).rowcount
    written = connection.exec_driver_sql(
        f"INSERT INTO {grain.table.name} (id, is_active, {staged.listed()})"
        f" SELECT gen_random_uuid(), false, {staged.listed('s.')} FROM {staged.name} s"
        f" WHERE NOT EXISTS (SELECT FROM {grain.table.name} t WHERE {grain.own} AND {staged.same_key})"
    ).rowcount
    _activate_newest(connection, part)
    return Merge(written - changed, changed, staged.rows - written, removed)


def _vanished(grain: Grain, staged: Stage) -> str:
    """Rows of the slice whose session was delivered again without them."""
    return (
        f"{grain.own} AND {_OF_MARKET} AND t.{grain.time} >= :start AND t.{grain.time} < :end"
        f" AND t.{grain.time} IN (SELECT {grain.time} FROM {staged.name})"
        f" AND NOT EXISTS (SELECT FROM {staged.name} s WHERE {staged.same_key})"
    )


def _merge(connection: Connection, staged: Stage, removed: int) -> Merge:
    """MERGE, counted without RETURNING, which PostgreSQL 15 does not have there."""
    table = staged.table.name
    known = connection.exec_driver_sql(
        f"SELECT count(*) FROM {staged.name} s JOIN {table} t ON {staged.same_key}"
    ).scalar_one()
    has_id = "id" in staged.columns
    touched = connection.exec_driver_sql(
        f"MERGE INTO {table} t USING {staged.name} s ON {staged.same_key}"
        f" WHEN MATCHED AND {staged.differs} THEN UPDATE SET {staged.assignments}"
        f" WHEN NOT MATCHED THEN INSERT ({'' if has_id else 'id, '}{staged.listed()})"
        f" VALUES ({'' if has_id else 'gen_random_uuid(), '}{staged.listed('s.')})"
    ).rowcount
    inserted = staged.rows - known
    return Merge(inserted, touched - inserted, staged.rows - touched, removed)


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
