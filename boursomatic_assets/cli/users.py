"""`boursomatic users`: accounts, their passwords, settings and consent.

What belongs here: the words and options of these commands. Kept elsewhere: what they do (`accounts/`), how it is
shown (`views/users.py`), how a password is asked for (`common.py`).

A password comes from a prompt, or as one line of standard input; an argument or the environment can be read by
others.
"""

import click

from boursomatic_assets.cli.common import one_line_errors, read_password, require_current_schema
from boursomatic_assets.vocabulary import PROFILES

EMAIL = click.argument("email")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


@click.group()
def users() -> None:
    """The accounts: who may log in, with which profile and consent. Passwords are never arguments."""


@users.command()
@EMAIL
@click.option("--admin", is_flag=True, help="An administrator's account.")
@one_line_errors
def create(email: str, admin: bool) -> None:
    """Create an account. Its password is asked for twice, or read as one line of standard input."""
    require_current_schema()
    from boursomatic_assets.accounts import keeping
    from boursomatic_assets.cli.views import users as view

    keeping.require_free(email)
    click.echo(view.as_line(keeping.create(email, read_password(confirm=True), is_admin=admin)))


@users.command(name="list")
@JSON
@one_line_errors
def list_users(as_json: bool) -> None:
    """Show every account with its id and state, the oldest first."""
    require_current_schema()
    from boursomatic_assets.accounts import directory
    from boursomatic_assets.cli.views import users as view

    every = directory.every_account()
    click.echo(view.list_as_json(every) if as_json else view.list_as_table(every))


@users.command()
@EMAIL
@JSON
@one_line_errors
def show(email: str, as_json: bool) -> None:
    """Show an account with its settings and consent."""
    require_current_schema()
    _show(email, as_json)


@users.command()
@EMAIL
@one_line_errors
def passwd(email: str) -> None:
    """Set an account's password, and end its wait after failed attempts."""
    require_current_schema()
    from boursomatic_assets.accounts import directory, keeping
    from boursomatic_assets.cli.views import users as view

    directory.find_active(email)
    click.echo(view.as_line(keeping.set_password(email, read_password(confirm=True))))


@users.command()
@EMAIL
@click.option(
    "--source", help="Where the attempt comes from, such as a network address; its attempts are limited."
)
@one_line_errors
def login(email: str, source: str | None) -> None:
    """Try an e-mail address and a password; exit code 0 if they are an account's."""
    require_current_schema()
    from boursomatic_assets import accounts

    click.echo(accounts.authenticate(email, read_password(), source))


@users.command()
@EMAIL
@click.option("--profile", type=click.Choice(PROFILES), help="The profile whose recommendations it sees.")
@one_line_errors
def settings(email: str, profile: str | None) -> None:
    """Show an account's settings, or set its profile."""
    require_current_schema()
    from boursomatic_assets.accounts import administration, directory, preferences

    if profile:
        account = directory.find_active(email)
        with administration() as connection:
            preferences.choose_profile(connection, account.id, profile)
    _show(email)


@users.command()
@EMAIL
@click.option("--withdraw", is_flag=True, help="Withdraw it: the account sees no recommendation from now on.")
@one_line_errors
def consent(email: str, withdraw: bool) -> None:
    """Record that an account accepts the risk disclosure, without which it sees no recommendation."""
    require_current_schema()
    from boursomatic_assets.accounts import administration, directory, preferences

    account = directory.find_active(email)
    with administration() as connection:
        if withdraw:
            preferences.withdraw_consent(connection, account.id)
        else:
            preferences.accept_risks(connection, account.id)
    _show(email)


@users.command()
@EMAIL
@one_line_errors
def deactivate(email: str) -> None:
    """Stop an account's log-in at once; its row stays, and its address stays taken."""
    require_current_schema()
    from boursomatic_assets.accounts import keeping
    from boursomatic_assets.cli.views import users as view

    click.echo(view.as_line(keeping.deactivate(email)))


@users.command()
@EMAIL
@one_line_errors
def restore(email: str) -> None:
    """Let a deactivated account log in again, with its password and settings."""
    require_current_schema()
    from boursomatic_assets.accounts import keeping
    from boursomatic_assets.cli.views import users as view

    click.echo(view.as_line(keeping.restore(email)))


@users.command()
@EMAIL
@one_line_errors
def release(email: str) -> None:
    """Make a deactivated account's address free for another account. This is final."""
    require_current_schema()
    from boursomatic_assets.accounts import keeping
    from boursomatic_assets.cli.views import users as view

    click.echo(view.as_line(keeping.release(email)))


@users.command()
@EMAIL
@one_line_errors
def erase(email: str) -> None:
    """Erase address, password and settings of a deactivated account; its id stays. This is final."""
    require_current_schema()
    from boursomatic_assets.accounts import keeping
    from boursomatic_assets.cli.views import users as view

    click.echo(view.as_line(keeping.erase(email)))


def _show(email: str, as_json: bool = False) -> None:
    from boursomatic_assets.accounts import administration, directory, preferences
    from boursomatic_assets.cli.views import users as view

    account = directory.find(email)
    with administration() as connection:
        chosen = preferences.read(connection, account.id)
    click.echo(view.as_json(account, chosen) if as_json else view.as_text(account, chosen))
