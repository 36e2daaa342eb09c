"""What the command line shows: advice and the state of the platform, read from the tables.

What belongs here: questions in SQL, answers as text. Kept elsewhere: options and exit codes (`cli.py`).
"""

import datetime as dt
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Select, Table, func, select

from boursomatic_assets import database, settings
from boursomatic_assets.calendars.markets import MARKETS, market_named
from boursomatic_assets.cli.views.text import as_number, as_text_table
from boursomatic_assets.schema import Instrument, ModelVersion, PriceBar, Recommendation
from boursomatic_assets.tables.frames import polars_type

_ADVICE: Table = Recommendation.__table__
_INSTRUMENTS: Table = Instrument.__table__
_BARS: Table = PriceBar.__table__
_VERSIONS: Table = ModelVersion.__table__


def recommendations(
    profile: str | None = None,
    market: str | None = None,
    symbol: str | None = None,
    date: dt.date | None = None,
) -> pl.DataFrame:
    """Current advice, of the newest session or of a past one, narrowed to what is asked for.

    Raises:
        ValueError: there is no such symbol, or nothing was advised for what is asked.
    """
    r, i, m = _ADVICE.c, _INSTRUMENTS.c, _VERSIONS.c
    asked = _asked_for(profile, market, symbol)
    statement = (
        select(
            i.symbol, i.exchange, r.profile, r.label, r.confidence, r.expected_return_pct, r.horizon_days,
            r.stop_loss, r.take_profit, r.as_of, m.version, r.justification,
        )
        .join_from(_ADVICE, _INSTRUMENTS, r.instrument_id == i.id)
        .join(_VERSIONS, r.model_version_id == m.id)
        .where(*asked)
        .order_by(i.exchange, i.symbol, r.profile)
    )  # fmt: skip
    if date is None:
        advice = _fetch(statement.where(r.is_active))
    else:
        day = dt.datetime.combine(date, dt.time())
        within = (r.as_of >= day) & (r.as_of < day + dt.timedelta(days=1))
        advice = _fetch(statement.where(r.superseded_at.is_(None), within))
    if advice.is_empty():
        why = "nothing is advised for that" if date is None else _why_not(date, market)
        near = None if date is None else _nearest(date, asked)
        todo = f"the nearest session with advice is {near}" if near else "`boursomatic backfill` makes advice"
        raise ValueError(f"{why}: {todo}")
    return advice


def _asked_for(profile: str | None, market: str | None, symbol: str | None) -> list[ColumnElement[bool]]:
    """What advice is narrowed to, as conditions."""
    r, i = _ADVICE.c, _INSTRUMENTS.c
    if symbol and _fetch(select(i.symbol).where(i.symbol == symbol)).is_empty():
        raise ValueError(f"there is no instrument {symbol!r}: `boursomatic recommendations` lists them")
    exchanges = market_named(market).exchanges if market else ()
    narrowed = ((profile, r.profile == profile), (market, i.exchange.in_(exchanges)), (symbol, i.symbol == symbol))
    return [condition for given, condition in narrowed if given]


def _why_not(date: dt.date, market: str | None) -> str:
    """Why nothing is advised on a date, as far as the calendar knows."""
    asked = [market_named(market)] if market else list(MARKETS.values())
    if date > dt.datetime.now(dt.UTC).date():
        return f"{date} is in the future"
    if date < settings.start():
        return f"{date} is before the first partition, {settings.start()}"
    if not any(one.is_session(date) for one in asked):
        return f"{date} is no session of {' or '.join(one.name for one in asked)}"
    return f"nothing was advised for that on {date}"


def _nearest(date: dt.date, asked: list[ColumnElement[bool]]) -> dt.date | None:
    """The session nearest to a date that has such advice, the earlier of two; None if there is none."""
    r = _ADVICE.c
    distance = func.abs(func.extract("epoch", r.as_of - dt.datetime.combine(date, dt.time(12))))
    sessions = (
        select(r.as_of)
        .join_from(_ADVICE, _INSTRUMENTS, r.instrument_id == _INSTRUMENTS.c.id)
        .where(r.superseded_at.is_(None), *asked)
        .order_by(distance)
        .limit(1)
    )
    found = _fetch(sessions)["as_of"]
    return None if found.is_empty() else found.dt.date()[0]


def _fetch(statement: Select[Any]) -> pl.DataFrame:
    """The rows of a query, typed as their tables are: a column without any value has its type too."""
    types = {column.name: polars_type(column) for column in statement.selected_columns}
    with database.engine().connect() as connection:
        return pl.read_database(statement, connection, schema_overrides=types)


def as_table(advice: pl.DataFrame) -> str:
    """Advice as a table, one row per instrument and profile."""
    shown = advice.select(
        "symbol",
        "exchange",
        "profile",
        "label",
        confidence=as_number("confidence", 2),
        return_pct=as_number("expected_return_pct", 2),
        stop_loss=as_number("stop_loss", 2),
        take_profit=as_number("take_profit", 2),
        session=pl.col("as_of").dt.strftime("%Y-%m-%d"),
        version="version",
    )
    return as_text_table(shown)
