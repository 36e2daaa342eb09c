"""Refusals: why a database cannot be used, in one line that says what to do, and never holds a password.

What belongs here: the error that callers catch, and the words for what a PostgreSQL server or its client
library says when a connection fails. Connecting is `database.py`.
"""

from urllib.parse import quote

from sqlalchemy import URL

SECRETS = ("password", "sslpassword")
BAD_PASSWORD = ("password authentication failed", "no password supplied")


class DatabaseError(RuntimeError):
    """The database cannot be reached or used: one line that says why and what to do, without a password."""


def redacted(url: URL) -> str:
    """Return an address that may be shown: without its password, wherever that stands."""
    hidden = {name: "***" for name in SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def refused(url: URL, error: Exception) -> DatabaseError:
    """Return the error for a connection that failed."""
    reason = " ".join(_without_secrets(url, str(error)).split())
    if any(words in reason for words in BAD_PASSWORD):
        said = f"refused the password of user {url.username}: correct DATABASE_URL, and unset PGPASSWORD"
    elif f'database "{url.database}" does not exist' in reason:
        said = f"has no database {url.database}: run `boursomatic db upgrade`"
    elif "FATAL:" in reason:
        said = f"refused the connection: {reason.rpartition('FATAL:')[2].strip()}"
    else:
        why = reason.rpartition("failed: ")[2].partition(" Is the server running")[0]
        said = f"does not answer ({why}): start it, or correct DATABASE_URL"
    return DatabaseError(f"the server at {_address(url)} {said}")


def too_old(url: URL, found: int, oldest: int) -> DatabaseError:
    """Return the error for a server of an old major version."""
    return DatabaseError(
        f"the server at {_address(url)} is PostgreSQL {found}, and {oldest} or later is needed: "
        "upgrade it, or unset DATABASE_URL to use the embedded one"
    )


def _address(url: URL) -> str:
    return f"{url.host or url.query.get('host', 'localhost')}:{url.port or url.query.get('port', 5432)}"


def _without_secrets(url: URL, text: str) -> str:
    for secret in (url.password, *(url.query.get(name) for name in SECRETS)):
        if secret:
            text = text.replace(str(secret), "***").replace(quote(str(secret), safe=""), "***")
    return text
