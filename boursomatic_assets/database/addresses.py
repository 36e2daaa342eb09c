"""Addresses: which server and databases are used.

What belongs here: the address of the platform's database and of Dagster's storage, from the environment or of the
embedded server. Kept elsewhere: connecting (`connections.py`), the variables (`settings/`), the embedded server
(`embedded/`).
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from sqlalchemy import URL

from boursomatic_assets import settings
from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded.binaries import ServerError
from boursomatic_assets.database.embedded.cluster import find_cluster
from boursomatic_assets.database.errors import AwayError, DatabaseError
from boursomatic_assets.database.roles import role_name
from boursomatic_assets.settings import DAGSTER_DRIVER, DRIVER, SettingError, home
from boursomatic_assets.vocabulary import Role

DATABASE, DAGSTER_DATABASE = embedded.DATABASES
UNANSWERED_MS = 60_000
UTC_OPTION = "-c timezone=UTC"
OPTIONS = {
    "tcp_keepalives_idle": 30,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": UNANSWERED_MS,
}
"""Settings of each session, on any server. A client that vanished, with its machine or its network, is noticed
after a minute, and its locks are free; over a socket of the same machine the server knows at once."""

KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": UNANSWERED_MS,
}
"""The same for the client, by which it notices that the server vanished: parameters of libpq."""

LOOKUP_SECONDS = 2
"""For how long the address of the embedded server is not looked up again."""


def database_url(role: Role = "writer") -> URL:
    """Return a role's address of the platform's database: as configured, else of the embedded server, started.

    `DATABASE_OWNER_URL`, `DATABASE_ACCOUNTS_URL` and `DATABASE_APP_URL` are the addresses of `owner`,
    `account_admin` and `app`; where one is unset, and for the other roles, it is `DATABASE_URL`.

    Raises:
        DatabaseError: The variable is no address of a PostgreSQL server, or the embedded server cannot be started.
    """
    return _configured_url(partial(settings.role_address, role), DRIVER) or _embedded_url(role)


def replica_url() -> URL | None:
    """Return the address of the platform's database on a replica, `BOURSOMATIC_READ_URL`; None: there is none.

    Raises:
        DatabaseError: The variable is no address of a PostgreSQL server.
    """
    return _configured_url(settings.read_address, DRIVER)


def dagster_url(role: Role = "writer") -> URL:
    """Return the address of Dagster's storage, for the driver that it needs, in UTC.

    `DAGSTER_DATABASE_URL`, else the database `dagster` on the platform's server.

    Raises:
        DatabaseError: As for `database_url`.
    """
    url = _configured_url(settings.dagster_address, DAGSTER_DRIVER) or database_url(role).set(
        drivername=DAGSTER_DRIVER, database=DAGSTER_DATABASE
    )
    keepalives = {name: str(value) for name, value in KEEPALIVES.items() if name not in url.query}
    return url.update_query_dict({"options": options_in_utc(url)} | keepalives)


def is_embedded() -> bool:
    """Return whether the platform's database is on the embedded server."""
    return _configured_url(settings.database_address, DRIVER) is None


def variable_of(url: URL) -> str:
    """Return the variable that says an address: Dagster's storage and some roles have one of their own."""

    def place(address: URL) -> tuple[object, ...]:
        host = address.host or address.query.get("host")
        return address.username, address.password, host, address.port, address.database

    named = settings.addresses()
    if url.drivername == DAGSTER_DRIVER:
        return "DAGSTER_DATABASE_URL" if "DAGSTER_DATABASE_URL" in named else "DATABASE_URL"
    return next((name for name, address in named.items() if place(address) == place(url)), "DATABASE_URL")


def _configured_url(read: Callable[[], URL | None], driver: str) -> URL | None:
    try:
        address = read()
    except SettingError as error:
        raise DatabaseError(str(error)) from None
    return address.set(drivername=driver) if address else None


def _embedded_url(role: Role) -> URL:
    """Return a role's address on the embedded server; the owner's until a migration has made the role."""
    server = _look_up_server(home(), int(time.monotonic() // LOOKUP_SECONDS))
    passfile = find_cluster(home()).passfile_of(role)
    user, passfile = (role_name(role), passfile) if passfile.exists() else (server.user, server.passfile)
    return embedded_address(server, user, passfile)


def embedded_address(server: embedded.Server, user: str, passfile: Path) -> URL:
    """Return the address of the platform's database on a server of this machine."""
    query = {"host": str(server.host), "passfile": str(passfile)}
    return URL.create(DRIVER, username=user, database=DATABASE, query=query)


def start_embedded() -> None:
    """Start the embedded server if it does not run, whenever it was looked up last.

    Raises:
        DatabaseError: It cannot be started.
    """
    _look_up_server.cache_clear()
    _embedded_url("writer")


@lru_cache(maxsize=4)
def _look_up_server(folder: Path, interval: int) -> embedded.Server:
    """Return the embedded server, looked up once per interval: a look-up costs as much as a write."""
    try:
        return embedded.ensure_running(folder)
    except ServerError as error:
        raise AwayError(str(error)) from error


def options_in_utc(url: URL) -> str:
    """Return the libpq options of an address: its own, those of OPTIONS that it does not state, and always UTC."""
    options = str(url.query.get("options", ""))
    stated = {name for name in OPTIONS if re.search(rf"\b{name}\s*=", options)}
    added = [f"-c {name}={value}" for name, value in OPTIONS.items() if name not in stated]
    if not options.endswith(UTC_OPTION):
        added.append(UTC_OPTION)  # the last of several counts
    return " ".join([options, *added]).strip()
