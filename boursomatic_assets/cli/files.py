"""`boursomatic files`: what the files of the source `files` are.

What belongs here: the words and options of these commands. Kept elsewhere: how a file is understood
(`sources/files/`), how findings are shown (`views/files.py`).
"""

import sys
from pathlib import Path

import click

from boursomatic_assets.cli.common import one_line_errors
from boursomatic_assets.cli.running.terminals import rewrites_lines
from boursomatic_assets.vocabulary import MARKET_NAMES


@click.group()
def files() -> None:
    """Files: what they are recognised as, and what must be stated of them."""


@files.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--market", type=click.Choice(MARKET_NAMES), help="Files with instruments of one market alone.")
@click.option("--write", is_flag=True, help="Write what is to be stated into `columns.yaml`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@one_line_errors
def inspect(path: Path | None, market: str | None, write: bool, as_json: bool) -> None:
    """Show what each file of a folder is, and what is asked or refused; nothing is stored.

    The folder is BOURSOMATIC_FILES, unless PATH names another one.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.cli.views import files as view
    from boursomatic_assets.sources.files import inspection

    named = path or settings.files()
    if not named:
        raise ValueError("BOURSOMATIC_FILES is not set: set it to the folder with the files of bars, or name one")
    if not Path(named).is_dir():
        raise ValueError(f"{named} is no folder: name the folder with the files of bars")
    folder = Path(named)
    progress = click.progressbar(
        inspection.inspect(folder),
        length=inspection.count_files(folder),
        label="files",
        file=sys.stderr,
        hidden=not rewrites_lines(sys.stderr),
    )
    with progress as findings:
        found = list(findings)
    shown = [finding for finding in found if market is None or view.concerns(finding, market)]
    click.echo(view.as_json(shown) if as_json else view.as_table(shown))
    stated = inspection.declarations_for(found)
    if write and stated:
        click.echo(f"written: {view.write_declarations(folder, stated)}: replace each ? in it", err=True)
    elif stated and not as_json:
        click.echo(f"\nTo be stated in columns.yaml, with a value for each ?:\n\n{stated}", nl=False)
