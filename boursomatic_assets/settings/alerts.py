"""The settings of alerts, together: where messages go, and which address their links begin with.

What belongs here: the functions that `alerts/` asks. Kept elsewhere: the variables (`variables.py`).
"""

from boursomatic_assets.settings.environment import settings_with_valid


def alert_webhook() -> str | None:
    """Return the address that messages are posted to, `BOURSOMATIC_ALERT_WEBHOOK`; it may hold a secret."""
    return settings_with_valid("BOURSOMATIC_ALERT_WEBHOOK").BOURSOMATIC_ALERT_WEBHOOK


def alert_format() -> str:
    """Return the form of what is posted, `BOURSOMATIC_ALERT_FORMAT`: json, slack or teams."""
    return settings_with_valid("BOURSOMATIC_ALERT_FORMAT").BOURSOMATIC_ALERT_FORMAT


def alert_smtp() -> str | None:
    """Return the address of the mail server, `BOURSOMATIC_ALERT_SMTP`, with its password."""
    return settings_with_valid("BOURSOMATIC_ALERT_SMTP").BOURSOMATIC_ALERT_SMTP


def alert_recipients() -> tuple[str, ...]:
    """Return who is written to, `BOURSOMATIC_ALERT_TO`."""
    return settings_with_valid("BOURSOMATIC_ALERT_TO").BOURSOMATIC_ALERT_TO


def alert_sender() -> str:
    """Return who writes, `BOURSOMATIC_ALERT_FROM`."""
    return settings_with_valid("BOURSOMATIC_ALERT_FROM").BOURSOMATIC_ALERT_FROM


def alert_command() -> str | None:
    """Return the command that is given each message, `BOURSOMATIC_ALERT_COMMAND`."""
    return settings_with_valid("BOURSOMATIC_ALERT_COMMAND").BOURSOMATIC_ALERT_COMMAND


def ui_address() -> str:
    """Return the address of the Dagster UI, `BOURSOMATIC_UI`, without a slash at its end."""
    return settings_with_valid("BOURSOMATIC_UI").BOURSOMATIC_UI.rstrip("/")
