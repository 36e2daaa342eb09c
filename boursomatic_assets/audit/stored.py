"""Stored: published recommendations as they are in the table, superseded ones included, and the log of their time.

What belongs here: which sessions have recommendations, the rows of one, and the decisions known at a moment.
Kept elsewhere: how they are made again (`replay.py`), the decision log itself (`registry/decisions.py`).

The rows of a market with one `as_of` are a session here: a recommendation depends on all of them.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Select, Table, Text, cast, func, select

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.registry.decisions import DecisionLog
from boursomatic_assets.schema import Recommendation
from boursomatic_assets.schema.identifiers import PUBLISHED_COLUMNS
from boursomatic_assets.tables.grains import INSTRUMENTS
from boursomatic_assets.tables.reading import fetch

RECOMMENDATIONS: Table = Recommendation.__table__

COLUMNS = ("id", *PUBLISHED_COLUMNS, "view", "generated_at", "superseded_at", "is_active")


@dataclass(frozen=True)
class PublishedSession:
    """A market, and the close that its recommendations speak for."""

    market: Market
    as_of: dt.datetime

    @property
    def part(self) -> Slice:
        """The session as a slice."""
        return Slice(self.market, (self.as_of.date(),))

    def __str__(self) -> str:
        return f"{self.market.name} {self.as_of:%Y-%m-%d}"


def session_of(recommendation_id: UUID) -> PublishedSession:
    """The session of a recommendation.

    Raises:
        ValueError: There is no such recommendation, or its exchange belongs to no market.
    """
    r, i = RECOMMENDATIONS.c, INSTRUMENTS.c
    query = select(i.exchange, r.as_of).join_from(RECOMMENDATIONS, INSTRUMENTS, r.instrument_id == i.id)
    with database.engine().connect() as connection:
        found = connection.execute(query.where(r.id == recommendation_id)).first()
    if found is None:
        raise ValueError(
            f"there is no recommendation {recommendation_id}: `boursomatic recommendations --json` and"
            " `boursomatic why` name ids"
        )
    market = next((market for market in MARKETS.values() if found.exchange in market.exchanges), None)
    if market is None:
        raise ValueError(
            f"{found.exchange} is an exchange of no market, so {recommendation_id} cannot be replayed"
        )
    return PublishedSession(market, found.as_of)


def sessions_of(part: Slice) -> list[PublishedSession]:
    """The sessions of a slice that have recommendations, in order."""
    r = RECOMMENDATIONS.c
    query = _of_market(select(r.as_of).distinct(), part.market)
    with database.engine().connect() as connection:
        found = connection.scalars(query.where(r.as_of >= part.start, r.as_of < part.end).order_by(r.as_of))
        return [PublishedSession(part.market, as_of) for as_of in found]


def row_counts() -> dict[PublishedSession, int]:
    """How many rows each session has, superseded ones included, in order of market and time."""
    r = RECOMMENDATIONS.c
    counts: dict[PublishedSession, int] = {}
    with database.engine().connect() as connection:
        for market in MARKETS.values():
            query = _of_market(select(r.as_of, func.count()).group_by(r.as_of).order_by(r.as_of), market)
            counts |= {PublishedSession(market, as_of): rows for as_of, rows in connection.execute(query)}
    return counts


def read_rows(session: PublishedSession) -> pl.DataFrame:
    """All rows of a session: COLUMNS, symbol and exchange, sorted by instrument, profile and id."""
    r, i = RECOMMENDATIONS.c, INSTRUMENTS.c
    columns = [r[name] for name in COLUMNS if name != "features_snapshot"]
    snapshot = cast(r.features_snapshot, Text).label("features_snapshot")
    query = _of_market(select(*columns, snapshot, i.symbol, i.exchange), session.market)
    return fetch(query.where(r.as_of == session.as_of)).sort("instrument_id", "profile", "id")


def current_at(rows: pl.DataFrame, moment: dt.datetime) -> pl.DataFrame:
    """The rows of a session that stood at a moment: written by then, and not superseded yet."""
    until = pl.col("superseded_at")
    return rows.filter(pl.col("generated_at") <= moment, until.is_null() | (until > moment))


def log_known_at(log: DecisionLog, moment: dt.datetime) -> DecisionLog:
    """The decision log as it was at a moment: a due date that was trained later is not in it."""
    decisions = tuple(decision for decision in log.decisions if decision.decided_at <= moment)
    known = {decision.version.id for decision in decisions}
    return DecisionLog(tuple(version for version in log.versions if version.id in known), decisions)


def _of_market(query: Select[Any], market: Market) -> Select[Any]:
    joined = RECOMMENDATIONS.c.instrument_id == INSTRUMENTS.c.id
    return query.join_from(RECOMMENDATIONS, INSTRUMENTS, joined).where(
        INSTRUMENTS.c.exchange.in_(market.exchanges)
    )
