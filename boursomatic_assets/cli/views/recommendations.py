"""What the command line shows of recommendations.

What belongs here: the query, and why it has no rows. Kept elsewhere: options (`cli/results.py`), tables as text
(`text.py`).
"""

import datetime as dt
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Select, Table, Text, cast, func, select

from boursomatic_assets import database, settings
from boursomatic_assets.calendars.markets import MARKETS, market_named
from boursomatic_assets.cli.views.text import as_text_table, number_as_text
from boursomatic_assets.schema import Instrument, ModelVersion, Recommendation
from boursomatic_assets.tables.aliases.names import symbols_of
from boursomatic_assets.tables.frames import polars_type

_RECOMMENDATIONS: Table = Recommendation.__table__
_INSTRUMENTS: Table = Instrument.__table__
_VERSIONS: Table = ModelVersion.__table__


def recommendations(
    profile: str | None = None,
    market: str | None = None,
    symbol: str | None = None,
    date: dt.date | None = None,
) -> pl.DataFrame:
    """Recommendations of the newest session or of a past one, of one profile, market or symbol if asked for.

    Raises:
        ValueError: There is no such symbol, or there are no such recommendations.
    """
    r = _RECOMMENDATIONS.c
    conditions = _conditions(profile, market, symbol)
    statement = _select().where(*conditions)
    if date is None:
        found = _read_frame(statement.where(r.is_active))
    else:
        day = dt.datetime.combine(date, dt.time())
        within = (r.as_of >= day) & (r.as_of < day + dt.timedelta(days=1))
        found = _read_frame(statement.where(r.superseded_at.is_(None), within))
    if found.is_empty():
        raise ValueError(_explain_none(date, market, conditions))
    return found


def _select() -> Select[Any]:
    """The query of recommendations with their instruments and versions, without conditions."""
    r, i, m = _RECOMMENDATIONS.c, _INSTRUMENTS.c, _VERSIONS.c
    return (
        select(
            i.symbol, i.exchange, r.profile, r.label, r.view, r.confidence, r.expected_return_pct, r.horizon_days,
            r.stop_loss, r.take_profit, r.as_of, m.version, r.justification, cast(r.id, Text).label("id"),
        )
        .join_from(_RECOMMENDATIONS, _INSTRUMENTS, r.instrument_id == i.id)
        .join(_VERSIONS, r.model_version_id == m.id)
        .order_by(i.exchange, i.symbol, r.profile)
    )  # fmt: skip


def _conditions(profile: str | None, market: str | None, symbol: str | None) -> list[ColumnElement[bool]]:
    """The conditions of the query.

    Raises:
        ValueError: There is no such symbol.
    """
    r, i = _RECOMMENDATIONS.c, _INSTRUMENTS.c
    if symbol and _read_frame(select(i.symbol).where(i.symbol == symbol)).is_empty():
        raise ValueError(f"there is no instrument {symbol!r}: `boursomatic recommendations` lists them")
    exchanges = market_named(market).exchanges if market else ()
    symbols = symbols_of(symbol) if symbol else []
    options = (
        (profile, r.profile == profile),
        (market, i.exchange.in_(exchanges)),
        (symbol, i.symbol.in_(symbols)),
    )
    return [condition for value, condition in options if value]


def _explain_none(date: dt.date | None, market: str | None, conditions: list[ColumnElement[bool]]) -> str:
    """Why there are no such recommendations, and what to do."""
    remedy = "`boursomatic backfill` makes recommendations"
    if date is None:
        return f"there are no such recommendations: {remedy}"
    nearest = _nearest_session(date, conditions)
    return f"{_reason_for_none(date, market)}: " + (
        f"the nearest session with recommendations is {nearest}" if nearest else remedy
    )


def _reason_for_none(date: dt.date, market: str | None) -> str:
    """Why a date has no recommendations, as far as the calendar knows."""
    markets = [market_named(market)] if market else list(MARKETS.values())
    if date > dt.datetime.now(dt.UTC).date():
        return f"{date} is in the future"
    if date < settings.start():
        return f"{date} is before the first partition, {settings.start()}"
    if not any(market.is_session(date) for market in markets):
        return f"{date} is no session of {' or '.join(market.name for market in markets)}"
    return f"there are no such recommendations of {date}"


def _nearest_session(date: dt.date, conditions: list[ColumnElement[bool]]) -> dt.date | None:
    """The session nearest to a date that has such recommendations; None if there is none."""
    r = _RECOMMENDATIONS.c
    distance = func.abs(func.extract("epoch", r.as_of - dt.datetime.combine(date, dt.time(12))))
    sessions = (
        select(r.as_of)
        .join_from(_RECOMMENDATIONS, _INSTRUMENTS, r.instrument_id == _INSTRUMENTS.c.id)
        .where(r.superseded_at.is_(None), *conditions)
        .order_by(distance)
        .limit(1)
    )
    nearest = _read_frame(sessions)["as_of"]
    return None if nearest.is_empty() else nearest.dt.date()[0]


def _read_frame(statement: Select[Any]) -> pl.DataFrame:
    """Read the rows of a query with the types of its columns: a column of nulls has its type too."""
    types = {column.name: polars_type(column) for column in statement.selected_columns}
    with database.engine().connect() as connection:
        return pl.read_database(statement, connection, schema_overrides=types)


def as_table(found: pl.DataFrame) -> str:
    """Recommendations as a table, one row for each instrument and profile.

    A HOLD is an opinion if its view is `given`; `capped` and `none` are not.
    """
    shown = found.select(
        "symbol",
        "exchange",
        "profile",
        "label",
        pl.col("view").fill_null(""),
        confidence=number_as_text("confidence", 2),
        return_pct=number_as_text("expected_return_pct", 2),
        stop_loss=number_as_text("stop_loss", 2),
        take_profit=number_as_text("take_profit", 2),
        session=pl.col("as_of").dt.strftime("%Y-%m-%d"),
        version="version",
    )
    return as_text_table(shown)
