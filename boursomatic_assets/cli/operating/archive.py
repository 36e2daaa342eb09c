"""`boursomatic archive`: 15m bars that were moved out of the table.

What belongs here: the words and options of these commands. Kept elsewhere: moving bars and back
(`tables/archive.py`), backups of the platform (`backups.py`).
"""

import datetime as dt

import click

from boursomatic_assets.cli.common import DATE, one_line_errors, require_current_schema
from boursomatic_assets.vocabulary import MARKET_NAMES


@click.group()
def archive() -> None:
    """Archived 15m bars."""


@archive.command()
@click.option("--from", "start", type=DATE, required=True, help="First date.")
@click.option("--to", "end", type=DATE, required=True, help="Last date.")
@click.option("--market", type=click.Choice(MARKET_NAMES), required=True)
@one_line_errors
def restore(start: dt.date, end: dt.date, market: str) -> None:
    """Put archived 15m bars back into the table, until they are archived again."""
    from boursomatic_assets.tables import archive as archived

    require_current_schema()
    for restored in archived.restore(market, start, end):
        click.echo(f"{restored.part}  {restored.bar_count:,} bars restored")
