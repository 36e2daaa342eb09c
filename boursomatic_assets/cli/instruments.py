"""`boursomatic instruments`: which there are, which may be one share, and the merge of those that are.

What belongs here: the words and options of these commands. Kept elsewhere: what they do (`tables/aliases/`), how
it is shown (`views/instruments.py`).
"""

import click

from boursomatic_assets.cli.common import one_line_errors, require_current_schema, require_readable
from boursomatic_assets.vocabulary import MARKET_NAMES


class InstrumentName(click.ParamType[tuple[str, str]]):
    """SYMBOL@EXCHANGE, as a symbol and an exchange."""

    name = "symbol@exchange"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split the name at its last @."""
        if isinstance(value, tuple):
            return value
        symbol, _, exchange = value.rpartition("@")
        if not (symbol and exchange):
            self.fail(
                f"{value!r} names no symbol and exchange: write SYMBOL@EXCHANGE, such as PEP@NYSE", param, ctx
            )
        return symbol, exchange


NAME = InstrumentName()


@click.group()
def instruments() -> None:
    """The instruments: their names, their first and last bar, and which are one share."""


@instruments.command(name="list")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--duplicates", is_flag=True, help="Only those that may be one share, and how to merge them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@one_line_errors
def list_instruments(market: str | None, duplicates: bool, as_json: bool) -> None:
    """Show every instrument with its first and last daily bar, and the names that were merged into it."""
    from boursomatic_assets.cli.views import instruments as view
    from boursomatic_assets.cli.views import text

    require_readable()
    candidates = view.candidates(market) if duplicates else None
    shown = view.instruments(market, candidates)
    click.echo(text.as_json(shown) if as_json else view.as_table(shown))
    for one in candidates or ():
        click.echo(one.command, err=as_json)


@instruments.command()
@click.argument("names", metavar="SYMBOL@EXCHANGE...", type=NAME, nargs=-1, required=True)
@click.option("--into", metavar="SYMBOL@EXCHANGE", type=NAME, required=True, help="The name that stays.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@one_line_errors
def merge(names: tuple[tuple[str, str], ...], into: tuple[str, str], dry_run: bool) -> None:
    """Make instruments one: their bars become those of one of them, and so do bars to come. A merge is final.

    The other names become its aliases. Of two bars of one time its own stays, and the other is kept as a revision.
    Recommendations and their scores keep the name under which they were published.

    Each instrument is merged in one transaction, which waits for running writes of its market. Afterwards features
    and scores are stale: `boursomatic refresh` computes them again.
    """
    from boursomatic_assets.cli.views import instruments as view
    from boursomatic_assets.tables.aliases.merge import merge as merge_instruments
    from boursomatic_assets.tables.aliases.names import Name

    require_current_schema()
    for name in dict.fromkeys(names):
        result = merge_instruments(Name(*name), Name(*into), dry_run=dry_run)
        click.echo(view.merge_as_text(result, dry_run=dry_run))
