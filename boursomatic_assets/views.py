"""What the command line shows: advice and the state of the platform, read from the tables.

What belongs here: questions in SQL, answers as text. Kept elsewhere: options and exit codes (`cli.py`).
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import ColumnElement, Connection, Select, Table, func, select, text

from boursomatic_assets import absorbed, computed, database, decisions, migrate, performance, rejections, settings
from boursomatic_assets.contracts import FILE_UNKNOWN
from boursomatic_assets.frames import polars_type
from boursomatic_assets.markets import MARKETS, Market, market_named
from boursomatic_assets.models import Instrument, ModelVersion, Recommendation
from boursomatic_assets.performance import Figures, readable

RUNS = 5
"""Runs with absorbed errors that are shown."""

_ADVICE: Table = Recommendation.__table__
_INSTRUMENTS: Table = Instrument.__table__
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


def track_record(profile: str | None = None, market: str | None = None) -> Figures:
    """How past advice did, of all profiles and markets or of one.

    Raises:
        ValueError: no horizon has ended yet.
    """
    with database.engine().connect() as connection:
        found = performance.figures(connection, profile, market)
    if found.labels.is_empty():
        raise ValueError(
            "no advice has reached the end of its horizon: run `boursomatic backfill` further on first"
        )
    return found


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
        confidence=_number("confidence", 2),
        return_pct=_number("expected_return_pct", 2),
        stop_loss=_number("stop_loss", 2),
        take_profit=_number("take_profit", 2),
        session=pl.col("as_of").dt.strftime("%Y-%m-%d"),
        version="version",
    )
    return as_text_table(shown)


def track_record_as_table(found: Figures) -> str:
    """Figures of past advice as two tables, and the expected calibration error."""
    error = (
        "" if found.calibration_error is None else f"\nexpected calibration error {found.calibration_error:.3f}"
    )
    return f"{as_text_table(readable(found.labels))}\n{as_text_table(readable(found.bins))}{error}"


def track_record_as_json(found: Figures) -> str:
    """Figures of past advice as a JSON object; shares are fractions, returns are in percent."""
    tables = {"labels": found.labels.to_dicts(), "bins": found.bins.to_dicts()}
    return json.dumps({**tables, "calibration_error": found.calibration_error}, indent=2)


def as_text_table(shown: pl.DataFrame) -> str:
    """A frame as plain text, all of it."""
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="ASCII_BORDERS_ONLY_CONDENSED",
        tbl_width_chars=140,
    ):
        return str(shown)


def _number(column: str, decimals: int) -> pl.Expr:
    """A number as text, and nothing for none."""
    return pl.col(column).round(decimals).cast(pl.String).fill_null("")


def as_json(advice: pl.DataFrame) -> str:
    """Rows as a JSON array of objects; times are ISO, naive UTC."""
    rows = advice.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.f")).to_dicts()
    return json.dumps(rows, indent=2)


def status() -> str:
    """The state of the platform in a few lines."""
    lines = [migrate.status()]
    with database.engine().connect() as connection:
        for table, rows in migrate.row_counts(database.engine()).items():
            lines.append(f"{table + ':':<22}{rows:>12,} rows")
        for market in MARKETS.values():
            quarters = _newest_session(connection, market, "15m")
            told = f"newest session {_newest_session(connection, market, 'daily') or 'none'}"
            told += f", with 15m bars {quarters}" if quarters else ""
            lines.append(f"{market.name + ':':<18}{told}")
        lines.append(f"{'model:':<18}{_speaking(connection)}")
        reasons = text("SELECT market, reason, count(*) FROM rejected_bars GROUP BY 1, 2 ORDER BY 1, 2")
        lines += [f"{'rejected:':<18}{market} {n:,} x {why}" for market, why, n in connection.execute(reasons)]
        files = rejections.named(connection, "reason = :why", {"why": FILE_UNKNOWN})
        lines += [f"{'rejected file:':<18}{name}" for name in files]
        provisional = text("SELECT market, session::date FROM delivered_sessions WHERE provisional ORDER BY 2, 1")
        lines += [f"{'provisional:':<18}{market} {session}" for market, session in connection.execute(provisional)]
        stale = [
            *map(str, computed.stale(connection)),
            *map("version {}".format, computed.stale_versions(connection)),
        ]
        lines += [f"{'stale:':<18}{one}" for one in stale]
    try:
        lines += [f"{'absorbed:':<18}{one}" for one in _absorbed()]
    except database.DatabaseError as error:  # the lines above need no Dagster
        lines.append(f"{'absorbed:':<18}not known: {error}")
    return "\n".join(lines)


def _absorbed() -> Iterator[str]:
    """The newest runs that absorbed errors, with how many and the first reason, and how many such runs there are.

    Dagster's tables are read as they are: to import it takes seconds.
    """
    query = (
        "SELECT t.run_id, t.value, count(*) OVER () FROM run_tags t JOIN runs r USING (run_id)"
        " WHERE t.key = %s ORDER BY r.id DESC LIMIT %s"
    )
    with database.connect(database.dagster_url()) as connection:
        if connection.execute("SELECT FROM pg_class WHERE oid = to_regclass('run_tags')").rowcount == 0:
            return  # no run has been started yet
        found = connection.execute(query, [absorbed.TAG, RUNS]).fetchall()
    yield from (f"run {run[:8]}: {summary}" for run, summary, _ in found)
    if found and (older := found[0][2] - len(found)):
        yield f"and {older:,} older runs: look for the tag {absorbed.TAG} in the list of runs"


def _newest_session(connection: Connection, market: Market, interval: str) -> dt.date | None:
    """The newest session with bars of an interval; an evening's 15m bars may be dated after midnight in UTC."""
    query = text(
        "SELECT max(b.ts) FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"
        " WHERE i.exchange = ANY(:exchanges) AND b.interval = :interval"
    )
    newest: dt.datetime | None = connection.scalar(
        query, {"exchanges": list(market.exchanges), "interval": interval}
    )
    if newest is not None and interval != "daily":
        newest = newest.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(market.timezone))
    return newest.date() if newest else None


def _speaking(connection: Connection) -> str:
    """The version that speaks now, or why none does."""
    decision = decisions.read(connection).in_force(computed.clock(connection))
    if decision is None:
        return "none is promoted yet"
    return decision.speaker.version if decision.speaker else f"none. {decision.version.version}: {decision.reason}"
