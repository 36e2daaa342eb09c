"""Errors: why a database cannot be used, in one line that says what to do, and never holds a password.

What belongs here: the error that callers catch, and messages for failed connections and statements.
Kept elsewhere: connecting (`connections.py`).
"""

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
    "3D000": "run `boursomatic db upgrade`",
    "42501": "have an administrator grant it to the user of DATABASE_URL",
    "42": "see with `boursomatic db status` whether the schema is this code's",
    "53": "give the server what it lacks, then run the command again",
    "55P03": "run the command again when the other session is done",
    "57014": "run the command again, or raise the server's statement_timeout",
    "57P": LOST_CONNECTION,
}
"""What to do about a failed statement, by the first characters of its SQLSTATE; the first match counts."""


class DatabaseError(RuntimeError):
    """The database cannot be reached or used. The message is one line: why, and what to do; it has no password."""


def connection_error(url: URL, variable: str, error: Exception) -> DatabaseError:
    """Return the error for a connection that failed, to the address of a variable."""
    reason = " ".join(_without_secrets(url, str(error)).split())
    if any(words in reason for words in BAD_PASSWORD_MESSAGES):
        problem = f"refused the password of user {url.username}: correct {variable}, and unset PGPASSWORD"
    elif f'database "{url.database}" does not exist' in reason:
        problem = f"has no database {url.database}: run `boursomatic db upgrade`"
    elif "FATAL:" in reason:
        problem = f"refused the connection: {reason.rpartition('FATAL:')[2].strip()}"
    else:
        why = reason.rpartition("failed: ")[2].partition(" Is the server running")[0]
        problem = f"does not answer ({why}): start it, or correct {variable}"
    return DatabaseError(f"the server at {_address(url)} {problem}")


def version_error(url: URL, variable: str, found: int, oldest: int) -> DatabaseError:
    """Return the error for a server of an old major version, at the address of a variable."""
    return DatabaseError(
        f"the server at {_address(url)} is PostgreSQL {found}, and {oldest} or later is needed: "
        f"upgrade it, or unset {variable} to use the embedded one"
    )


def explain(error: Exception) -> str | None:
    """Return why a statement failed and what to do, in one line; None for an error of another kind."""
    from adbc_driver_manager import Error as ArrowError

    if not isinstance(error, SQLAlchemyError | psycopg.Error | ArrowError):
        return None
    cause = getattr(error, "orig", None) or error
    state, reason = getattr(cause, "sqlstate", None), (str(cause) or type(cause).__name__).splitlines()[0]
    lost = LOST_CONNECTION if isinstance(cause, psycopg.OperationalError) and not state else None
    remedy = next((words for code, words in REMEDIES.items() if (state or "").startswith(code)), lost)
    return f"the database says: {reason}: {remedy or 'see with `boursomatic doctor` what is wrong with it'}"


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
