"""What `boursomatic status` shows: the state of the platform.

What belongs here: each fact as a line.
Kept elsewhere: how far a market is (`tables/freshness.py`), what is stale (`tables/staleness.py`), which rows are
rejected and what files say (`tables/deliveries/`), which version is champion (`registry/decisions.py`).
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import URL, Connection, Table, func, select, text

from boursomatic_assets import absorbed, database, registry
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.cli.views.models import evidence_lines
from boursomatic_assets.cli.views.operating import workers
from boursomatic_assets.database import migrate, replica, server_time
from boursomatic_assets.database.addresses import replica_url
from boursomatic_assets.database.replica import lag
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.quality.delivery import UNREADABLE_REASON
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import DecisionLog, Version
from boursomatic_assets.schema import Instrument, PriceBar
from boursomatic_assets.tables import expiry, staleness
from boursomatic_assets.tables.claims import liveness
from boursomatic_assets.tables.deliveries import files, rejected_rows
from boursomatic_assets.tables.freshness import read_freshness
from boursomatic_assets.vocabulary import INTERVALS

_BARS: Table = PriceBar.__table__
_INSTRUMENTS: Table = Instrument.__table__

MAX_ABSORBED_RUNS = 5
"""Runs with absorbed errors that are shown."""

MAX_FILES = 20
"""Files of a kind that are shown by name."""

_UNREADABLE_FILES = (
    "reason = :why AND NOT EXISTS (SELECT FROM"
    f" {files.PRESENT_FILES} f WHERE (f.source, f.file) = (r.source, r.file))"
)
"""Rejected rows of files that could not be read, and of which the ledger of files says nothing."""


_SUSPENDED = (
    "SELECT i.symbol, i.exchange, count(*) FROM track_record t JOIN instruments i ON i.id = t.instrument_id"
    " WHERE t.unscored = 'price basis' GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT :limit"
)


def status() -> str:
    """The state of the platform in a few lines."""
    lines = [migrate.status(database.engine())]
    counts = migrate.row_counts(database.engine())
    width = max(map(len, counts), default=0) + len(": ")
    lines += [f"{table + ':':<{width}}{row_count:>12,} rows" for table, row_count in counts.items()]
    with database.engine().connect() as connection:
        lines += [_line(subject, value) for subject, value in _facts(connection)]
    try:
        lines += [_line("absorbed", summary) for summary in _absorbed_errors()]
    except database.DatabaseError as error:  # the lines above need no Dagster
        lines.append(_line("absorbed", f"not known: {error}"))
    return "\n".join(lines)


def _line(subject: str, value: object) -> str:
    return f"{subject + ':':<18}{value}"


def _facts(connection: Connection) -> Iterator[tuple[str, str]]:
    """Facts as pairs of subject and value: markets, the champion, what is rejected, provisional or stale."""
    for market in MARKETS.values():
        yield market.name, _newest_sessions(connection, market)
    yield from _dead_runs()
    if url := replica_url():
        yield "read replica", _replica(url)
    yield from workers.lines(connection)
    for market in MARKETS.values():
        yield "freshness", str(read_freshness(connection, market, utc_now()))
    for market in MARKETS.values():
        reasons = expiry.read_newest(connection, market)["reason"].drop_nulls()
        for reason, count in reasons.value_counts(sort=True).rows():
            yield "expired", f"{market.name} {count:,} newest recommendations: {reason}"
    log, now = decisions.read_log(connection), server_time.database_time(connection)
    yield "model", _champion(log, now)
    for version in _present_versions(log, now):
        yield from (("evidence", f"{version.version} {line}") for line in evidence_lines(version.metrics))
    rejected = text("SELECT market, reason, count(*) FROM rejected_bars GROUP BY 1, 2 ORDER BY 1, 2")
    for name, reason, row_count in connection.execute(rejected):
        yield "rejected", f"{name} {row_count:,} x {reason}"
    for file in rejected_rows.describe(connection, _UNREADABLE_FILES, {"why": UNREADABLE_REASON}, MAX_FILES):
        yield "rejected file", file
    for row in rejected_rows.describe(connection, "reason <> :why", {"why": UNREADABLE_REASON}, MAX_FILES):
        yield "rejected row", row
    for symbol, exchange, row_count in connection.execute(text(_SUSPENDED), {"limit": MAX_FILES}):
        yield "suspended", f"{row_count:,} scores of {symbol}@{exchange}: a change of price basis is suspected"
    yield from _files(connection)
    provisional = text("SELECT market, session::date FROM delivered_sessions WHERE provisional ORDER BY 2, 1")
    for name, session in connection.execute(provisional):
        yield "provisional", f"{name} {session}"
    for sessions in staleness.find_stale_sessions(connection):
        yield "stale", str(sessions)
    if stale := registry.stale_versions(connection, Parameters()):
        yield "stale", f"{len(stale):,} model versions from {stale[0].version} on: `boursomatic refresh --models`"


def _dead_runs() -> Iterator[tuple[str, str]]:
    """The runs whose process is dead: only the primary has the locks by which they are known to live."""
    try:
        with replica.from_primary(), database.engine().connect() as connection:
            dead = liveness.unended_runs(connection)
    except database.AwayError as error:  # what a replica has is shown all the same
        yield "dead run", f"not known: {error}"
        return
    for run_id, run in dead.items():
        yield "dead run", f"{run_id[:8]}: {run}"


def _replica(url: URL) -> str:
    """How far the read replica is behind, or why that is not known."""
    try:
        return str(lag.measure(url))
    except (database.DatabaseError, psycopg.Error) as error:  # it is what is shown
        return f"not known: {error}"


def _files(connection: Connection) -> Iterator[tuple[str, str]]:
    """What the ledger of files holds: how many files and lines, which have a problem, which were passed over."""
    totals = files.totals(connection)
    if totals["read"] or totals["not_understood"]:
        yield "files", _count_files(totals)
    for file in _first(files.describe_problems(connection, MAX_FILES), totals["not_understood"]):
        yield "file", file
    if names := _first(files.passed_over(connection, MAX_FILES), totals["passed_over"]):
        yield "passed over", ", ".join(names)


def _count_files(totals: dict[str, int]) -> str:
    """Such as `12 read (34,567 lines: 34,555 delivered, 12 header), 1 not understood`."""
    outcomes = {name: totals[name] for name in files.LINE_COUNTS} | {"not accounted for": totals["unaccounted"]}
    counted = ", ".join(f"{count:,} {name}" for name, count in outcomes.items() if count)
    lines = f" ({totals['lines']:,} lines: {counted})" if counted else ""
    not_understood = f", {totals['not_understood']:,} not understood" if totals["not_understood"] else ""
    return f"{totals['read']:,} read{lines}{not_understood}"


def _first(named: Sequence[str], count: int) -> list[str]:
    """The named ones, and how many more there are."""
    return [*named, *([f"and {count - len(named):,} more"] if count > len(named) else [])]


def _newest_sessions(connection: Connection, market: Market) -> str:
    daily, intraday = (_newest_session(connection, market, interval) for interval in INTERVALS)
    return f"newest session {daily or 'none'}" + (f", with 15m bars {intraday}" if intraday else "")


def _absorbed_errors() -> Iterator[str]:
    """The newest runs that absorbed errors, with their number and the first, and how many older runs there are.

    Dagster's tables are read by SQL, because the import of Dagster takes seconds.
    """
    query = (
        "SELECT t.run_id, t.value, count(*) OVER () FROM run_tags t JOIN runs r USING (run_id)"
        " WHERE t.key = %s ORDER BY r.id DESC LIMIT %s"
    )
    with database.connect(database.dagster_url()) as connection:
        if connection.execute("SELECT FROM pg_class WHERE oid = to_regclass('run_tags')").rowcount == 0:
            return  # no run has been started yet
        runs = connection.execute(query, [absorbed.TAG, MAX_ABSORBED_RUNS]).fetchall()
    yield from (f"run {run[:8]}: {summary}" for run, summary, _ in runs)
    if runs and (older := runs[0][2] - len(runs)):
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


def _present_versions(log: DecisionLog, now: dt.datetime) -> list[Version]:
    """The champion, and the newest version if it is another."""
    champion = log.champion_at(now)
    newest = [version for version in log.newest_revisions()[-1:] if version != champion]
    return [*([champion] if champion else []), *newest]


def _champion(log: DecisionLog, now: dt.datetime) -> str:
    """The present champion, or why there is none."""
    decision = log.decision_at(now)
    if decision is None:
        return "none is promoted yet"
    return (
        decision.champion.version if decision.champion else f"none. {decision.version.version}: {decision.reason}"
    )
