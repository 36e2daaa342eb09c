"""The log of delivered sessions: how many rows of each session were delivered, kept, merged and rejected.

What belongs here: writing `delivered_sessions`, and its totals. Kept elsewhere: the rejected rows
(`rejected_rows.py`), which rows are kept, merged or rejected (`quality/contract.py`), the check of the sums
(`checks/bars.py`).
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Connection, Table, delete, func, select, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.quality.delivery import ROW_COUNTS, Delivery, with_session
from boursomatic_assets.schema import DeliveredSession
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.deliveries.places import Place
from boursomatic_assets.tables.deliveries.rejected_rows import REJECTED_BARS
from boursomatic_assets.tables.reading import fetch
from boursomatic_assets.tables.staging import bounds, quote, stage

DELIVERED_SESSIONS: Table = DeliveredSession.__table__

_COUNT_AS_MERGED = text(
    "WITH dropped AS (SELECT * FROM unnest(CAST(:sessions AS timestamp[]), CAST(:counts AS int[]),"
    "   CAST(:archived AS int[])) AS d(session, n, archived)),"
    " stored AS MATERIALIZED (SELECT d.dates[width_bucket(b.ts, d.dates)] AS session, count(*)::int AS n"
    "   FROM (SELECT CAST(:dates AS timestamp[]) AS dates) d, price_bars b WHERE b.interval = :interval"
    "   AND b.ts >= :start AND b.ts < :end"
    "   AND b.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges)) GROUP BY 1),"
    " left_over AS (SELECT session, d.n AS dropped, coalesce(s.n, d.archived, 0) AS n"
    "   FROM dropped d LEFT JOIN stored s USING (session))"
    " UPDATE delivered_sessions t SET kept = greatest(least(t.kept, l.n), t.kept - l.dropped),"
    " merged = t.merged + t.kept - greatest(least(t.kept, l.n), t.kept - l.dropped)"
    " FROM left_over l WHERE t.market = :market AND t.interval = :interval AND t.session = l.session"
)
"""No more bars are kept than are left. Bars that were lacking before stay lacking: the check finds them."""


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


@dataclass(frozen=True)
class Amendment:
    """What became of rejected rows after they were delivered, besides leaving the ledger.

    Attributes:
        kept: how many are stored as bars.
        merged: how many repeat a bar.
        repaired: how many of the bars have a high or low that was off by float noise.
    """

    kept: int = 0
    merged: int = 0
    repaired: int = 0


def amend(connection: Connection, place: Place, source: str, change: Amendment, run_id: str) -> None:
    """Let the counts of a place follow its bars and rejected rows, which the transaction has changed before.

    If the last delivery kept no row, the bars of an earlier one were left in place: these are counted too, because
    the session has bars of both now.
    """
    key = {"market": place.market, "session": place.session, "interval": place.interval}
    logged = connection.execute(select(DELIVERED_SESSIONS).filter_by(**key)).mappings().one_or_none()
    counts = Counter({name: logged[name] for name in ROW_COUNTS} if logged else {})
    counts.update(vars(change))
    if change.kept and counts["kept"] == change.kept:
        counts["kept"] = _count_bars(connection, place)
    counts["rejected"] = connection.scalar(select(func.count()).select_from(REJECTED_BARS).filter_by(**key)) or 0
    counts["delivered"] = counts["kept"] + counts["merged"] + counts["rejected"]
    if not counts["delivered"] and place.session is None:
        connection.execute(delete(DELIVERED_SESSIONS).filter_by(**key))
        return
    sessions = pl.Series([place.session], dtype=pl.Datetime("us"))
    provisional = _provisional(sessions, place.part, database_time(connection))
    first = {"source": source, "provisional": provisional[0]}
    kept_as_logged = {name: logged[name] for name in first} if logged else first
    row = key | {name: counts[name] for name in ROW_COUNTS} | kept_as_logged | {"run_id": run_id}
    types = {name: frames.polars_type(DELIVERED_SESSIONS.c[name]) for name in row}
    _upsert(connection, pl.DataFrame([row], schema=types))


def _count_bars(connection: Connection, place: Place) -> int:
    """How many bars the table has of a place."""
    query = text(
        "SELECT count(*) FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"
        " WHERE i.exchange = ANY(:exchanges) AND b.interval = :interval AND b.ts >= :start AND b.ts < :end"
    )
    return connection.scalar(query, {**bounds(place.part), "interval": place.interval}) or 0


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


def totals(connection: Connection) -> Sequence[Any]:
    """How many rows of the latest deliveries of all sessions were kept, merged, rejected: by market, interval."""
    s = DELIVERED_SESSIONS.c
    sums = (func.sum(column).label(column.name) for column in (s.kept, s.merged, s.rejected))
    return connection.execute(select(s.market, s.interval, *sums).group_by(s.market, s.interval)).all()


def count_as_merged(connection: Connection, part: Slice, interval: str, dropped: pl.DataFrame) -> None:
    """Count stored bars that were dropped since, as repetitions of others, as merged instead of as kept.

    A bar that an incomplete delivery left as it was had not been counted.

    Args:
        connection: the transaction that has dropped them.
        part: a slice that holds their sessions.
        interval: their interval.
        dropped: `ts`, and `archived`: the number of bars that their session has in the archive, or null.
    """
    if dropped.is_empty():
        return
    counts = with_session(dropped, part).group_by("session").agg(n=pl.len(), archived=pl.col("archived").max())
    affected = counts["session"].dt.date().sort()
    dates = [date for date in part.dates if affected[0] <= date <= affected[-1]]
    within = Slice(part.market, tuple(dates))
    connection.execute(
        _COUNT_AS_MERGED,
        {
            **bounds(within),
            "market": part.market.name,
            "interval": interval,
            "dates": dates,
            "sessions": counts["session"].to_list(),
            "counts": counts["n"].to_list(),
            "archived": counts["archived"].to_list(),
        },
    )
