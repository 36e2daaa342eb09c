"""The command line: `boursomatic`.

What belongs here: words, options, exit codes. Kept elsewhere: what the commands do.
Imports stay inside the commands: a question about the database must not wait for the orchestrator.
"""

import datetime as dt
import os
import sys
from typing import Any

import click

from boursomatic_assets.cli.db import db, make_dagster_home
from boursomatic_assets.cli.features import features
from boursomatic_assets.cli.models import models
from boursomatic_assets.cli.options import DATE, MARKETS, MOMENT, PROFILES, one_line_errors
from boursomatic_assets.cli.settings import list_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Price bars of two markets into audited BUY / HOLD / SELL recommendations."""


@main.command()
@click.option("--from", "start", type=DATE, help="First date; two years before the last by default.")
@click.option("--to", "end", type=DATE, help="Last date; the newest closed session by default.")
@click.option("--market", type=click.Choice(MARKETS), help="One market instead of both.")
@click.option("--assets", help="Comma-separated asset names instead of all but price_bars_15m.")
@one_line_errors
def backfill(start: dt.date | None, end: dt.date | None, market: str | None, assets: str | None) -> None:
    """Bring a range of sessions up to date, through all assets."""
    _ready()
    from boursomatic_assets.cli import launching
    from boursomatic_assets.orchestration.partitions import newest_closed_date, partition_dates

    end = end or newest_closed_date()
    start = start or end - dt.timedelta(days=730)
    names = _known([name.strip() for name in assets.split(",")]) if assets else launching.ASSETS
    markets, dates = [market] if market else list(MARKETS), partition_dates(start, end)
    planned = launching.plan_backfill(names, markets, dates)
    if warning := launching.single_market_warning(names, markets, dates):
        click.echo(f"warning: {warning}", err=True)
    _carry_out(planned)


@main.command()
@click.argument("asset")
@click.argument("date", type=DATE)
@click.argument("market", type=click.Choice(MARKETS))
@one_line_errors
def materialize(asset: str, date: dt.date, market: str) -> None:
    """Compute one partition of one asset; bars bring their instruments along."""
    _ready()
    from boursomatic_assets.cli import launching
    from boursomatic_assets.orchestration.partitions import partition_dates

    _carry_out(launching.plan_backfill(_known([asset]), [market], partition_dates(date, date)))


@main.command()
@click.option("--profile", type=click.Choice(PROFILES), help="One risk profile instead of all.")
@click.option("--market", type=click.Choice(MARKETS), help="One market instead of both.")
@click.option("--symbol", help="One instrument instead of all.")
@click.option("--date", type=DATE, help="A past session instead of the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@one_line_errors
def recommendations(
    profile: str | None, market: str | None, symbol: str | None, date: dt.date | None, as_json: bool
) -> None:
    """Show the current recommendations, or those of a past session."""
    from boursomatic_assets.cli.views import recommendations as view
    from boursomatic_assets.cli.views import text
    from boursomatic_assets.database import engine, migrate

    migrate.require_current(engine())
    found = view.recommendations(profile, market, symbol, date)
    click.echo(text.as_json(found) if as_json else view.as_table(found))


@main.command("track-record")
@click.option("--profile", type=click.Choice(PROFILES), help="One risk profile instead of all.")
@click.option("--market", type=click.Choice(MARKETS), help="One market instead of both.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@one_line_errors
def track_record(profile: str | None, market: str | None, as_json: bool) -> None:
    """Show how past recommendations turned out, and how often a confidence was right."""
    from boursomatic_assets.cli.views import track_record as view
    from boursomatic_assets.database import engine, migrate

    migrate.require_current(engine())
    found = view.track_record(profile, market)
    click.echo(view.as_json(found) if as_json else view.as_table(found))


@main.command()
@click.argument("symbol")
@click.option("--from", "start", type=DATE, required=True, help="First date.")
@click.option("--to", "end", type=DATE, help="Last date; the newest closed session by default.")
@click.option("--interval", type=click.Choice(("daily", "15m")), default="daily", show_default=True)
@click.option("--known-at", type=MOMENT, help="A past time, in UTC: the bars as they were known then.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@one_line_errors
def bars(
    symbol: str, start: dt.date, end: dt.date | None, interval: str, known_at: dt.datetime | None, as_json: bool
) -> None:
    """Show an instrument's bars, as they are known now or were known at a past time."""
    from boursomatic_assets.cli.views import bars as view
    from boursomatic_assets.cli.views import text
    from boursomatic_assets.database import engine, migrate
    from boursomatic_assets.orchestration.partitions import newest_closed_date, partition_dates

    migrate.require_current(engine())
    dates = partition_dates(start, end or newest_closed_date())
    found = view.bars(symbol, dates, interval, known_at)
    click.echo(text.as_json(found) if as_json else view.as_table(found))


