"""`boursomatic archive`: 15m bars that were moved out of the table.

What belongs here: the words and options of these commands. Kept elsewhere: moving bars and back
(`tables/archive/`), backups of the platform (`backups.py`).
"""

import datetime as dt
import sys

import click

from boursomatic_assets.cli.common import DATE, one_line_errors, require_current_schema
from boursomatic_assets.vocabulary import MARKET_NAMES


@click.group()
def archive() -> None:
    """Archived 15m bars."""


@archive.command()
@one_line_errors
def adopt() -> None:
    """Name the files that an earlier version archived, so that they are read; each archiving does so too."""
    from boursomatic_assets.settings import patience
    from boursomatic_assets.tables.archive import adoption

    require_current_schema()
    patience.be_patient()
    adopted = adoption.adopt()
    click.echo(f"{len(adopted.names):,} files are adopted")
    for name, reason in adopted.left.items():
        click.echo(f"{name} is left as it is: {reason}", err=True)
    sys.exit(1 if adopted.left else 0)


@archive.command()
@click.option("--from", "start", type=DATE, required=True, help="First date.")
@click.option("--to", "end", type=DATE, required=True, help="Last date.")
@click.option("--market", type=click.Choice(MARKET_NAMES), required=True)
@one_line_errors
def restore(start: dt.date, end: dt.date, market: str) -> None:
    """Put archived 15m bars back into the table, until they are archived again."""
    from boursomatic_assets.settings import patience
    from boursomatic_assets.tables.archive import moving

    require_current_schema()
    patience.be_patient()
    for restored in moving.restore(market, start, end):
        click.echo(f"{restored.part}  {restored.bar_count:,} bars restored")
