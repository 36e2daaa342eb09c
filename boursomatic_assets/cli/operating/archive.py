"""`boursomatic archive`: bars and features that were moved out of their tables.

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
    """Bars and features that were moved to files: 15m bars by session, old years of the others."""


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
@click.option("--keep", type=click.IntRange(1), required=True, help="Whole years before this one that stay.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@one_line_errors
def years(keep: int, market: str | None) -> None:
    """Move daily bars and features of older years to files, from which they are read as before.

    With `BOURSOMATIC_COLD_AFTER` each night does so.
    """
    from boursomatic_assets.calendars.clock import utc_now
    from boursomatic_assets.settings import patience
    from boursomatic_assets.tables.archive.year_moves import move

    require_current_schema()
    patience.be_patient()
    moved = move(keep, utc_now().date(), market)
    for year in moved:
        click.echo(str(year))
    click.echo(f"{len(moved):,} years of a market are moved")


@archive.command()
@click.option("--from", "start", type=DATE, required=True, help="First date.")
@click.option("--to", "end", type=DATE, required=True, help="Last date.")
@click.option("--market", type=click.Choice(MARKET_NAMES), required=True)
@one_line_errors
def restore(start: dt.date, end: dt.date, market: str) -> None:
    """Put sessions of 15m bars and whole years of the rest back into their tables, until they are moved again."""
    from boursomatic_assets.settings import patience
    from boursomatic_assets.tables.archive import moving, year_returns

    require_current_schema()
    patience.be_patient()
    restored = year_returns.restore(market, start, end)
    for year in restored:
        click.echo(f"{year} restored" if year.rows else f"{year.market} {year.number}  is in its tables already")
    for session in moving.restore(market, start, end, none_is_wrong=not restored):
        click.echo(f"{session.part}  {session.bar_count:,} bars restored")
