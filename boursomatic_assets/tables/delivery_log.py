"""What became of the rows of each delivery, by session.

What belongs here: writing `delivered_sessions`. Kept elsewhere: the refused rows themselves (`rejections.py`),
what is kept, merged or refused (`contracts.py`), the check that proves the sum (`checks_of_bars.py`).
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
    """Say of each session of a slice that was delivered how many rows came, and what became of them.

    A session that was delivered with the same outcome before stays as it was recorded then. It is provisional as
    long as no delivery came after it had settled.
    """
    counts = delivery.for_slice(part).counts
    if counts.is_empty():
        return
    scope = {"market": part.market.name, "interval": interval}
    rows = counts.with_columns(
        interval=pl.lit(interval),
        source=pl.lit(delivery.source),
        provisional=pl.Series(_provisional(counts["session"], part, database_time(connection)), dtype=pl.Boolean),
    )
    stored = fetch(select(*(DELIVERED_SESSIONS.c[name] for name in rows.columns)).filter_by(**scope))
    changed = rows.join(stored, on=rows.columns, how="anti", nulls_equal=True).with_columns(run_id=pl.lit(run_id))
    if changed.height:
        staged = stage(connection, DELIVERED_SESSIONS, frames.validate(DELIVERED_SESSIONS, changed))
        columns = ", ".join(map(quote, changed.columns))
        changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in changed.columns)
        connection.exec_driver_sql(
            f"INSERT INTO delivered_sessions (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {staged}"
            f" ON CONFLICT (market, session, interval) DO UPDATE SET {changes}, delivered_at = now()"
        )
    mended = (
        stored["session"].null_count() > rows["session"].null_count()
    )  # what had no readable time, or it is gone
    if mended:
        timeless = delete(DELIVERED_SESSIONS).where(DELIVERED_SESSIONS.c.session.is_(None))
        connection.execute(timeless.filter_by(**scope))


def _provisional(sessions: pl.Series, part: Slice, now: dt.datetime) -> list[bool]:
    """Which of the sessions had not settled by now; what is no session never changes."""
    dates = sessions.dt.date().to_list()
    return [bool(date and part.market.is_session(date) and part.market.settles(date) > now) for date in dates]
