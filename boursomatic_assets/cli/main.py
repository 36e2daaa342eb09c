"""The command line: `boursomatic`, with all its commands in the order of a user's needs.

What belongs here: the group, which commands it has, and those about the platform itself: doctor, dev.
Kept elsewhere: commands by subject (`compute.py`, `results.py`) and groups of commands (`audit.py`,
`db.py`, `features.py`, `files.py`, `instruments.py`, `models.py`, `rejected.py`, `settings.py`, `users.py`).
"""

import os
import sys

import click

from boursomatic_assets.cli.audit import audit
from boursomatic_assets.cli.common import make_dagster_home, one_line_errors, require_free
from boursomatic_assets.cli.compute import backfill, materialize, refresh, reload
from boursomatic_assets.cli.db import db
from boursomatic_assets.cli.features import features
from boursomatic_assets.cli.files import files
from boursomatic_assets.cli.instruments import instruments
from boursomatic_assets.cli.models import models
from boursomatic_assets.cli.operating.alerts import alerts
from boursomatic_assets.cli.operating.archive import archive
from boursomatic_assets.cli.operating.backups import backup, restore
from boursomatic_assets.cli.operating.check import check
from boursomatic_assets.cli.operating.metrics import metrics, require_free_metrics, start_beside_dev
from boursomatic_assets.cli.operating.runs import runs
from boursomatic_assets.cli.rejected import rejected
from boursomatic_assets.cli.results import bars, recommendations, status, track_record, why, why_changed
from boursomatic_assets.cli.settings import list_settings
from boursomatic_assets.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="boursomatic", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Price bars of two markets into audited BUY / HOLD / SELL recommendations."""
    from boursomatic_assets.settings import environment

    if environment.forbids_colours():
        context.color = False  # for all commands; None leaves it to click: a terminal has some


@click.command()
@one_line_errors
def doctor() -> None:
    """Check everything that a run needs, and show what to do about what is missing."""
    from boursomatic_assets.cli.views import diagnosis

    findings = list(diagnosis.run_diagnosis())
    for finding in findings:
        click.echo(finding)
    sys.exit(0 if all(finding.healthy for finding in findings) else 1)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the UI is reached at.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI.")
@click.option("--expose", is_flag=True, help="Let others reach the UI, which asks nobody for a password.")
@click.option("--read-only", is_flag=True, help="Answer nothing that changes anything; schedules go on.")
@one_line_errors
def dev(host: str, port: int, expose: bool, read_only: bool) -> None:
    """Open the Dagster UI, with its daemon, on this machine alone."""
    from boursomatic_assets import settings
    from boursomatic_assets.backups import mark
    from boursomatic_assets.database import migrate
    from boursomatic_assets.orchestration.instance import WORKSPACE

    settings.require_valid()
    mark.require_none()
    _require_closed_or_exposed(host, port, expose=expose, read_only=read_only)
    require_free(host, port, "`boursomatic dev`", "choose another port with --port")
    require_free_metrics()
    migrate.upgrade()
    folder = make_dagster_home()
    settings.make_paths_absolute()
    os.chdir(folder)  # elsewhere it may find another dagster.yaml, and warn of it
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    os.environ["DAGSTER_WEBSERVER_READ_ONLY"] = str(int(read_only))
    start_beside_dev()
    dagster = os.path.join(os.path.dirname(sys.executable), "dagster")  # noqa: PTH118, PTH120
    os.execv(dagster, [dagster, "dev", "-h", host, "-p", str(port), "-w", str(WORKSPACE)])


def _require_closed_or_exposed(host: str, port: int, *, expose: bool, read_only: bool) -> None:
    """Refuse an address that others reach unless that is asked for, and say what it means.

    Raises:
        click.UsageError: It is not asked for, or no name is stated by which browsers reach it.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.orchestration.web_requests import is_loopback, is_unspecified

    if is_loopback(host):
        return
    if not expose:
        raise click.UsageError(
            f"others reach {host}, and the UI asks nobody for a password: add --expose to say so"
        )
    names = settings.web_hosts() if is_unspecified(host) else (*settings.web_hosts(), host)
    if not names:
        raise click.UsageError(
            f"{host} is no name for a browser: set BOURSOMATIC_WEB_HOSTS to those that reach it"
        )
    os.environ["BOURSOMATIC_WEB_HOSTS"] = ",".join(names)
    may = "read everything" if read_only else "start and delete runs, and read everything"
    click.echo(
        f"warning: whoever reaches port {port} of {host} may {may}, without a password and unencrypted;"
        f" put a proxy in front (docs/security.md). Answered names: {', '.join(names)}",
        err=True,
    )


COMMANDS = (
    *(backfill, materialize, refresh, reload),
    *(recommendations, why, why_changed, track_record, bars, status, check, rejected),
    *(audit, instruments, files, models, features, archive, users),
    *(doctor, dev, runs, backup, restore, alerts, metrics, db, list_settings),
)
"""Commands and groups of commands, as `--help` and docs/commands.md list them."""

for command in COMMANDS:
    main.add_command(command)
