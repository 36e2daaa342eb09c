"""Addresses: which server and databases are used.

What belongs here: the address of the platform's database and of Dagster's storage, from the environment or of the
embedded server. Kept elsewhere: connecting (`connections.py`), the variables (`settings/`), the embedded server
(`embedded/`).
"""

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from sqlalchemy import URL

from boursomatic_assets import settings
from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded.binaries import ServerError
from boursomatic_assets.database.errors import DatabaseError
from boursomatic_assets.database.roles import Role
from boursomatic_assets.settings import DAGSTER_DRIVER, DRIVER, SettingError, home

DATABASE, DAGSTER_DATABASE = embedded.DATABASES
UTC_OPTION = "-c timezone=UTC"
LOOKUP_SECONDS = 2
"""For how long the address of the embedded server is not looked up again."""


def database_url(role: Role = "writer") -> URL:
    """Return the address of the platform's database for a role: `DATABASE_URL`, else the embedded server, started.

    Raises:
        DatabaseError: The variable is no address of a PostgreSQL server, or the embedded server cannot be started.
    """
    return _configured_url(settings.database_address, DRIVER) or _embedded_url()


def dagster_url() -> URL:
    """Return the address of Dagster's storage, for the driver that it needs, in UTC.

    `DAGSTER_DATABASE_URL`, else the database `dagster` on the platform's server.

    Raises:
        DatabaseError: As for `database_url`.
    """
    url = _configured_url(settings.dagster_address, DAGSTER_DRIVER) or database_url().set(
        drivername=DAGSTER_DRIVER, database=DAGSTER_DATABASE
    )
    return url.update_query_dict({"options": options_in_utc(url)})


def variable_of(url: URL) -> str:
    """Return the variable that says an address: Dagster's storage has one of its own."""
    own = url.drivername == DAGSTER_DRIVER and settings.dagster_address() is not None
    return "DAGSTER_DATABASE_URL" if own else "DATABASE_URL"


def _configured_url(read: Callable[[], URL | None], driver: str) -> URL | None:
    try:
        address = read()
    except SettingError as error:
        raise DatabaseError(str(error)) from None
    return address.set(drivername=driver) if address else None


def _embedded_url() -> URL:
    return _look_up_embedded_url(home(), int(time.monotonic() // LOOKUP_SECONDS))


@lru_cache(maxsize=4)
def _look_up_embedded_url(folder: Path, interval: int) -> URL:
    """Return the embedded server's address, looked up once per interval: a look-up costs as much as a write."""
    try:
        server = embedded.ensure_running(folder)
    except ServerError as error:
        raise DatabaseError(str(error)) from error
    query = {"host": str(server.host), "passfile": str(server.passfile)}
    return URL.create(DRIVER, username=server.user, database=DATABASE, query=query)


def options_in_utc(url: URL) -> str:
    """Return the libpq options of an address, with the time zone UTC."""
    options = str(url.query.get("options", ""))
    return options if UTC_OPTION in options else f"{options} {UTC_OPTION}".strip()
