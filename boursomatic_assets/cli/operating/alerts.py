"""`boursomatic alerts`: whether messages arrive.

What belongs here: the commands. Kept elsewhere: what is said, and how (`alerts/`), the settings (`settings/`).
"""

import sys

import click

from boursomatic_assets.cli.common import one_line_errors


@click.group()
def alerts() -> None:
    """Messages about what is wrong, and about its recovery."""


@alerts.command()
@one_line_errors
def test() -> None:
    """Send a message through each channel that is set, and say what came of it."""
    from boursomatic_assets.alerts.channels import AlertError, configured
    from boursomatic_assets.alerts.message import Message
    from boursomatic_assets.settings.alerts import ui_address

    channels = configured()
    if not channels:
        raise ValueError(
            "no channel is set: set BOURSOMATIC_ALERT_WEBHOOK, BOURSOMATIC_ALERT_SMTP with BOURSOMATIC_ALERT_TO,"
            " or BOURSOMATIC_ALERT_COMMAND"
        )
    message = Message(
        "test", "event", "this is a test, and nothing is wrong", rule="alerts test", link=ui_address()
    )
    failed = False
    for channel, send in channels.items():
        try:
            send(message)
            click.echo(f"{channel}: sent")
        except AlertError as error:
            failed = True
            click.echo(f"error: {channel}: {error}", err=True)
    sys.exit(1 if failed else 0)
