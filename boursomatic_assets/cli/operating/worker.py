"""`boursomatic worker`: executes the runs that a broker hands over.

What belongs here: the command, and what it requires before it begins. Kept elsewhere: the process
(`orchestration/workers/`), the broker (`broker/`).
"""

import os
import sys
from typing import Any

import click

from boursomatic_assets.cli.common import make_dagster_home, one_line_errors
from boursomatic_assets.vocabulary import MARKET_NAMES

MEGABYTES = 1500
"""The size from which a process is replaced after its run: a range of ten years takes some 800."""


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    help="Runs at once, each in a process; one for each core by default.",
)
@click.option("--queues", help=f"Comma-separated queues: {', '.join(MARKET_NAMES)}, OTHER; all by default.")
@click.option(
    "--memory",
    type=click.IntRange(100),
    default=MEGABYTES,
    show_default=True,
    help="Megabytes from which a process is replaced after its run.",
)
@one_line_errors
def worker(concurrency: int | None, queues: str | None, memory: int) -> None:
    """Execute the runs that the broker of BOURSOMATIC_BROKER hands over, until a signal comes.

    What goes on then is executed to its end; a second signal ends at once. It ends with exit code 1 if it cannot
    execute runs: the database has another schema, or the store of the other workers is not here.
    """
    from boursomatic_assets import broker, settings
    from boursomatic_assets.backups import mark
    from boursomatic_assets.broker import looking
    from boursomatic_assets.settings import patience

    settings.require_valid()
    mark.require_none()
    served = _known_queues(queues, broker.EVERY_QUEUE)
    app = broker.open_app()
    looking.require_answer(app)
    patience.be_patient()
    _require_fit()
    settings.make_paths_absolute()
    os.chdir(make_dagster_home())  # elsewhere it may find another dagster.yaml, and warn of it
    _work(app, concurrency or os.cpu_count() or 1, served, memory)


def _require_fit() -> None:
    """Require it in a process of its own: a bucket's driver starts threads, and what is forked later has none."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from boursomatic_assets.orchestration.workers import requirements

    with ProcessPoolExecutor(1, get_context("fork")) as apart:
        apart.submit(requirements.require_fit).result()


def _work(app: Any, concurrency: int, queues: tuple[str, ...], memory: int) -> None:
    from boursomatic_assets import database
    from boursomatic_assets.orchestration.workers import process

    database.disconnect()  # what is forked shares no connection
    click.echo(process.describe(concurrency, queues), err=True)
    sys.exit(process.work(app, _load, concurrency, queues, memory))


def _load() -> None:
    from boursomatic_assets.definitions import defs

    defs.get_repository_def()


def _known_queues(named: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The queues that are named, or all.

    Raises:
        click.UsageError: One is not known.
    """
    wanted = tuple(name.strip() for name in named.split(",")) if named else known
    if unknown := [repr(name) for name in wanted if name not in known]:
        raise click.UsageError(f"there is no queue {' or '.join(unknown)}: choose from {', '.join(known)}")
    return wanted
