"""`boursomatic check`: the rules of the tables on the loaded sessions, without a run.

What belongs here: the command, its options and exit codes. Kept elsewhere: the rules (`checks/`), how their
findings are shown (`views/operating/check.py`).
"""

import datetime as dt
import sys
from typing import TYPE_CHECKING

import click

from boursomatic_assets.cli.common import DATE, one_line_errors, require_readable
from boursomatic_assets.vocabulary import MARKET_NAMES

if TYPE_CHECKING:
    from boursomatic_assets.checks.invariant import Invariant
    from boursomatic_assets.cli.views.operating.check import Checked


@click.command()
@click.option("--asset", help="The checks of one asset instead of all.")
@click.option("--from", "start", type=DATE, help="First session; the first loaded one by default.")
@click.option("--to", "end", type=DATE, help="Last session; the last loaded one by default.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--json", "as_json", is_flag=True, help="Every check whole, as one JSON array.")
@one_line_errors
def check(
    asset: str | None, start: dt.date | None, end: dt.date | None, market: str | None, as_json: bool
) -> None:
    """Check the tables on the loaded sessions, and show what is wrong or unusual, and where.

    Exit code 1 if there are errors; warnings alone, or nothing, are 0. What belongs to no session is checked as
    well. No run is started, and the colours of the UI stay as they are.
    """
    if start and end and start > end:
        raise click.UsageError(f"the range is empty: --from {start} is after --to {end}")
    from boursomatic_assets import settings
    from boursomatic_assets.checks.invariant import all_invariants
    from boursomatic_assets.cli.views.operating import check as view

    settings.require_valid()
    require_readable()
    rules = all_invariants()
    assets = list(dict.fromkeys(rule.asset for rule in rules))
    if asset and asset not in assets:
        raise click.UsageError(f"there is no asset {asset!r} with checks: choose from {', '.join(assets)}")
    found = find([rule for rule in rules if asset in (None, rule.asset)], market, start, end)
    click.echo(view.as_json(found) if as_json else view.as_table(found, of_range=bool(start or end)))
    if not (start or end):
        _say_what_is_passed_over()
    sys.exit(1 if any(one.finding.errors for one in found) else 0)


def _say_what_is_passed_over() -> None:
    from boursomatic_assets import database
    from boursomatic_assets.tables.reading import cold

    with database.engine().connect() as connection:
        numbers = sorted({year.first.year for year in cold.years_seen(connection, "price_bars")})
    if numbers:
        click.echo(
            f"years in cold storage, passed over: {', '.join(map(str, numbers))}; --from names one", err=True
        )


def find(
    rules: "list[Invariant]", market: str | None = None, start: dt.date | None = None, end: dt.date | None = None
) -> "list[Checked]":
    """What rules find on the loaded sessions, in one snapshot; progress is shown."""
    from boursomatic_assets.checks.findings.loaded import loaded_slices
    from boursomatic_assets.checks.invariant import open_snapshot
    from boursomatic_assets.cli.views.operating.check import Checked

    with open_snapshot() as connection:
        partitioned = {rule.asset for rule in rules if rule.partitioned}
        parts = {name: loaded_slices(connection, name, market, start, end) for name in partitioned}
        with click.progressbar(rules, label="checking", file=sys.stderr) as rows:
            return [
                Checked(rule, looked_at, rule.find(connection, looked_at))
                for rule in rows
                for looked_at in [parts.get(rule.asset, [])]
            ]
