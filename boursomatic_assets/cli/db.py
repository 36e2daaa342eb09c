"""`boursomatic db`: the database's schema, its address, its shell.

What belongs here: the words and options of these commands. Kept elsewhere: what they do (`database/`).
"""

import os
from pathlib import Path
from typing import get_args

import click

from boursomatic_assets.cli.common import limit_waiting, make_dagster_home, one_line_errors, read_password
from boursomatic_assets.vocabulary import GRANTED_ROLES, Role


@click.group()
def db() -> None:
    """The database: its schema, its address, its shell."""


@db.command()
@one_line_errors
def upgrade() -> None:
    """Create what is missing and bring the schema to this code's revision."""
    from boursomatic_assets.database import migrate

    limit_waiting()
    migrate.upgrade()
    make_dagster_home()
    click.echo(migrate.status())


@db.command(name="status")
@one_line_errors
def db_status() -> None:
    """Show the revisions of the database and of this code."""
    from boursomatic_assets.database import migrate

    click.echo(migrate.status())


@db.command()
@click.option("--yes", is_flag=True, help="Drop rows without asking.")
@one_line_errors
def rollback(yes: bool) -> None:
    """Drop every table: the schema goes back to base."""
    from boursomatic_assets.database import migrate
    from boursomatic_assets.tables.chains import heads

    migrate.require_consent(yes)
    limit_waiting()
    migrate.downgrade("base")
    heads.end("boursomatic db rollback")
    click.echo(migrate.status())


@db.command()
@click.option("--yes", is_flag=True, help="Drop rows without asking.")
@one_line_errors
def recreate(yes: bool) -> None:
    """Drop every table, and create them all empty."""
    from boursomatic_assets.database import migrate
    from boursomatic_assets.tables.chains import heads

    migrate.require_consent(yes)
    limit_waiting()
    migrate.recreate()
    heads.end("boursomatic db recreate")
    click.echo(migrate.status())


@db.command()
@one_line_errors
def partition() -> None:
    """Partition price_bars and features by year, or create the years that are missing by now."""
    from boursomatic_assets.database import partitioning

    partitioning.partition()
    click.echo(partitioning.status())


@db.command()
@one_line_errors
def unpartition() -> None:
    """Make price_bars and features plain tables again."""
    from boursomatic_assets.database import partitioning

    partitioning.unpartition()
    click.echo(partitioning.status())


@db.command()
@one_line_errors
def url() -> None:
    """Print the database's address, without its password."""
    from boursomatic_assets.database import database_url
    from boursomatic_assets.settings import redacted

    click.echo(redacted(database_url()))


@db.command()
@click.argument("role", type=click.Choice(GRANTED_ROLES), required=False)
@click.option("--to", "member", metavar="LOGIN", help="Make this login a member of the role.")
@click.option("--password", is_flag=True, help="Let the role itself log in: asks for a password, or reads a line.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the statements for an administrator, and run nothing.")
@one_line_errors
def grant(role: Role | None, member: str | None, password: bool, as_sql: bool) -> None:
    """Make the roles and grant what each may do, again; give one a password, or a member.

    It runs as the owner of the tables (DATABASE_OWNER_URL). Where the owner may not create roles, an administrator
    runs what --sql prints.
    """
    from boursomatic_assets.database.roles import logins

    if (member or password) and not role:
        raise click.UsageError("name the role that --to or --password is for")
    if as_sql:
        click.echo("".join(f"{statement};\n" for statement in logins.statements(role, member)), nl=False)
        return
    secret = read_password(confirm=True) if password else None
    for line in logins.grant(role, member, secret):
        click.echo(line)


@db.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--as", "role", type=click.Choice(get_args(Role)), default="writer", help="As whom.", show_default=True
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@one_line_errors
def psql(arguments: tuple[str, ...], role: Role) -> None:
    """Open psql on the database; arguments go to psql.

    The password is handed over in the environment: arguments of a process can be read by all users of a machine.
    """
    from boursomatic_assets.database import database_url
    from boursomatic_assets.database.connections import public_conninfo, secret_environment
    from boursomatic_assets.database.embedded.binaries import client_program

    url = database_url(role)
    words = ["psql", public_conninfo(url), *arguments]
    os.execve(client_program("psql"), words, os.environ | secret_environment(url))


@db.command()
@one_line_errors
def stop() -> None:
    """Stop the embedded server; the next command starts it again."""
    from boursomatic_assets.database import embedded
    from boursomatic_assets.settings import home

    click.echo("stopped" if embedded.stop(home()) else "no embedded server is running here")


@db.group()
def replica() -> None:
    """A second server that follows the embedded one, on this machine; what only reads goes there."""


FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@replica.command()
@FOLDER
@one_line_errors
def create(folder: Path) -> None:
    """Make a streaming replica of the embedded server in FOLDER, and print its BOURSOMATIC_READ_URL=...

    The replica that is in FOLDER already is started, as after a restart of the machine. The server keeps the log
    that a replica still needs, 8 GB at most: one that is not used any more is to be ended.
    """
    from boursomatic_assets.database.replica import making

    limit_waiting()
    click.echo(f"makes or starts the replica in {folder}", err=True)
    click.echo(f"BOURSOMATIC_READ_URL={making.create(folder).render_as_string(hide_password=False)}")
    click.echo(f"the replica follows; `boursomatic db replica stop {folder}` ends it", err=True)


@replica.command(name="stop")
@FOLDER
@one_line_errors
def stop_replica(folder: Path) -> None:
    """End the replica in FOLDER: stop it, remove its copy, and let the server keep nothing for it any more."""
    from boursomatic_assets.database.replica import making

    limit_waiting()
    if not making.stop(folder):
        raise ValueError(f"there is no replica in {folder}, and the server keeps nothing for one there")
    click.echo(f"ended: the copy in {folder} is removed, and its slot on the server is dropped")
