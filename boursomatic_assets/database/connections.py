"""The database: which PostgreSQL is used, and every way to reach it.

What belongs here: the address (`DATABASE_URL`, else the embedded server), engines, Arrow connections, and the
making of empty databases. Why a connection fails is said in `refusals.py`; tables are made by `migrate.py`;
the embedded server's life is `embedded.py`; Dagster's storage on the same server is `orchestration/`.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.pool import QueuePool

from boursomatic_assets import absorbed, settings
from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded.binaries import ServerError
from boursomatic_assets.database.errors import DatabaseError as DatabaseError
from boursomatic_assets.database.errors import connection_error, version_error
from boursomatic_assets.settings import DAGSTER_DRIVER, DRIVER, SettingError, home

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection as ArrowConnection

OpenedConnection = TypeVar("Opened")

DATABASE, DAGSTER_DATABASE = embedded.DATABASES
OLDEST_VERSION = 15
UTC_OPTION = "-c timezone=UTC"
STARTUP_SECONDS = 15
LOOKUP_SECONDS = 2


# Where it is


def database_url() -> URL:
    """Return the address of the product's database: `DATABASE_URL`, else the embedded server, started.

    Raises:
        DatabaseError: The variable is no address of a PostgreSQL, or the embedded server cannot be started.
    """
    return _configured_url(settings.database_address, DRIVER) or _embedded_url()


def dagster_url() -> URL:
    """Return the address of Dagster's storage, for the driver that it needs, in UTC.

    `DAGSTER_DATABASE_URL`, else the database `dagster` on the product's server.

    Raises:
        DatabaseError: As for `database_url`.
    """
    url = _configured_url(settings.dagster_address, DAGSTER_DRIVER) or database_url().set(
        drivername=DAGSTER_DRIVER, database=DAGSTER_DATABASE
    )
    return url.update_query_dict({"options": _options_in_utc(url)})


def _configured_url(read: Callable[[], str | None], driver: str) -> URL | None:
    try:
        address = read()
    except SettingError as error:
        raise DatabaseError(str(error)) from None
    return make_url(address).set(drivername=driver) if address else None


def _embedded_url() -> URL:
    return _look_up_embedded_url(home(), int(time.monotonic() // LOOKUP_SECONDS))


@lru_cache(maxsize=4)
def _look_up_embedded_url(folder: Path, interval: int) -> URL:
    """Where the server is, looked up once in a moment: a question to it costs as much as a session's write."""
    try:
        server = embedded.ensure_running(folder)
    except ServerError as error:
        raise DatabaseError(str(error)) from error
    query = {"host": str(server.host), "passfile": str(server.passfile)}
    return URL.create(DRIVER, username=server.user, database=DATABASE, query=query)


# How it is reached


def engine() -> Engine:
    """Return the engine of the product's database, one per address; `connect` opens its connections."""
    return _engine(database_url())


@lru_cache
def _engine(url: URL) -> Engine:
    """Whoever waits for a lock must see what was committed meanwhile, whatever isolation the server prefers.

    A number that JSON has no word for, as NaN, is refused before it is sent. A pooled connection that was lost
    while it was idle is replaced (`pool_pre_ping`): nothing was under way on it.
    """
    return create_engine(
        url,
        creator=lambda: connect(url),
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        json_serializer=partial(json.dumps, allow_nan=False),
    )


def connect(url: URL) -> psycopg.Connection:
    """Open a plain connection, in UTC whatever the time zone of the server.

    Raises:
        DatabaseError: The server cannot be reached, refuses, or is older than PostgreSQL 15.
    """
    connection = _connect_with_retries(url, lambda: psycopg.connect(_conninfo(url)), psycopg.Error)
    version = connection.info.server_version // 10_000
    if version < OLDEST_VERSION:
        connection.close()
        raise version_error(url, version, OLDEST_VERSION)
    return connection


@contextlib.contextmanager
def arrow_connection() -> "Iterator[ArrowConnection]":
    """Yield a connection that speaks Arrow tables, in UTC; what is not committed is rolled back.

    It comes from a pool: a new one costs 50 ms, more than a session's rows.

    Raises:
        DatabaseError: The server cannot be reached, or refuses.
    """
    connection = _arrow_pool(database_url()).connect()
    try:
        yield cast("ArrowConnection", connection)
    finally:
        connection.close()


@lru_cache
def _arrow_pool(url: URL) -> QueuePool:
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    return QueuePool(
        lambda: _connect_with_retries(url, lambda: dbapi.connect(_conninfo(url)), psycopg.Error, Error)
    )


def disconnect() -> None:
    """Close the idle connections that this process keeps to the product's database."""
    engine().dispose()
    _arrow_pool(database_url()).dispose()


def _conninfo(url: URL) -> str:
    """Return the address in libpq's own words. It holds the password."""
    parts = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    options: dict[str, Any] = {"application_name": "boursomatic", "connect_timeout": 10, **url.query}
    options |= {name: value for name, value in parts.items() if value is not None}
    return make_conninfo(**options | {"dbname": url.database, "options": _options_in_utc(url)})


def _options_in_utc(url: URL) -> str:
    options = str(url.query.get("options", ""))
    return options if UTC_OPTION in options else f"{options} {UTC_OPTION}".strip()


def _connect_with_retries(
    url: URL, connect: Callable[[], OpenedConnection], *error_types: type[Exception]
) -> OpenedConnection:
    """Connect, waiting a little for a server that is starting up."""
    deadline = time.monotonic() + STARTUP_SECONDS
    last_error: DatabaseError | None = None
    while True:
        try:
            opened = connect()
        except error_types as error:
            if "the database system is" not in str(error) or time.monotonic() > deadline:
                raise connection_error(url, error) from None
            last_error = connection_error(url, error)  # a message without a password
            time.sleep(0.2)
        else:
            if last_error:
                absorbed.record(last_error, "connected later")
            return opened


# How it is made


def create_databases() -> None:
    """Make the product's and Dagster's databases where they are missing, and set both to UTC.

    Raises:
        DatabaseError: The server cannot be reached, or lets this user make no database.
    """
    for url in (database_url(), dagster_url()):
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
        pass  # another process was quicker
    except psycopg.errors.InsufficientPrivilege:
        user = connection.info.user
        raise DatabaseError(
            f"user {user} may not create the database {name}: "
            f'have an administrator run `CREATE DATABASE "{name}" OWNER "{user}"`'
        ) from None


def _set_to_utc(connection: psycopg.Connection) -> None:
    """Set the database's own time zone, so that SQL by hand agrees; its owner may, others need not."""
    name = sql.Identifier(connection.info.dbname)
    # Whoever may not: nothing is lost, since each connection of ours sets its own time zone.
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('set to utc'))")
        connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'UTC'").format(name))
