"""The command line: `boursomatic`, with all its commands in the order of a user's needs.

What belongs here: the group, which commands it has, and `doctor`, about all of them.
Kept elsewhere: commands by subject (`compute.py`, `results.py`), groups of commands (`audit.py`, `db.py`,
`features.py`, `files.py`, `instruments.py`, `models.py`, `rejected.py`, `settings.py`, `users.py`), and those of
operators (`operating/`).
"""

import sys

import click

from boursomatic_assets.cli.audit import audit
from boursomatic_assets.cli.common import one_line_errors
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
from boursomatic_assets.cli.operating.dev import dev
from boursomatic_assets.cli.operating.metrics import metrics
from boursomatic_assets.cli.operating.runs import runs
from boursomatic_assets.cli.operating.store import store
from boursomatic_assets.cli.operating.worker import worker
from boursomatic_assets.cli.rejected import rejected
from boursomatic_assets.cli.results import bars, recommendations, search, status, track_record, why, why_changed
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
    from boursomatic_assets.cli.views.diagnosis import findings

    found = list(findings.run_diagnosis())
    for finding in found:
        click.echo(finding)
    sys.exit(0 if all(finding.healthy for finding in found) else 1)


COMMANDS = (
    *(backfill, materialize, refresh, reload),
    *(recommendations, search, why, why_changed, track_record, bars, status, check, rejected),
    *(audit, instruments, files, models, features, archive, users),
    *(doctor, dev, worker, runs, backup, restore, store, alerts, metrics, db, list_settings),
)
"""Commands and groups of commands, as `--help` and docs/commands.md list them."""

for command in COMMANDS:
    main.add_command(command)
