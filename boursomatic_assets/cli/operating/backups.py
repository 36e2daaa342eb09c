"""`boursomatic backup` and `boursomatic restore`: the whole platform into a folder, and back.

What belongs here: the words, options and exit codes of these commands, and the checks after a restore. Kept
elsewhere: what a backup is (`backups/`).
"""

import sys

import click

from boursomatic_assets.cli.common import ADDRESS, limit_waiting, one_line_errors


@click.command()
@click.argument("folder", metavar="DIR", type=ADDRESS)
@click.option("--keep", type=click.IntRange(1), metavar="COUNT", help="Remove all but the newest COUNT sets then.")
@one_line_errors
def backup(folder: str, keep: int | None) -> None:
    """Back up both databases and all files into DIR, while everything goes on.

    Each call adds a set, which is whole or not there. Files that DIR has already are not copied again. DIR holds
    all that the platform holds, accounts too, and is closed to other users. It may also be s3://bucket/prefix.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.backups import making, mark
    from boursomatic_assets.settings import patience

    settings.require_valid()
    patience.be_patient()
    mark.require_none()
    limit_waiting()
    made = making.make(folder, _say, keep)
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    for name in made.removed:
        click.echo(f"removed {name}")
    held, mebibytes = made.manifest, made.manifest.size / 2**20
    rows = sum(sum(one.rows.values()) for one in held.databases.values())
    files = f"{len(held.files):,} files, of which {made.copied:,} copied"
    click.echo(f"{made.name}  {rows:,} rows, {files}; {mebibytes:,.1f} MiB")


@click.command()
@click.argument("folder", metavar="DIR", type=ADDRESS)
@click.option("--set", "name", metavar="NAME", help="Another set than the newest, by its name in DIR/sets.")
@click.option("--verify", is_flag=True, help="Run every check on what was restored; exit code 1 if one fails.")
@one_line_errors
def restore(folder: str, name: str | None, verify: bool) -> None:
    """Restore the newest backup in DIR into an empty place: the home and the databases of the settings.

    All digests are proven before anything is written. Runs that went on when the backup was made are ended as
    failed. A restore that was interrupted goes on when the same command is run again. Bars of the archive alone
    come back with `boursomatic archive restore`.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.backups import restoring
    from boursomatic_assets.settings import patience

    settings.require_valid()
    patience.be_patient()
    done = restoring.restore(folder, _say, name)
    click.echo(f"{done.name} is restored, as of {done.manifest.began_at} UTC")
    if done.revision != done.manifest.revision:
        click.echo(f"the schema was upgraded from {done.manifest.revision} to {done.revision}")
    if done.ended_runs:
        click.echo(f"{done.ended_runs:,} runs that went on then are ended as failed")
    if done.missing_roles:
        click.echo(
            f"warning: no roles yet, see `boursomatic db grant --sql`: {', '.join(done.missing_roles)}", err=True
        )
    for path, reason in done.left.items():
        click.echo(f"warning: the archive's {path} is left as it is: {reason}", err=True)
    if verify:
        _check_everything()


def _check_everything() -> None:
    """Run every check on all loaded sessions; exit with 1 if one fails."""
    from boursomatic_assets.checks.invariant import all_invariants
    from boursomatic_assets.cli.operating.check import find
    from boursomatic_assets.cli.views.operating import check as view

    found = find(all_invariants())
    click.echo(view.as_table(found, of_range=False))
    sys.exit(1 if any(one.finding.errors for one in found) else 0)


def _say(what: str) -> None:
    click.echo(what, err=True)
