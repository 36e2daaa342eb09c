"""Connections: SQLAlchemy engines, psycopg connections and Arrow connections, all in UTC.

What belongs here: opening, pooling and closing connections. Kept elsewhere: their addresses (`addresses.py`), the
message of a failed connection (`errors.py`), Dagster's storage on the same server (`orchestration/`).
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import QueuePool

from boursomatic_assets.database import addresses, waiting
from boursomatic_assets.database.addresses import KEEPALIVES, database_url, options_in_utc, variable_of
from boursomatic_assets.database.errors import connection_error, is_lost, version_error
from boursomatic_assets.settings import SECRETS
from boursomatic_assets.vocabulary import Role

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection as ArrowConnection

OpenedConnection = TypeVar("OpenedConnection")

OLDEST_VERSION = 15
LONGEST_NAME = 63
"""Characters of an application's name, of which the server keeps no more."""


reads_from: ContextVar[URL | None] = ContextVar("reads_from", default=None)
"""The address of the replica that this context reads, if `replica/reading.py` has chosen so."""

_engines = dict[URL, Engine]()
_arrow_pools = dict[URL, QueuePool]()
_others = list[Callable[[], None]]()
_opening = threading.Lock()
"""Held while an engine or a pool is made: one that a thread made in vain would leave its connections open."""


def engine(role: Role = "writer") -> Engine:
    """Return the engine of a role in the platform's database, one per address; `connect` opens its connections."""
    url = _address_of(role)
    with _opening:
        return _engines.get(url) or _engines.setdefault(url, _new_engine(url))


def _address_of(role: Role) -> URL:
    """Return where a role works: the writer of a context that only reads works on the replica."""
    return (reads_from.get() if role == "writer" else None) or database_url(role)


def _new_engine(url: URL) -> Engine:
    """Make the engine of an address.

    It reads committed rows whatever isolation level is the server's default: a transaction that waited for a lock
    sees what was committed meanwhile. Numbers that JSON does not have, as NaN, raise an error before they are
    sent. An idle connection of the pool that was lost is replaced (`pool_pre_ping`).
    """
    return create_engine(
        url,
        creator=lambda: connect(url),
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        json_serializer=partial(json.dumps, allow_nan=False),
    )


def connect(url: URL, *, wait: bool = True) -> psycopg.Connection:
    """Open a psycopg connection in UTC, whatever the time zone of the server; while that is away, wait for it.

    Without `wait` it is tried once.

    Raises:
        DatabaseError: The server cannot be reached, refuses the connection, or is older than PostgreSQL 15.
    """
    connection = connect_with(url, lambda: psycopg.connect(_conninfo(url)), psycopg.Error, wait=wait)
    version = connection.info.server_version // 10_000
    if version < OLDEST_VERSION:
        connection.close()
        raise version_error(url, variable_of(url), version, OLDEST_VERSION)
    return connection


@contextlib.contextmanager
def arrow_connection() -> "Iterator[ArrowConnection]":
    """Yield a connection that returns Arrow tables, in UTC; what is not committed is rolled back.

    It comes from a pool: a new one costs 50 ms, more than a session's rows.

    Raises:
        DatabaseError: The server cannot be reached, or refuses the connection.
    """
    url = _address_of("writer")
    with _opening:
        pool = _arrow_pools.get(url) or _arrow_pools.setdefault(url, _new_arrow_pool(url))
    connection = pool.connect()
    try:
        yield cast("ArrowConnection", connection)
    except Exception as error:
        if is_lost(error):
            connection.invalidate(error)  # the pool would log at length that it cannot be rolled back
        raise
    finally:
        connection.close()


def _new_arrow_pool(url: URL) -> QueuePool:
    from adbc_driver_manager import Error
    from adbc_driver_manager import dbapi as driver
    from adbc_driver_postgresql import dbapi

    vars(driver)["_blocking_call"] = _call  # or its own handler takes a Ctrl-C, and the command goes on or fails
    return QueuePool(lambda: connect_with(url, lambda: dbapi.connect(_conninfo(url)), psycopg.Error, Error))


def _call(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], _cancel: object
) -> Any:
    """Call a function of the Arrow driver, and leave signals to Python."""
    return function(*arguments, **options)


def disconnect() -> None:
    """Close the idle connections that this process keeps, whichever addresses were set when they were opened."""
    _close_idle()
    with _opening:
        _engines.clear()


def public_conninfo(url: URL) -> str:
    """Return the address as a libpq connection string for arguments of a process: without its secrets."""
    return _conninfo(url._replace(password=None).difference_update_query(SECRETS))


def secret_environment(url: URL) -> dict[str, str]:
    """Return the password of an address as the environment of a client program, which nobody else can read."""
    password = url.password or url.query.get("password")
    return {"PGPASSWORD": str(password)} if password else {}


def _conninfo(url: URL) -> str:
    """Return the address as a libpq connection string. It holds the password."""
    parts = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    name = f"boursomatic (process {os.getpid()} of {socket.gethostname()})"[:LONGEST_NAME]
    options: dict[str, Any] = {"application_name": name, "connect_timeout": 10, **KEEPALIVES, **url.query}
    options |= {name: value for name, value in parts.items() if value is not None}
    return make_conninfo(**options | {"dbname": url.database, "options": options_in_utc(url)})


def connect_with(
    url: URL, connect: Callable[[], OpenedConnection], *error_types: type[Exception], wait: bool = True
) -> OpenedConnection:
    """Connect by a driver that raises some types of errors; while the server is away, wait for it.

    Raises:
        DatabaseError: As for `connect`.
    """

    def attempt() -> OpenedConnection:
        try:
            return connect()
        except error_types as error:  # its message may hold the password
            raise connection_error(url, variable_of(url), error) from None

    return waiting.until_it_answers(attempt, let_go) if wait else attempt()


def let_go() -> None:
    """Close idle connections, of which a full server has too many; start an embedded server that was killed."""
    _close_idle()
    for close in _others:
        close()
    if addresses.is_embedded():
        addresses.start_embedded()


def _close_idle() -> None:
    """Close the idle connections of engines, and of Arrow's pools, which are not used again as an engine is."""
    with _opening:
        for opened in _engines.values():
            opened.dispose()
        for pool in _arrow_pools.values():
            pool.dispose()
        _arrow_pools.clear()


def close_when_full(close: Callable[[], None]) -> None:
    """Let what closes other idle connections of this process be called too where a server has too many."""
    _others.append(close)
