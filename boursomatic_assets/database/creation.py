"""Creation: empty databases for the platform and for Dagster's storage.

What belongs here: creating a database, and its time zone. Kept elsewhere: its tables (`migrate.py`).
"""

import contextlib

import psycopg
from psycopg import sql
from sqlalchemy import URL

from boursomatic_assets.database.addresses import dagster_url, database_url
from boursomatic_assets.database.connections import connect
from boursomatic_assets.database.errors import DatabaseError


def create_databases() -> None:
    """Create the platform's and Dagster's databases where they are missing, and set both to UTC.

    Raises:
        DatabaseError: The server cannot be reached, or the user may not create databases.
    """
    for url in (database_url("owner"), dagster_url("owner")):
        _create_database_if_missing(url)
        with connect(url) as connection:
            _set_to_utc(connection)


def _create_database_if_missing(url: URL) -> None:
    try:
        connect(url).close()
    except DatabaseError:  # unless the database is missing, the caller's next connection raises it again
        with connect(url.set(database="postgres")) as connection:
            connection.autocommit = True
            existing = connection.execute("SELECT FROM pg_database WHERE datname = %s", [url.database])
            if not existing.rowcount:
                _create_database(connection, str(url.database))


def _create_database(connection: psycopg.Connection, name: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        pass  # another process has created it
    except psycopg.errors.InsufficientPrivilege:
        user = connection.info.user
        raise DatabaseError(
            f"user {user} may not create the database {name}: "
            f'have an administrator run `CREATE DATABASE "{name}" OWNER "{user}"`'
        ) from None


def _set_to_utc(connection: psycopg.Connection) -> None:
    """Set the default time zone of a database for other clients; only its owner may."""
    name = sql.Identifier(connection.info.dbname)
    # Without the privilege nothing is lost: each connection of this package sets its time zone itself.
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('set to utc'))")
        connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'UTC'").format(name))