@main.command()
@one_line_errors
def refresh() -> None:
    """Compute stale features and scores again; published recommendations stay as they are."""
    _ready()
    from boursomatic_assets.cli import launching

    planned = launching.plan_refresh()
    if not planned:
        click.echo("no features or scores are stale")
    _carry_out(planned)


@main.command()
@click.argument("symbol")
@one_line_errors
def reload(symbol: str) -> None:
    """Load an instrument's whole past again, with its market's, after a vendor has restated it."""
    _ready()
    from boursomatic_assets.cli import launching

    _carry_out(launching.plan_reload(symbol))


@main.command()
@click.option("--from", "start", type=DATE, required=True, help="First date.")
@click.option("--to", "end", type=DATE, required=True, help="Last date.")
@click.option("--market", type=click.Choice(MARKETS), required=True)
@one_line_errors
def restore(start: dt.date, end: dt.date, market: str) -> None:
    """Put archived 15m bars back into the table, until they are archived again."""
    from boursomatic_assets.database import engine, migrate
    from boursomatic_assets.tables import archive

    migrate.require_current(engine())
    for moved in archive.restore(market, start, end):
        click.echo(f"{moved.part}  {moved.bars:,} bars restored")


@main.command()
@one_line_errors
def status() -> None:
    """Show what is there: revision, rows, newest sessions, the champion, what is rejected or stale."""
    from boursomatic_assets.cli.views import status as view
    from boursomatic_assets.database import engine, migrate

    migrate.require_current(engine())
    click.echo(view.status())


@main.command()
@one_line_errors
def doctor() -> None:
    """Check everything that a run needs, and show what to do about what is missing."""
    from boursomatic_assets.cli import diagnosis

    findings = list(diagnosis.examine())
    for finding in findings:
        click.echo(f"{'ok  ' if finding.healthy else 'FAIL'}  {finding.subject:<18} {finding.detail}")
    sys.exit(0 if all(finding.healthy for finding in findings) else 1)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@one_line_errors
def dev(port: int) -> None:
    """Open the Dagster UI, with its daemon, on 127.0.0.1."""
    from boursomatic_assets import settings
    from boursomatic_assets.database import migrate
    from boursomatic_assets.orchestration.instance import CONFIG

    settings.require_sound()
    migrate.upgrade()
    folder = make_dagster_home()
    settings.make_paths_absolute()
    os.chdir(folder)  # elsewhere it may find another dagster.yaml, and warn of it
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    dagster = os.path.join(os.path.dirname(sys.executable), "dagster")  # noqa: PTH118, PTH120
    workspace = str(CONFIG.parent / "workspace.yaml")
    os.execv(dagster, [dagster, "dev", "-h", "127.0.0.1", "-p", str(port), "-w", workspace])


main.add_command(db)
main.add_command(features)
main.add_command(models)
main.add_command(list_settings)


def _ready() -> None:
    """Refuse to start a run with settings that cannot be meant, or on a schema that is not this code's."""
    from boursomatic_assets import settings
    from boursomatic_assets.database import engine, migrate

    settings.require_sound()
    migrate.require_current(engine())
    make_dagster_home()


def _known(assets: list[str]) -> tuple[str, ...]:
    """These assets, if there are assets of such names."""
    from boursomatic_assets.cli import launching

    if unknown := [repr(asset) for asset in assets if asset not in launching.KNOWN_ASSETS]:
        raise ValueError(
            f"there is no asset {' or '.join(unknown)}: choose from {', '.join(launching.KNOWN_ASSETS)}"
        )
    return tuple(assets)


def _carry_out(planned: list[Any]) -> None:
    """Carry out runs in order; stop with exit code 1 at the first that fails."""
    from dagster import DagsterInstance

    from boursomatic_assets.cli.launching import execute

    with DagsterInstance.get() as instance:
        for number, run in enumerate(planned, start=1):
            click.echo(f"[{number}/{len(planned)}] {run}", nl=False)
            outcome = execute(run, instance)
            click.echo(f"  {outcome.seconds:.1f} s")
            for problem in outcome.problems:
                click.echo(f"        {problem}", err=not outcome.success)
            if not outcome.success:
                raise RuntimeError(f"the run failed: {run}")
