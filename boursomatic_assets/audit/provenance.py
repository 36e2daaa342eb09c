"""Provenance: the bar that a recommendation rests on, where it came from, and what became of the recommendation.

What belongs here: reading what is stored of both.
Kept elsewhere: the recommendation itself (`story.py`), the file and line of a bar (`origins.py`).
"""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Select, Table, Text, cast, func, or_, select

from boursomatic_assets import database
from boursomatic_assets.audit.origins import BarKey, describe_origin
from boursomatic_assets.audit.stored import RECOMMENDATIONS, PublishedSession
from boursomatic_assets.schema import (
    DeliveredSession,
    PriceBarRevision,
    RecommendationExpiry,
    RejectedBar,
    TrackRecord,
)
from boursomatic_assets.tables.computations import computed_sessions
from boursomatic_assets.tables.revisions import read_bars

DELIVERIES: Table = DeliveredSession.__table__
REJECTIONS: Table = RejectedBar.__table__
REVISIONS: Table = PriceBarRevision.__table__
SCORES: Table = TrackRecord.__table__
EXPIRIES: Table = RecommendationExpiry.__table__

Facts = dict[str, Any]
"""Names and values, JSON-able but for times."""


def describe_bar(session: PublishedSession, row: Facts) -> Facts:
    """The bar of a recommendation as it was known when it was written, how it reads now, and its delivery.

    Each version of it has its `origin`: the file and line that it came from; those of the one that was known then
    are `file` and `line` too.

    Args:
        session: The recommendation's session.
        row: The recommendation: symbol, exchange, instrument_id and generated_at.
    """
    then, now = (_bar_of(read_bars(session.part, known_at=moment), row) for moment in (row["generated_at"], None))
    d, r = DELIVERIES.c, REVISIONS.c
    delivery = _first(
        select(d.source, d.delivered_at, d.run_id, d.delivered, d.kept, d.merged, d.rejected, d.provisional).where(
            d.market == session.market.name, d.session == session.part.start, d.interval == "daily"
        )
    )
    of_bar = (r.instrument_id == row["instrument_id"], r.ts == session.part.start, r.interval == "daily")
    versions = _rows(
        select(r.known_from, r.known_until, *(r[name] for name in "ohlcv"), r.source, r.file)
        .where(*of_bar)
        .order_by(r.known_until)
    )
    changed = then != now
    key = BarKey(session.market.name, row["instrument_id"], session.part.start)
    for version in filter(None, (then, now, *versions)):
        version["origin"] = describe_origin(key, version["known_from"])
    return {
        "known_then": then,
        "known_now": now if changed else None,
        "changed_since": changed,
        "file": then["origin"]["file"] if then else None,
        "line": then["origin"]["line"] if then else None,
        "delivery": delivery,
        "earlier_versions": versions,
        "rejected": rejected_rows(session, row["symbol"]),
    }


def rejected_rows(session: PublishedSession, symbol: str) -> list[Facts]:
    """The rows of a session that name a symbol and were rejected: file, line, reason."""
    j = REJECTIONS.c
    named = func.lower(cast(j.raw, Text)).contains(f'"{symbol.lower()}"', autoescape=True)
    in_file = func.lower(j.file).contains(f"{symbol.lower()}.", autoescape=True)
    of_session = (j.market == session.market.name, j.session == session.part.start, j.interval == "daily")
    return _rows(select(j.file, j.line, j.reason).where(*of_session, or_(named, in_file)).order_by(j.file, j.line))


def describe_outcome(session: PublishedSession, row: Facts) -> Facts:
    """The score of a recommendation, or when it is due."""
    s = SCORES.c
    names = (
        "ts", "realised_return_pct", "relative_return_pct", "outcome", "hit", "first_touched", "touched_on",
        "unscored",
    )  # fmt: skip
    score = _first(select(*(s[name] for name in names)).where(s.recommendation_id == row["id"]))
    sessions = session.market.sessions()
    place = int(np.searchsorted(sessions, np.datetime64(session.as_of.date()))) + (row["horizon_days"] or 0)
    due = sessions[place].item() if row["horizon_days"] and place < len(sessions) else None
    return {"due": due, "scored": score is not None, **(score or dict.fromkeys(names))}


def describe_expiry(row: Facts) -> Facts | None:
    """What the log of expiries says last: reason, session and decided_at; None: it never expired."""
    e = EXPIRIES.c
    query = select(e.reason, e.session, e.decided_at).where(e.recommendation_id == row["id"])
    return _first(query.order_by(e.decided_at.desc()).limit(1))


def describe_versions(session: PublishedSession, row: Facts) -> list[Facts]:
    """All rows of a recommendation's session, instrument and profile, in the order in which they were written."""
    r = RECOMMENDATIONS.c
    names = ("id", "label", "confidence", "generated_at", "superseded_at", "is_active")
    same = (r.instrument_id == row["instrument_id"], r.profile == row["profile"], r.as_of == session.as_of)
    found = _rows(select(*(r[name] for name in names)).where(*same).order_by(r.generated_at, r.id))
    return [{**version, "id": str(version["id"])} for version in found]


def sessions_since(session: PublishedSession) -> list[dt.date]:
    """The later sessions of the market that were recommended for, in order."""
    whole = session.part.looking_ahead(len(session.market.sessions()))
    with database.engine().connect() as connection:
        computed = computed_sessions(connection, "recommendations", whole)
    return [date for date in computed if date > session.as_of.date()]


def _bar_of(bars: pl.DataFrame, row: Facts) -> Facts | None:
    found = bars.filter(pl.col("symbol") == row["symbol"], pl.col("exchange") == row["exchange"])
    return found.drop("symbol", "exchange").row(0, named=True) if found.height else None


def _rows(query: Select[Any]) -> list[Facts]:
    with database.engine().connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _first(query: Select[Any]) -> Facts | None:
    return next(iter(_rows(query)), None)
