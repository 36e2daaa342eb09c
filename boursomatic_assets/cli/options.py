"""What the commands share: how dates, moments and seeds are read, and how what a user can mend is reported.

Kept elsewhere: the commands (`cli.py`, `cli_db.py`, `cli_features.py`, `cli_models.py`).
"""

import datetime as dt
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

MARKETS = ("US", "EURONEXT")
PROFILES = ("conservative", "moderate", "aggressive")


class Date(click.ParamType[dt.date]):
    """An ISO date."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read YYYY-MM-DD and nothing else."""
        if isinstance(value, dt.date):
            return value
        try:
            return dt.datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is no date: write YYYY-MM-DD", param, ctx)


DATE = Date()

MOMENT = click.DateTime(
    [
        f"%Y-%m-%d{clock}"
        for clock in ("", "T%H:%M", " %H:%M", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S.%f", " %H:%M:%S.%f")
    ]
)
"""A past moment, in UTC, to the second or less."""

SEED = click.IntRange(0, 2**32 - 1)
"""What every generator of random numbers takes."""


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a user can mend into one line on stderr and exit code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Exception as error:
            reason = _reason(error)
            if reason is None:
                raise
            click.echo(f"error: {reason}", err=True)
            sys.exit(1)

    return wrapped


def _reason(error: Exception) -> str | None:
    """Why a command failed, in one line; None if it is the code that must be mended."""
    from boursomatic_assets.database import errors

    said = errors.explain(error)
    if said is None and isinstance(error, (ValueError, RuntimeError, OSError)):
        return (str(error) or type(error).__name__).splitlines()[0]
    return said
