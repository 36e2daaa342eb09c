"""Commands that compute: backfill, materialize, refresh, reload.

What belongs here: their words, options and exit codes. Kept elsewhere: which runs they start (`launching.py`).
"""

import atexit
import datetime as dt
import gc
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from boursomatic_assets.cli.common import DATE, one_line_errors, require_ready
from boursomatic_assets.vocabulary import MARKET_NAMES

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from boursomatic_assets.cli.running.interrupts import Stop
    from boursomatic_assets.cli.running.progress import ProgressLines

UNTRAINED = "stopped: no model version is trained again; to go on, give the same command again"


@click.command()
@click.option("--from", "start", type=DATE, help="First date; two years before the last by default.")
@click.option("--to", "end", type=DATE, help="Last date; the newest closed session by default.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--assets", help="Comma-separated asset names instead of all but price_bars_15m.")
@click.option("--queue", is_flag=True, help="Let the daemon run it, on workers if a broker is set, and look on.")
@one_line_errors
def backfill(
    start: dt.date | None, end: dt.date | None, market: str | None, assets: str | None, queue: bool
) -> None:
    """Bring a range of sessions up to date, through all assets."""
    require_ready()
    from boursomatic_assets.calendars.markets import newest_closed_date

    end = end or newest_closed_date()
    start = start or end - dt.timedelta(days=730)
    _let_partitions_begin(start, end)
    from boursomatic_assets.cli import launching
    from boursomatic_assets.orchestration.partitions import partition_dates

    names = _require_known_assets([name.strip() for name in assets.split(",")]) if assets else launching.ASSETS
    markets, dates = [market] if market else list(MARKET_NAMES), partition_dates(start, end)
    runs = launching.plan_backfill(names, markets, dates)
    if warning := launching.single_market_warning(names, markets, dates):
        click.echo(f"warning: {warning}", err=True)
    if queue:
        _hand_over(runs, markets, dates)
    else:
        _execute_runs(runs)


def _hand_over(runs: list[Any], markets: list[str], dates: list[dt.date]) -> None:
    """Let the daemon compute what some runs would, as a backfill of the UI."""
    from boursomatic_assets.cli import launching
    from boursomatic_assets.cli.running import queued
    from boursomatic_assets.definitions import defs
    from boursomatic_assets.orchestration.partitions import partition_key

    atexit.register(gc.freeze)
    assets = list(dict.fromkeys(asset for run in runs for asset in run.assets))
    keys = [partition_key(date, market) for date in dates for market in markets]
    queued.hand_over(defs, assets, keys, launching.FROM_COMMAND_LINE)


@click.command()
@click.argument("asset")
@click.argument("date", type=DATE)
@click.argument("market", type=click.Choice(MARKET_NAMES))
@one_line_errors
def materialize(asset: str, date: dt.date, market: str) -> None:
    """Compute one partition of one asset; bars bring their instruments along."""
    require_ready()
    from boursomatic_assets.calendars.markets import MARKETS
    from boursomatic_assets.cli import launching
    from boursomatic_assets.orchestration.partitions import partition_dates

    runs = launching.plan_backfill(_require_known_assets([asset]), [market], partition_dates(date, date))
    if not MARKETS[market].is_session(date):
        click.echo(f"{market} is closed on {date}: the partition has no rows")
    _execute_runs(runs)


@click.command()
@click.option("--models", is_flag=True, help="Train stale model versions again, and publish what follows from it.")
@one_line_errors
def refresh(models: bool) -> None:
    """Compute stale features and scores again; published recommendations stay as they are.

    With --models, due dates are trained again from the first on whose history has changed, as new revisions with
    the gate's decisions; recommendations that follow from them, or whose features have changed, are superseded.
    """
    require_ready()
    from boursomatic_assets.cli import launching

    if models:
        _refresh_models()
        return
    runs = launching.plan_refresh("features", "track_record")
    if not runs:
        click.echo("no features or scores are stale")
    _execute_runs(runs)


def _refresh_models() -> None:
    """Bring everything up to date, in the order in which one follows from the other."""
    from boursomatic_assets import database, registry
    from boursomatic_assets.cli import launching
    from boursomatic_assets.cli.running import interrupts
    from boursomatic_assets.learning.parameters import Parameters

    _execute_runs(launching.plan_refresh("features"))
    with interrupts.stoppable(lambda: UNTRAINED, sys.stderr):
        trained = database.again(lambda: registry.retrain_stale_versions(Parameters()))
    click.echo(
        f"model versions trained again: {len(trained):,}, {trained[0].version} .. {trained[-1].version}"
        if trained
        else "no model version is stale"
    )
    _execute_runs(launching.plan_refresh("recommendations"))
    _execute_runs(launching.plan_refresh("track_record"))


