"""What `boursomatic status` shows: the state of the platform in a few lines."""

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, func, select, text

from boursomatic_assets import absorbed, database
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.database import migrate
from boursomatic_assets.quality.contract import FILE_UNKNOWN
from boursomatic_assets.registry import decisions
from boursomatic_assets.schema import Instrument, PriceBar
from boursomatic_assets.tables import rejected_rows, staleness
from boursomatic_assets.database import server_time

_BARS: Table = PriceBar.__table__
_INSTRUMENTS: Table = Instrument.__table__

RUNS = 5
"""Runs with absorbed errors that are shown."""


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
        files = rejected_rows.describe(connection, "reason = :why", {"why": FILE_UNKNOWN})
        lines += [f"{'rejected file:':<18}{name}" for name in files]
        provisional = text("SELECT market, session::date FROM delivered_sessions WHERE provisional ORDER BY 2, 1")
        lines += [f"{'provisional:':<18}{market} {session}" for market, session in connection.execute(provisional)]
        stale = [
            *map(str, staleness.find_stale(connection)),
            *map("version {}".format, staleness.stale_versions(connection)),
        ]
        lines += [f"{'stale:':<18}{one}" for one in stale]
    lines += [f"{'absorbed:':<18}{one}" for one in _absorbed()]
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
    b, i = _BARS.c, _INSTRUMENTS.c
    query = (
        select(func.max(b.ts))
        .join_from(_BARS, _INSTRUMENTS, i.id == b.instrument_id)
        .where(i.exchange.in_(market.exchanges), b.interval == interval)
    )
    newest: dt.datetime | None = connection.scalar(query)
    if newest is not None and interval != "daily":
        newest = newest.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(market.timezone))
    return newest.date() if newest else None


def _speaking(connection: Connection) -> str:
    """The version that speaks now, or why none does."""
    decision = decisions.read_log(connection).decision_at(server_time.database_time(connection))
    if decision is None:
        return "none is promoted yet"
    return (
        decision.champion.version if decision.champion else f"none. {decision.version.version}: {decision.reason}"
    )
