"""The log of delivered sessions: how many rows of each session were delivered, kept, merged and rejected.

What belongs here: writing `delivered_sessions`. Kept elsewhere: the rejected rows (`rejected_rows.py`), which rows
are kept, merged or rejected (`quality/contract.py`), the check of the sums (`checks/bars.py`).
"""

import datetime as dt

import polars as pl
from sqlalchemy import Connection, Table, delete, select

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import DeliveredSession
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.reading import fetch
from boursomatic_assets.tables.staging import quote, stage

DELIVERED_SESSIONS: Table = DeliveredSession.__table__


def record(connection: Connection, part: Slice, delivery: Delivery, run_id: str, interval: str = "daily") -> None:
    """Record the counts of each delivered session of a slice.

    A session whose counts are the same as before keeps its record. A session is provisional until a delivery comes
    after it has settled.
    """
    counts = delivery.for_slice(part).counts
    if counts.is_empty():
        return
    scope = {"market": part.market.name, "interval": interval}
    provisional = _provisional(counts["session"], part, database_time(connection))
    rows = counts.with_columns(
        interval=pl.lit(interval),
        source=pl.lit(delivery.source),
        provisional=pl.Series(provisional, dtype=pl.Boolean),
    )
    stored = fetch(select(*(DELIVERED_SESSIONS.c[name] for name in rows.columns)).filter_by(**scope))
    changed = rows.join(stored, on=rows.columns, how="anti", nulls_equal=True).with_columns(run_id=pl.lit(run_id))
    if changed.height:
        _upsert(connection, changed)
    if stored["session"].null_count() > rows["session"].null_count():
        # All rows of this delivery have a readable time: the count of those without one is outdated.
        timeless = delete(DELIVERED_SESSIONS).where(DELIVERED_SESSIONS.c.session.is_(None))
        connection.execute(timeless.filter_by(**scope))


def _upsert(connection: Connection, rows: pl.DataFrame) -> None:
    staged = stage(connection, DELIVERED_SESSIONS, frames.validate(DELIVERED_SESSIONS, rows))
    columns = ", ".join(map(quote, rows.columns))
    changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in rows.columns)
    connection.exec_driver_sql(
        f"INSERT INTO delivered_sessions (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {staged}"
        f" ON CONFLICT (market, session, interval) DO UPDATE SET {changes}, delivered_at = now()"
    )


def _provisional(sessions: pl.Series, part: Slice, now: dt.datetime) -> list[bool]:
    """Whether each session has not settled yet; False for dates that are no session."""
    dates = sessions.dt.date().to_list()
    return [bool(date and part.market.is_session(date) and part.market.settle_time(date) > now) for date in dates]
