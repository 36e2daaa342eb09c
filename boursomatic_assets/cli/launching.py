"""Runs without the UI: the same jobs and the same instance, in this process.

What belongs here: which runs a range of sessions needs, in which order, and their execution.
Kept elsewhere: words and exit codes (`compute.py`).
"""

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg
from sqlalchemy import func, select

from boursomatic_assets import absorbed, database
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import require_closed, slices_of
from boursomatic_assets.definitions import defs
from boursomatic_assets.orchestration import failures
from boursomatic_assets.orchestration.dagster_patches import command_runs, tags
from boursomatic_assets.orchestration.instance import WORKSPACE
from boursomatic_assets.orchestration.partitions import partition_key
from boursomatic_assets.orchestration.session_counts import first_rows
from boursomatic_assets.tables import computations, staleness
from boursomatic_assets.tables.aliases.names import symbols_of
from boursomatic_assets.tables.claims import holding
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.summaries import refreshing

if TYPE_CHECKING:
    from boursomatic_assets.cli.running.interrupts import Stop

PRICE_BARS = GRAINS["price_bars"].table

STAGES = (("instruments", "price_bars", "features"), ("model_versions", "recommendations", "track_record"))
"""Assets that share a run. A model learns from both markets, so both end the first stage before the second."""

ASSETS = tuple(asset for stage in STAGES for asset in stage)

SESSIONS_TAG = "boursomatic/sessions"
"""The range of a run, where the UI shows it in its list of runs."""

FROM_COMMAND_LINE = {"boursomatic/launched_by": "command line"}

LAUNCHED_BY = FROM_COMMAND_LINE | {tags.MAX_RETRIES: "0"}
"""Who started a run, where the UI shows it. Whoever typed a command sees that it failed: the daemon leaves it."""

INTRADAY_ASSETS = ("instruments", "price_bars_15m")
"""Assets of the job for 15m bars, which runs only if `price_bars_15m` is named."""

KNOWN_ASSETS = (*ASSETS, "price_bars_15m")
"""The assets that a command may name."""


@dataclass(frozen=True)
class Run:
    """Some assets over a range of sessions of one market."""

    assets: tuple[str, ...]
    market: str
    start: dt.date
    end: dt.date

    @property
    def tags(self) -> dict[str, str]:
        """The range as Dagster's own tags, which the UI hides in its list of runs, and as one that it shows."""
        return LAUNCHED_BY | {
            tags.RANGE_START: partition_key(self.start, self.market),
            tags.RANGE_END: partition_key(self.end, self.market),
            SESSIONS_TAG: f"{self.market} {self.start} .. {self.end}",
        }

    @property
    def aligned(self) -> str:
        """The run as a line of a list."""
        return f"{', '.join(self.assets):<34} {self.market:<8} {self.start} .. {self.end}"

    def __str__(self) -> str:
        return f"{', '.join(self.assets)} {self.market} {self.start} .. {self.end}"


@dataclass(frozen=True)
class RunResult:
    """The result of a run; `problems` are one-line sentences, failed checks among them."""

    run_id: str
    success: bool
    seconds: float
    problems: tuple[str, ...]
    checks: int
    """How many checks looked at what was computed."""


def plan_backfill(assets: tuple[str, ...], markets: list[str], dates: list[dt.date]) -> list[Run]:
    """Plan the runs that bring some assets up to date over some dates, in order.

    Bars bring their instruments along, because a bar of an unknown instrument is rejected.

    Raises:
        ValueError: The market of a session has not closed yet; the message names the session.
    """
    for market in markets:
        for part in slices_of(MARKETS[market], dates):
            require_closed(part)
    wanted = {*assets, "instruments"} if "price_bars" in assets else {*assets}
    stages = [tuple(asset for asset in stage if asset in wanted) for stage in STAGES]
    stages.append(INTRADAY_ASSETS if "price_bars_15m" in assets else ())
    return [Run(stage, market, dates[0], dates[-1]) for stage in stages if stage for market in markets]


def single_market_warning(assets: tuple[str, ...], markets: list[str], dates: list[dt.date]) -> str | None:
    """Warn that models would be trained while the other market is not loaded; None if that is not the case."""
    if not {"model_versions", "recommendations"} & set(assets):
        return None
    c = computations.COMPUTED_SESSIONS.c
    count = select(func.count()).where(c.asset == "features", c.session.between(dates[0], dates[-1]))
    with database.engine().connect() as connection:
        for name in MARKETS.keys() - set(markets):
            expected = sum(MARKETS[name].is_session(date) for date in dates)
            if (computed := connection.scalar(count.where(c.market == name)) or 0) < expected:
                remedy = f"boursomatic backfill --market {name} --assets {','.join(STAGES[0])}"
                return (
                    f"{name} has features on {computed} of its {expected} sessions in this range, and versions"
                    f" that are trained now learn without the others, until `boursomatic refresh --models`: first"
                    f" `{remedy} --from {dates[0]} --to {dates[-1]}`, or leave out --market"
                )
    return None


