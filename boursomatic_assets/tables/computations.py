"""Computations: when each session of an asset was computed, and when its rows last changed.

What belongs here: reading and writing `computed_sessions`. Kept elsewhere: which sessions are stale, and which are
recorded (`staleness.py`).

Times are those of the database server.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl
from sqlalchemy import Connection, Table, func, select, text

from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.schema import ComputedSession
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.staging import quote, stage

COMPUTED_SESSIONS: Table = ComputedSession.__table__


def upsert_times(connection: Connection, rows: pl.DataFrame, changed_dates: pl.Series) -> None:
    """Write the times of sessions; `changed_at` of a stored session moves only if its rows changed."""
    staged = stage(connection, COMPUTED_SESSIONS, frames.validate(COMPUTED_SESSIONS, rows))
    columns = ", ".join(map(quote, ("asset", "market", "session", "computed_at", "changed_at")))
    connection.execute(
        text(
            f"INSERT INTO computed_sessions AS t (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {staged}"
            " ON CONFLICT (asset, market, session) DO UPDATE SET computed_at = excluded.computed_at,"
            " changed_at = CASE WHEN t.session = ANY(CAST(:changed AS timestamp[])) THEN excluded.changed_at"
            " ELSE t.changed_at END"
        ),
        {"changed": changed_dates.to_list()},
    )


def mark_changed(
    connection: Connection, asset: str, market: Market, sessions: pl.Series, moment: dt.datetime
) -> None:
    """Record that rows of sessions changed without a run that computed them.

    Sessions whose rows are older than the log of deliveries are known by equal times, and stay so.
    """
    connection.execute(
        text(
            "INSERT INTO computed_sessions AS t (id, asset, market, session, computed_at, changed_at)"
            " SELECT gen_random_uuid(), :asset, :market, session, :moment, :moment"
            " FROM unnest(CAST(:sessions AS timestamp[])) AS s(session)"
            " ON CONFLICT (asset, market, session) DO UPDATE SET changed_at = excluded.changed_at, computed_at ="
            " CASE WHEN t.computed_at = t.changed_at THEN excluded.computed_at ELSE t.computed_at END"
        ),
        {"asset": asset, "market": market.name, "sessions": sessions.unique().to_list(), "moment": moment},
    )


def computed_sessions(connection: Connection, asset: str, part: Slice) -> list[dt.date]:
    """The sessions of an asset's slice that were computed, in order."""
    return computation_times(connection, asset, part)["session"].dt.date().to_list()


def newest_session(connection: Connection, asset: str) -> dt.date | None:
    """The newest session of an asset that was computed, of either market; None before the first."""
    newest = connection.scalar(
        select(func.max(COMPUTED_SESSIONS.c.session)).where(COMPUTED_SESSIONS.c.asset == asset)
    )
    return newest.date() if newest else None


def extents(connection: Connection) -> Sequence[Any]:
    """How many sessions were computed, and when the last was: asset, market, sessions, last."""
    c = COMPUTED_SESSIONS.c
    query = select(c.asset, c.market, func.count().label("sessions"), func.max(c.computed_at).label("last"))
    return connection.execute(query.group_by(c.asset, c.market)).all()


def sessions_computed_since(
    connection: Connection, asset: str, part: Slice, started_at: dt.datetime
) -> list[Slice]:
    """The sessions of an asset's slice whose computation began after a moment, each as a slice."""
    times = computation_times(connection, asset, part).filter(pl.col("computed_at") > started_at)
    return [session for session in part.chunks(1) if session.start in times["session"]]


def computation_times(connection: Connection, asset: str, part: Slice) -> pl.DataFrame:
    """The times of the computed sessions of an asset's slice: session, computed_at, changed_at."""
    c = COMPUTED_SESSIONS.c
    query = (
        select(c.session, c.computed_at, c.changed_at)
        .where(c.asset == asset, c.market == part.market.name)
        .where(c.session.between(part.dates[0], part.dates[-1]))
        .order_by(c.session)
    )
    schema = dict.fromkeys(("session", "computed_at", "changed_at"), pl.Datetime("us"))
    return pl.DataFrame(connection.execute(query).all(), schema=schema, orient="row")
