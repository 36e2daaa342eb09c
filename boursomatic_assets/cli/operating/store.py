"""`boursomatic store`: where models and the archive are kept.

What belongs here: the words and options of these commands. Kept elsewhere: which files rows name
(`tables/named_files.py`), the stores (`stores/`).
"""

import sys

import click

from boursomatic_assets.cli.common import ADDRESS, one_line_errors, require_current_schema


@click.group()
def store() -> None:
    """The store of models and of the archive: a folder, or a bucket."""


@store.command()
@one_line_errors
def verify() -> None:
    """Read every file that a row names; exit code 1, with their names, if any is missing or damaged."""
    from boursomatic_assets.settings import patience
    from boursomatic_assets.tables import named_files

    require_current_schema()
    patience.be_patient()
    found = named_files.survey()
    damaged = list(named_files.damaged())
    for line in damaged:
        click.echo(line)
    for name in found.unnamed:
        click.echo(f"no row names {name}")
    click.echo(f"{found.named:,} files are named, {len(damaged):,} of them are missing or damaged", err=True)
    sys.exit(1 if damaged else 0)


@store.command()
@click.argument("source", metavar="FROM", type=ADDRESS)
@click.argument("target", metavar="TO", type=ADDRESS)
@one_line_errors
def move(source: str, target: str) -> None:
    """Copy all files that rows name from one store to another, and the backups that lie in FROM/backups.

    Each file is proven in both. FROM stays as it is; without BOURSOMATIC_STORE it is the home folder. The same
    command goes on where it was interrupted, and copies what was written meanwhile.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.settings import patience
    from boursomatic_assets.tables import named_files
    from boursomatic_assets.tables.archive import adoption

    require_current_schema()
    patience.be_patient()
    if left := adoption.adopt().left:
        raise ValueError(f"{next(iter(left))} is named by no row: {next(iter(left.values()))}")
    copied = named_files.move(source, target, lambda what: click.echo(what, err=True))
    click.echo(f"{copied:,} files were copied, all are in {target}")
    unset = ", unset BOURSOMATIC_ARCHIVE," if "BOURSOMATIC_ARCHIVE" in settings.environment_values() else ""
    click.echo(
        f"set BOURSOMATIC_STORE={target}{unset} wherever the platform runs; then give this command once more"
        f"{', with BOURSOMATIC_ARCHIVE as it is now' if unset else ''}, for what was written meanwhile"
    )
