"""Errors: why a database cannot be used, in one line that says what to do, and never holds a password.

What belongs here: the error that callers catch, and messages for failed connections and statements.
Kept elsewhere: connecting (`connections.py`).
"""

import re
import sys
from urllib.parse import quote

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from boursomatic_assets.settings import SECRETS

BAD_PASSWORD_MESSAGES = ("password authentication failed", "no password supplied")

LOST_CONNECTION = "see with `boursomatic doctor` whether the server is there, then run the command again"
REMEDIES = {
    "08": LOST_CONNECTION,
    "25006": "let DATABASE_URL name a server that can be written to",
    "40001": "run the command again; on a replica, a longer max_standby_streaming_delay lets it end",
    "3D000": "run `boursomatic db upgrade`",
    "42501": "have an administrator grant it to the user of DATABASE_URL",
    "42": "see with `boursomatic db status` whether the schema is this code's",
    "53": "give the server what it lacks, then run the command again",
    "55P03": "run the command again when the other session is done",
    "57014": "run the command again, or raise the server's statement_timeout",
    "57P": LOST_CONNECTION,
}
"""What to do about a failed statement, by the first characters of its SQLSTATE; the first match counts."""


OPTIONS_REFUSED = "unsupported startup parameter"
"""What PgBouncer says of the options that each connection sends, unless it is told to ignore them."""

AWAY = (
    "connection refused",
    "the database system is",  # starting up, shutting down, in recovery
    "too many clients",
    "too many connections",
    "remaining connection slots are reserved",
    "closed the connection unexpectedly",
    "connection reset by peer",
    "broken pipe",
    "timeout expired",
    "connection timed out",
    "no route to host",
    "network is unreachable",
    "terminating connection",
)
"""What a server says, or what is said of it, while it may answer a moment later."""

NO_SOCKET = re.compile(r"on socket .* failed: no such file or directory")
"""What is said of a server on this machine that does not run."""

CUT = (
    "closed the connection",
    "no connection to the server",
    "terminating connection",
    "ssl connection has been",
    "ssl syscall error",
    "the connection is closed",
    "the connection is lost",
    "connection already closed",
    "connection not open",
    "could not receive data from server",
    "could not send data to server",
    "connection timed out",
    "connection reset by peer",
    "broken pipe",
)
"""What drivers say of a connection that was lost, whatever class of error they raise."""


class DatabaseError(RuntimeError):
    """The database cannot be reached or used. The message is one line: why, and what to do; it has no password."""


class AwayError(DatabaseError):
    """The server takes no connection for now: it is not there, starts, stops, or has as many as it may."""


def connection_error(url: URL, variable: str, error: Exception) -> DatabaseError:
    """Return the error for a connection that failed, to the address of a variable."""
    reason = " ".join(_without_secrets(url, str(error)).split())
    is_away = any(words in reason.lower() for words in AWAY) or NO_SOCKET.search(reason.lower())
    kind = AwayError if is_away else DatabaseError
    if any(words in reason for words in BAD_PASSWORD_MESSAGES):
        problem = f"refused the password of user {url.username}: correct {variable}, and unset PGPASSWORD"
    elif f'database "{url.database}" does not exist' in reason:
        problem = f"has no database {url.database}: run `boursomatic db upgrade`"
    elif OPTIONS_REFUSED in reason:
        problem = (
            f"refuses options: set ignore_startup_parameters = options in pgbouncer.ini, or correct {variable}"
        )
    elif "FATAL:" in reason:
        problem = f"refused the connection: {reason.rpartition('FATAL:')[2].strip()}"
    else:
        why = reason.rpartition("failed: ")[2].partition(" Is the server running")[0]
        problem = f"does not answer ({why}): start it, or correct {variable}"
    return kind(f"the server at {_address(url)} {problem}")


def version_error(url: URL, variable: str, found: int, oldest: int) -> DatabaseError:
    """Return the error for a server of an old major version, at the address of a variable."""
    return DatabaseError(
        f"the server at {_address(url)} is PostgreSQL {found}, and {oldest} or later is needed: "
        f"upgrade it, or unset {variable} to use the embedded one"
    )


def explain(error: Exception) -> str | None:
    """Return why a statement failed and what to do, in one line; None for an error of another kind."""
    if not isinstance(error, (SQLAlchemyError, *_drivers_errors())):
        return None
    cause = getattr(error, "orig", None) or error
    state, reason = getattr(cause, "sqlstate", None), (str(cause) or type(cause).__name__).splitlines()[0]
    lost = LOST_CONNECTION if isinstance(cause, psycopg.OperationalError) and not state else None
    remedy = next((words for code, words in REMEDIES.items() if (state or "").startswith(code)), lost)
    return f"the database says: {reason}: {remedy or 'see with `boursomatic doctor` what is wrong with it'}"


def is_lost(error: Exception) -> bool:
    """Whether a connection that was there was lost: the server is gone, ended it, or cannot be reached."""
    cause = getattr(error, "orig", None) or error
    if not isinstance(cause, _drivers_errors()):
        return False
    if state := getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None):
        return bool(state.startswith(("08", "57P")))
    return any(words in str(cause).lower() for words in CUT)


def _drivers_errors() -> tuple[type[Exception], ...]:
    """The errors of the drivers: psycopg, Arrow's, and where Dagster is loaded, psycopg2."""
    from adbc_driver_manager import Error as ArrowError

    dagsters = sys.modules.get("psycopg2")
    return (psycopg.Error, ArrowError, *((dagsters.Error,) if dagsters else ()))


def may_depend_on_rows(error: Exception) -> bool:
    """Whether the statement may succeed with fewer rows: some rows are at fault, or time or memory ran out.

    That is not so if the statement is wrong (SQLSTATE 42...), or if the driver raises the error. A lost connection
    has no SQLSTATE; the server may have run out of memory.
    """
    from adbc_driver_manager import OperationalError as ArrowOperationalError

    cause = getattr(error, "orig", None) or error
    if state := getattr(cause, "sqlstate", None):
        return not state.startswith("42")
    return isinstance(cause, psycopg.OperationalError | ArrowOperationalError)


def _address(url: URL) -> str:
    return f"{url.host or url.query.get('host', 'localhost')}:{url.port or url.query.get('port', 5432)}"


def _without_secrets(url: URL, text: str) -> str:
    for secret in (url.password, *(url.query.get(name) for name in SECRETS)):
        if secret:
            text = text.replace(str(secret), "***").replace(quote(str(secret), safe=""), "***")
    return text
