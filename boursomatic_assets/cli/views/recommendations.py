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

SHOWN_ORDER = ("BUY", "SELL", "HOLD")
"""What asks for something to be done comes first."""


def recommendations(
    profile: str | None = None,
    market: str | None = None,
    symbol: str | None = None,
    date: dt.date | None = None,
    label: str | None = None,
) -> pl.DataFrame:
    """Recommendations of the newest session or of a past one, of one profile, market, symbol or label if asked.

    Raises:
        ValueError: There is no such symbol, or there are no such recommendations.
    """
    r = _RECOMMENDATIONS.c
    conditions = _conditions(profile, market, symbol, label)
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


def _conditions(
    profile: str | None, market: str | None, symbol: str | None, label: str | None
) -> list[ColumnElement[bool]]:
    """The conditions of the query.

    Raises:
        ValueError: There is no such symbol.
    """
    r, i = _RECOMMENDATIONS.c, _INSTRUMENTS.c
    if symbol and _read_frame(select(i.symbol).where(i.symbol == symbol)).is_empty():
        raise ValueError(f"there is no instrument {symbol!r}: `boursomatic instruments list` lists them")
    exchanges = market_named(market).exchanges if market else ()
    symbols = symbols_of(symbol) if symbol else []
    options = (
        (profile, r.profile == profile),
        (market, i.exchange.in_(exchanges)),
        (symbol, i.symbol.in_(symbols)),
        (label, r.label == label),
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


def as_csv(found: pl.DataFrame) -> str:
    """All rows and columns as CSV, the last line without its end; times are ISO, naive UTC."""
    return found.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.f").removesuffix("\n")


def as_text(found: pl.DataFrame, *, every: bool, reasons: bool) -> str:
    """Recommendations for people: BUY first, then SELL, then how many HOLD, or all of these as well.

    Args:
        found: What `recommendations` returns.
        every: Show each HOLD.
        reasons: Add the justification of each that is shown.
    """
    order = pl.col("label").replace_strict(dict(zip(SHOWN_ORDER, range(len(SHOWN_ORDER)), strict=True)))
    ordered = found.sort(order, maintain_order=True)
    shown = ordered if every else ordered.filter(pl.col("label") != "HOLD")
    parts = [as_table(shown)] if shown.height else ["no BUY and no SELL"]
    if not every and (held := found.filter(pl.col("label") == "HOLD")).height:
        counts = held.group_by("profile", maintain_order=True).len().sort("profile").iter_rows()
        by_profile = ", ".join(f"{profile} {count:,}" for profile, count in counts)
        parts.append(f"{held.height:,} HOLD ({by_profile}): --all shows them")
    if reasons:
        parts += map(_reason, shown.filter(pl.col("justification").is_not_null()).iter_rows(named=True))
    return "\n".join(parts)


def _reason(row: dict[str, Any]) -> str:
    """Why a recommendation says what it says, over which horizon."""
    over = f", over {row['horizon_days']} sessions" if row["horizon_days"] else ""
    return f"\n{row['symbol']}@{row['exchange']}, {row['profile']}{over}\n  {row['justification']}"


def as_table(found: pl.DataFrame) -> str:
    """Recommendations as a table, one row for each instrument and profile; the horizon is in sessions.

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
        horizon=number_as_text("horizon_days", 0),
        stop_loss=number_as_text("stop_loss", 2),
        take_profit=number_as_text("take_profit", 2),
        session=pl.col("as_of").dt.strftime("%Y-%m-%d"),
        version="version",
    )
    return as_text_table(shown, whole=True)
