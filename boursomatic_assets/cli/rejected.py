"""`boursomatic rejected`: the ledger of rejected rows, and judging them again.

What belongs here: the words and options of these commands, and their exit codes.
Kept elsewhere: how rows are shown (`views/rejected.py`), which rows are meant (`tables/deliveries/selection.py`),
how they are judged again (`tables/deliveries/replay.py`).
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from boursomatic_assets.cli.common import DATE, one_line_errors, require_current_schema, require_readable
from boursomatic_assets.vocabulary import MARKET_NAMES

ROWS_OF_TABLE = 50
"""Rows that the table shows unless more are asked for."""


def _add_selection(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose rejected rows."""
    for option in (
        click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both."),
        click.option("--date", type=DATE, help="One session instead of all."),
        click.option("--file", help="Files whose name contains this text, whatever its case."),
        click.option("--reason", help="Reasons that contain this text, whatever its case."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_add_selection
@click.option(
    "--limit", type=click.IntRange(1), help=f"So many rows; {ROWS_OF_TABLE} in a table by default, else all."
)
@click.option("--csv", "as_csv", is_flag=True, help="Every row whole, as CSV for a spreadsheet.")
@click.option("--json", "as_json", is_flag=True, help="Every row whole, as one JSON array.")
@click.pass_context
@one_line_errors
def rejected(
    context: click.Context, limit: int | None, as_csv: bool, as_json: bool, **chosen: str | dt.date | None
) -> None:
    """Show the rows that were rejected, the newest session first, and how many have each reason."""
    if context.invoked_subcommand:
        _require_no_option(context)
        return
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other", context)
    _list_rows(limit, as_csv, as_json, chosen)


def _require_no_option(context: click.Context) -> None:
    """Require that all options stand after the subcommand: before it they would change nothing."""
    given = [name for name in context.params if context.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"write all options after `{context.invoked_subcommand}`", context)


def _list_rows(limit: int | None, as_csv: bool, as_json: bool, chosen: dict[str, Any]) -> None:
    from boursomatic_assets.cli.views import rejected as view
    from boursomatic_assets.cli.views import text
    from boursomatic_assets.tables.deliveries import selection

    require_readable()
    selected = selection.Selection(**chosen)
    rows = selection.read(selected, limit if as_csv or as_json else limit or ROWS_OF_TABLE)
    if as_csv:
        click.echo(view.as_csv(rows), nl=False)
    elif as_json:
        click.echo(text.as_json(rows))
    elif rows.is_empty():
        click.echo("no rejected row")
    else:
        click.echo(view.as_table(rows, selection.count_by_reason(selected)))


@rejected.command()
@_add_selection
@click.option("--dry-run", is_flag=True, help="Write nothing, and show what would become of the rows.")
@one_line_errors
def replay(dry_run: bool, **chosen: Any) -> None:
    """Judge rejected rows again by today's rules, and store those that break none."""
    from boursomatic_assets import settings
    from boursomatic_assets.cli.views import rejected as view
    from boursomatic_assets.sources import open_source
    from boursomatic_assets.tables.deliveries.replay import replay as judge_again
    from boursomatic_assets.tables.deliveries.selection import Selection

    settings.require_valid()
    require_current_schema()
    source = open_source(settings.source(), settings.files(), settings.start())
    extended = settings.extended_hours()
    click.echo(
        view.as_summary(judge_again(source, Selection(**chosen), extended=extended, dry_run=dry_run), dry_run)
    )