@click.command()
@click.argument("symbol")
@one_line_errors
def reload(symbol: str) -> None:
    """Load an instrument's whole past again, with its market's, after a vendor has restated it."""
    require_ready()
    from boursomatic_assets.cli import launching

    _execute_runs(launching.plan_reload(symbol))


def _let_partitions_begin(start: dt.date, end: dt.date) -> None:
    """Record where the simulated bars of a new home begin, or that they begin earlier from now on.

    This process must not know the partitions yet. A home that has bars and no record is an older one, with
    partitions from the default on: it stays so.
    """
    from boursomatic_assets import database, settings
    from boursomatic_assets.calendars.markets import all_sessions

    today = dt.datetime.now(dt.UTC).date()
    sessions = [date for date in all_sessions().tolist() if start <= date <= min(end, today)]
    if not (settings.records_start() and sessions and start >= settings.DEFAULT_START):
        return
    home = settings.home()
    recorded = settings.first_partition.read(home)
    if recorded is None:
        with database.engine().connect() as connection:
            if connection.exec_driver_sql("SELECT EXISTS (SELECT FROM price_bars)").scalar():
                return
    if recorded is None or sessions[0] < recorded:
        settings.first_partition.record(home, sessions[0])


def _require_known_assets(assets: list[str]) -> tuple[str, ...]:
    """Return these names of assets, or refuse the unknown ones."""
    from boursomatic_assets.cli import launching

    if unknown := [repr(asset) for asset in assets if asset not in launching.KNOWN_ASSETS]:
        raise ValueError(
            f"there is no asset {' or '.join(unknown)}: choose from {', '.join(launching.KNOWN_ASSETS)}"
        )
    return tuple(assets)


def _execute_runs(runs: list[Any]) -> None:
    """Execute runs in order; stop with exit code 1 at the first that fails, with 130 at Ctrl-C."""
    from dagster import DagsterInstance

    from boursomatic_assets.cli import launching
    from boursomatic_assets.cli.running import interrupts, progress
    from boursomatic_assets.database import locks
    from boursomatic_assets.orchestration.progress import logger

    atexit.register(gc.freeze)  # or the interpreter looks through all objects once more before it ends: seconds
    done = list[Any]()
    with (
        DagsterInstance.get() as instance,
        progress.shown(logger, locks.logger) as lines,
        interrupts.stoppable(lambda: _describe_stop(runs, done, lines.said), lines.stream) as stop,
    ):
        for number, run in enumerate(runs, start=1):
            if stop.requested:
                return
            _execute_run(f"[{number}/{len(runs)}]", run, instance, lines, stop)
            done.append(run)
        if runs and (refreshed := launching.refresh_summaries(instance)):
            click.echo(f"refreshed: {', '.join(refreshed)}", err=True)


def _execute_run(number: str, run: Any, instance: "DagsterInstance", lines: "ProgressLines", stop: "Stop") -> None:
    """Execute a run and show what came of it.

    Raises:
        RuntimeError: It failed.
        KeyboardInterrupt: It was stopped.
    """
    from boursomatic_assets.cli.launching import execute_run

    lines.said.clear()
    lines.show(f"{number} {run.aligned}")
    result = execute_run(run, instance, stop)
    lines.clear()
    if stop.requested and not result.success:
        raise KeyboardInterrupt
    checks = f", {result.checks} checks" if result.checks else ""
    click.echo(f"{number} {run.aligned}  {result.seconds:,.1f} s{checks}")
    for problem in result.problems:
        click.echo(f"        {problem}", err=not result.success)
    if not result.success:
        raise RuntimeError(f"the run failed: {run}")


def _describe_stop(runs: list[Any], done: list[Any], said: Mapping[str, str]) -> str:
    """What is done after Ctrl-C, and how to go on."""
    lines = [f"stopped: {len(done):,} of {len(runs):,} runs are done"]
    if len(done) < len(runs) and said:
        lines += [
            f"of {runs[len(done)]} is written:",
            *(f"  {line}" for line in said.values()),
        ]
    return "\n".join([*lines, "to go on, give the same command again: what is written stays as it is"])