def plan_refresh(*assets: str) -> list[Run]:
    """Plan the runs that compute stale sessions of some assets again."""
    with database.engine().connect() as connection:
        stale = [part for part in staleness.find_stale_sessions(connection) if part.asset in assets]
    return [Run((part.asset,), part.market.name, part.sessions[0], part.sessions[-1]) for part in stale]


def plan_reload(symbol: str) -> list[Run]:
    """Plan the run that loads an instrument's whole past again, with its market's; unchanged rows stay.

    Raises:
        ValueError: There is no such instrument, or it has no bars.
    """
    i, b = INSTRUMENTS.c, PRICE_BARS.c
    query = (
        select(i.exchange, func.min(b.ts), func.max(b.ts))
        .join_from(INSTRUMENTS, PRICE_BARS, b.instrument_id == i.id)
        .where(i.symbol.in_(symbols_of(symbol)), b.interval == "daily")
        .group_by(i.exchange)
    )
    with database.engine().connect() as connection:
        listings = connection.execute(query).all()
    if not listings:
        raise ValueError(f"{symbol!r} has no bars: `boursomatic backfill` loads the first ones")
    return [
        Run(("instruments", "price_bars"), market.name, first.date(), last.date())
        for exchange, first, last in listings
        for market in MARKETS.values()
        if exchange in market.exchanges
    ]


def execute_run(run: Run, instance: dg.DagsterInstance, watched: "Stop | None" = None) -> RunResult:
    """Execute a run, with its assets' checks, and wait for it; who stops it finds it cancelled in the UI.

    It is claimed before it is stored and until it is over: killed at any point, it is seen.
    """
    started, run_id = time.monotonic(), str(uuid4())
    if watched:
        watched.when_forced = lambda: command_runs.mark_cancelled(run_id, instance)
    with holding.held(run_id):
        try:
            problems, checks = _execute(run, run_id, instance)
        except KeyboardInterrupt:  # before a step began, or between two
            command_runs.mark_cancelled(run_id, instance)
            raise
        except Exception as error:
            _mark_failed(run_id, instance, error)
            raise
    ended = instance.get_run_by_id(run_id)
    success = ended is not None and ended.is_success
    return RunResult(run_id, success, time.monotonic() - started, tuple(problems), checks)


def refresh_summaries(instance: dg.DagsterInstance) -> list[str]:
    """Refresh the summaries that are out of date; returns their names. The UI shows it, as of no run."""
    names = database.again(_outdated_summaries)
    for name in names:
        found = database.again(partial(refreshing.refresh, name))
        event = dg.AssetMaterialization(name, metadata={"dagster/row_count": found.rows})
        instance.report_runless_asset_event(event)
    return list(names)


def _outdated_summaries() -> Sequence[str]:
    with database.engine().connect() as connection:
        return refreshing.outdated(connection)


def _mark_failed(run_id: str, instance: dg.DagsterInstance, error: Exception) -> None:
    """Say why a run ended between its steps; where that cannot be stored, its claim says that it is gone."""
    try:
        run = instance.get_run_by_id(run_id)
        if run and not run.is_finished:
            instance.report_run_failed(run, str(error).partition("\n")[0])
    except Exception as unstored:
        absorbed.record(unstored, f"the end of run {run_id[:8]} is left to `boursomatic runs end-dead`")
        holding.leave(run_id)


def _execute(run: Run, run_id: str, instance: dg.DagsterInstance) -> tuple[list[str], int]:
    """Store a run under an id and execute it; return what is wrong, and how many checks there were."""
    job = defs.resolve_job_def("market_session_15m" if "price_bars_15m" in run.assets else "market_session")
    assets = frozenset(dg.AssetKey(asset) for asset in run.assets)
    stored = command_runs.create_run(job, assets, run_id, instance, run.tags, WORKSPACE)
    problems, checks = list[str](), 0
    for event in command_runs.execute(job, stored, instance):
        if command_runs.is_interrupt(event):
            instance.report_run_canceling(stored)
        problems += _problems(event)
        checks += event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    return problems, checks


def _problems(event: dg.DagsterEvent) -> Iterator[str]:
    """What an event says that is wrong: a step that failed, or a check that did not pass."""
    if event.is_step_failure:
        yield f"{event.step_key}: {failures.reason_of(event)}"
    elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        yield from _failed_check(event.asset_check_evaluation_data)


def _failed_check(check: dg.AssetCheckEvaluation) -> Iterator[str]:
    """A check that did not pass, in its own sentence, with the first of the rows that it names."""
    if not check.passed:
        name = f"{check.asset_key.to_user_string()}.{check.check_name}"
        rows = first_rows(check.metadata)
        such_as = f", such as {rows}" if rows else ""
        yield f"{check.severity.value.lower()}: {name}: {check.description}{such_as}"
