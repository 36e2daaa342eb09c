"""What the commands share.

What belongs here: types of options (dates, times, seeds, stores), errors as one line, and what must hold before a
command starts: the schema, the settings, Dagster's home, a free port.
Kept elsewhere: the commands (the other files of `cli/`), closed sets of values (`vocabulary.py`).
"""

import datetime as dt
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click


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


class StoreAddress(click.ParamType[str]):
    """The address of a store or of backups: a folder, or s3://bucket/prefix."""

    name = "store"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take what BOURSOMATIC_STORE may be."""
        from boursomatic_assets.settings.values import store_address

        try:
            return store_address(value, param.human_readable_name if param else "it")
        except ValueError as error:
            self.fail(str(error), param, ctx)


ADDRESS = StoreAddress()

MOMENT = click.DateTime(
    [
        f"%Y-%m-%d{clock}"
        for clock in ("", "T%H:%M", " %H:%M", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S.%f", " %H:%M:%S.%f")
    ]
)
"""A past time, in UTC, to the microsecond."""

SEED = click.IntRange(0, 2**32 - 1)
"""The seeds that every random number generator takes."""


LONGEST_LINE = 16_384
"""Bytes of standard input that are read as a password: more than any that is accepted."""


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Report an error that a user can fix as one line on stderr, with exit code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Exception as error:
            message = _message(error)
            if message is None:
                raise
            click.echo(f"error: {message}", err=True)
            sys.exit(1)

    return wrapped


def _message(error: Exception) -> str | None:
    """Why a command failed, in one line; None if the error is a fault of the code."""
    from boursomatic_assets.database import errors

    explanation = errors.explain(error)
    if explanation is None and isinstance(error, (ValueError, RuntimeError, OSError)):
        return (str(error) or type(error).__name__).splitlines()[0]
    return explanation


def read_password(*, confirm: bool = False) -> str:
    """Ask for a password at a hidden prompt, twice if it is a new one; without a terminal read a line of input.

    Raises:
        ValueError: There is none, or it is no text.
    """
    if sys.stdin and sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True))
    line: bytes = sys.stdin.buffer.readline(LONGEST_LINE) if sys.stdin else b""
    if not line:
        raise ValueError("no password came: type it at the prompt, or give it as one line of standard input")
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:  # its message would show a part of the password
        raise ValueError("the password is no text in UTF-8: give it as one line of UTF-8") from None


def require_current_schema() -> None:
    """Check that the database's schema is that of this code; from now on, locks are waited for as a person does.

    Raises:
        DatabaseError: It is not; the message names the command that mends it.
    """
    from boursomatic_assets.database import engine, migrate

    migrate.require_current_schema(engine())
    limit_waiting()


def require_readable() -> None:
    """`require_current_schema` for a command that only reads: from the replica, where one may be read.

    Raises:
        DatabaseError: The schema is not that of this code, or the primary refuses the connection.
    """
    from boursomatic_assets.database import replica

    click.get_current_context().with_resource(replica.reading())
    require_current_schema()


def limit_waiting() -> None:
    """Let this process wait for locks no longer than a person does."""
    from boursomatic_assets.database import locks
    from boursomatic_assets.settings.patience import lock_wait

    locks.patience = lock_wait()


def require_ready() -> None:
    """Check what a run needs, settings and schema, and let it find Dagster's home; it waits for its server.

    Raises:
        SettingError: A setting is wrong.
        BackupError: The home is one that is being restored.
        DatabaseError: The schema is not that of this code.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.backups import mark
    from boursomatic_assets.settings import patience

    settings.require_valid()
    mark.require_none()
    patience.be_patient()
    require_current_schema()
    make_dagster_home()


def make_dagster_home() -> Path:
    """Make Dagster's home, let this process and its children find it, and return it."""
    from boursomatic_assets.orchestration.instance import ensure_dagster_home

    folder = ensure_dagster_home()
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def require_free(host: str, port: int, program: str, otherwise: str) -> None:
    """Refuse a port on which another program listens, before anything is started.

    Args:
        host: The address.
        port: The port.
        program: What it may be taken by.
        otherwise: What to do instead of ending that.

    Raises:
        RuntimeError: It is taken.
    """
    import errno
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RuntimeError(
                f"port {port} of {host} is taken, perhaps by another {program}: end that one, or {otherwise}"
            ) from None
        # What else is wrong with the address its server says itself.
