"""The settings of databases: the address of each, as it is set, and how one is shown.

What belongs here: which variable a role has, and what of an address is secret. Kept elsewhere: those of the
embedded server, and which one is used (`database/addresses.py`).
"""

from typing import TYPE_CHECKING, cast

from boursomatic_assets.settings.environment import SettingError, read_environment, settings_with_valid
from boursomatic_assets.settings.values import DRIVERS

if TYPE_CHECKING:
    from sqlalchemy import URL

ROLE_VARIABLES = {
    "owner": "DATABASE_OWNER_URL",
    "account_admin": "DATABASE_ACCOUNTS_URL",
    "app": "DATABASE_APP_URL",
}
"""The variables of the roles that may have an address of their own."""

SECRETS = ("password", "sslpassword")
"""The options of an address that are never shown."""


def database_address() -> "URL | None":
    """Return the address of the product's database with its password, `DATABASE_URL`."""
    return cast("URL | None", settings_with_valid("DATABASE_URL").DATABASE_URL)


def role_address(role: str) -> "URL | None":
    """Return the address of the product's database for a role with one of its own, else `DATABASE_URL`.

    Raises:
        SettingError: A role has an address, and the database has none.
    """
    variable = ROLE_VARIABLES.get(role, "DATABASE_URL")
    own = getattr(settings_with_valid(variable), variable)
    if own and not database_address():
        raise SettingError(
            f"{variable} is set and DATABASE_URL is not: set both, or neither for the embedded server"
        )
    return cast("URL | None", own) or database_address()


def read_address() -> "URL | None":
    """Return the address of a replica of the product's database with its password, `BOURSOMATIC_READ_URL`."""
    return cast("URL | None", settings_with_valid("BOURSOMATIC_READ_URL").BOURSOMATIC_READ_URL)


def addresses() -> "dict[str, URL]":
    """Return the addresses that are set, by variable, without those that are wrong."""
    settings, _ = read_environment()
    return {name: address for name in DRIVERS if (address := getattr(settings, name))}


def role_prefix() -> str:
    """Return what the names of the database's roles begin with, `BOURSOMATIC_ROLE_PREFIX`."""
    return settings_with_valid("BOURSOMATIC_ROLE_PREFIX").BOURSOMATIC_ROLE_PREFIX


def dagster_address() -> "URL | None":
    """Return the address of Dagster's database with its password, `DAGSTER_DATABASE_URL`."""
    return cast("URL | None", settings_with_valid("DAGSTER_DATABASE_URL").DAGSTER_DATABASE_URL)


def redacted(url: "URL") -> str:
    """Return an address without its password, wherever that is written in it."""
    hidden = {name: "***" for name in SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)
