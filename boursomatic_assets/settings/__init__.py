"""Settings: what the environment sets, and one function for each variable.

What belongs here: how the environment is read, anew at each call, and what is wrong with it; the variables, their
types and defaults (`variables.py`, `values.py`). This room imports nothing of the package.
Kept elsewhere: which sources there are (`sources/`), how a database is reached (`database/`), how the settings are
listed (`cli/settings.py`), the settings of Dagster (`dagster.yaml`).
"""

import datetime as dt
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from boursomatic_assets.settings.values import DAGSTER_DRIVER as DAGSTER_DRIVER
from boursomatic_assets.settings.values import DRIVER as DRIVER
from boursomatic_assets.settings.values import DRIVERS as DRIVERS
from boursomatic_assets.settings.values import EPOCH as EPOCH
from boursomatic_assets.settings.values import Language as Language
from boursomatic_assets.settings.values import today
from boursomatic_assets.settings.variables import Settings as Settings

if TYPE_CHECKING:
    from sqlalchemy import URL

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout, with `alembic.ini`, `dagster.yaml` and `workspace.yaml`."""

ROLE_VARIABLES = {
    "owner": "DATABASE_OWNER_URL",
    "account_admin": "DATABASE_ACCOUNTS_URL",
    "app": "DATABASE_APP_URL",
}
"""The variables of the roles that may have an address of their own."""

SECRETS = ("password", "sslpassword")
"""The options of an address that are never shown."""


class SettingError(ValueError):
    """A variable has a value that it cannot have: one line that names it, and what it may be."""


def home() -> Path:
    """Return the folder of all files that the platform keeps, made for the current user alone.

    `BOURSOMATIC_HOME`, else `.boursomatic` in the project.
    """
    folder = (
        (_settings_with_valid("BOURSOMATIC_HOME").BOURSOMATIC_HOME or PROJECT / ".boursomatic")
        .expanduser()
        .absolute()
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"
    except OSError as error:
        reason = "it is a file" if folder.is_file() else str(error.strerror).lower()
    if reason:
        raise SettingError(f"{folder} is no folder to write in ({reason}): set BOURSOMATIC_HOME to one of yours")
    return folder


def language() -> Language:
    """Return the language of justifications, `BOURSOMATIC_LANGUAGE`."""
    return _settings_with_valid("BOURSOMATIC_LANGUAGE").BOURSOMATIC_LANGUAGE


def evidence() -> tuple[float, ...]:
    """Return how many to one each profile asks for, the most cautious first, `BOURSOMATIC_EVIDENCE`."""
    return _settings_with_valid("BOURSOMATIC_EVIDENCE").BOURSOMATIC_EVIDENCE


def start() -> dt.date:
    """Return the first partition's date, `BOURSOMATIC_START`."""
    return _settings_with_valid("BOURSOMATIC_START").BOURSOMATIC_START


def sessions_per_run() -> int:
    """Return how many sessions of a market a run holds at most, `BOURSOMATIC_SESSIONS_PER_RUN`."""
    return _settings_with_valid("BOURSOMATIC_SESSIONS_PER_RUN").BOURSOMATIC_SESSIONS_PER_RUN


def simulated_instruments() -> int:
    """Return how many instruments a simulated market lists, `BOURSOMATIC_SIMULATED_INSTRUMENTS`."""
    return _settings_with_valid("BOURSOMATIC_SIMULATED_INSTRUMENTS").BOURSOMATIC_SIMULATED_INSTRUMENTS


def simulated_seed() -> int:
    """Return the seed of the simulated market, `BOURSOMATIC_SIMULATED_SEED`."""
    return _settings_with_valid("BOURSOMATIC_SIMULATED_SEED").BOURSOMATIC_SIMULATED_SEED


def simulated_signal() -> float:
    """Return how strong the simulated market's planted signal is, `BOURSOMATIC_SIMULATED_SIGNAL`."""
    return _settings_with_valid("BOURSOMATIC_SIMULATED_SIGNAL").BOURSOMATIC_SIMULATED_SIGNAL


def extended_hours() -> bool:
    """Return whether 15m bars outside of trading hours are kept, `BOURSOMATIC_EXTENDED_HOURS`."""
    return _settings_with_valid("BOURSOMATIC_EXTENDED_HOURS").BOURSOMATIC_EXTENDED_HOURS


def stock_dagster() -> bool:
    """Return whether Dagster is to run without the platform's patches, `BOURSOMATIC_STOCK_DAGSTER`."""
    return _settings_with_valid("BOURSOMATIC_STOCK_DAGSTER").BOURSOMATIC_STOCK_DAGSTER


def source() -> str:
    """Return where bars come from, `BOURSOMATIC_SOURCE`; `sources/` knows the kinds of sources."""
    return _settings_with_valid("BOURSOMATIC_SOURCE").BOURSOMATIC_SOURCE


def files() -> str | None:
    """Return the folder of a vendor's files, `BOURSOMATIC_FILES`."""
    folder = _settings_with_valid("BOURSOMATIC_FILES").BOURSOMATIC_FILES
    return str(folder) if folder else None


def foreign_links() -> bool:
    """Return whether links that leave the folder of files are followed, `BOURSOMATIC_FOREIGN_LINKS`."""
    return _settings_with_valid("BOURSOMATIC_FOREIGN_LINKS").BOURSOMATIC_FOREIGN_LINKS


def stooq_key() -> str | None:
    """Return the key that Stooq wants, `BOURSOMATIC_STOOQ_KEY`."""
    return _settings_with_valid("BOURSOMATIC_STOOQ_KEY").BOURSOMATIC_STOOQ_KEY


def archive() -> Path:
    """Return the folder of archived 15m bars, `BOURSOMATIC_ARCHIVE`, else `archive` in the home."""
    return _settings_with_valid("BOURSOMATIC_ARCHIVE").BOURSOMATIC_ARCHIVE or home() / "archive"


def database_address() -> "URL | None":
    """Return the address of the product's database with its password, `DATABASE_URL`."""
    return cast("URL | None", _settings_with_valid("DATABASE_URL").DATABASE_URL)


def role_address(role: str) -> "URL | None":
    """Return the address of the product's database for a role with one of its own, else `DATABASE_URL`.

    Raises:
        SettingError: A role has an address, and the database has none.
    """
    variable = ROLE_VARIABLES.get(role, "DATABASE_URL")
    own = getattr(_settings_with_valid(variable), variable)
    if own and not database_address():
        raise SettingError(
            f"{variable} is set and DATABASE_URL is not: set both, or neither for the embedded server"
        )
    return cast("URL | None", own) or database_address()


def addresses() -> "dict[str, URL]":
    """Return the addresses that are set, by variable, without those that are wrong."""
    settings, _ = _read_environment(today(), frozenset(environment_values().items()))
    return {name: address for name in DRIVERS if (address := getattr(settings, name))}


def role_prefix() -> str:
    """Return what the names of the database's roles begin with, `BOURSOMATIC_ROLE_PREFIX`."""
    return _settings_with_valid("BOURSOMATIC_ROLE_PREFIX").BOURSOMATIC_ROLE_PREFIX


def dagster_address() -> "URL | None":
    """Return the address of Dagster's database with its password, `DAGSTER_DATABASE_URL`."""
    return cast("URL | None", _settings_with_valid("DAGSTER_DATABASE_URL").DAGSTER_DATABASE_URL)


def dagster_home() -> Path:
    """Return the folder of Dagster's instance, `DAGSTER_HOME`, else `dagster` in the home; it may not exist."""
    return (_settings_with_valid("DAGSTER_HOME").DAGSTER_HOME or home() / "dagster").expanduser().absolute()


def audit_heads() -> Path | None:
    """Return the second file for the heads of the chains of digests, `BOURSOMATIC_AUDIT_HEADS`."""
    path = _settings_with_valid("BOURSOMATIC_AUDIT_HEADS").BOURSOMATIC_AUDIT_HEADS
    return path and path.expanduser().absolute()


def web_hosts() -> tuple[str, ...]:
    """Return the names, some with a port, by which browsers reach the UI, `BOURSOMATIC_WEB_HOSTS`."""
    return _settings_with_valid("BOURSOMATIC_WEB_HOSTS").BOURSOMATIC_WEB_HOSTS


def consent() -> bool:
    """Return whether rows may be dropped without asking, `BOURSOMATIC_YES`."""
    return _settings_with_valid("BOURSOMATIC_YES").BOURSOMATIC_YES


def make_paths_absolute() -> None:
    """Make the folders in the environment absolute, so that children in other folders find them too."""
    for variable in ("BOURSOMATIC_HOME", "BOURSOMATIC_FILES", "BOURSOMATIC_ARCHIVE"):
        if folder := environment_values().get(variable):
            os.environ[variable] = str(Path(folder).expanduser().absolute())


# How the environment is read


def environment_values() -> dict[str, str]:
    """Return what the environment sets, by variable, as it is written there; an empty one counts as unset."""
    return {variable: value for variable in Settings.model_fields if (value := os.environ.get(variable))}


def errors_by_variable() -> dict[str, str]:
    """Return an error of one line by wrong variable; the home folder is made if need be."""
    _, errors = _read_environment(today(), frozenset(environment_values().items()))
    try:
        home()
    except SettingError as error:
        return {"BOURSOMATIC_HOME": str(error)} | errors
    return dict(errors)


def require_valid() -> None:
    """Check every variable, before any work is done.

    Raises:
        SettingError: Variables are wrong; the message names each of them.
    """
    if errors := errors_by_variable():
        raise SettingError("; ".join(errors.values()))


def _settings_with_valid(variable: str) -> Settings:
    """Return the settings if this variable is valid: a wrong one stops only those who need it."""
    settings, errors = _read_environment(today(), frozenset(environment_values().items()))
    if variable in errors:
        raise SettingError(errors[variable])
    return settings


@lru_cache(maxsize=1)
def _read_environment(_today: dt.date, _values: frozenset[tuple[str, str]]) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and the errors by variable; a wrong variable has its default.

    Reading costs a millisecond and every connection needs it, so it is done again only when a variable changes, or
    the day, on which a first date depends.
    """
    try:
        return Settings(), {}
    except ValidationError as error:
        errors = {str(detail["loc"][0]): str(detail["ctx"]["error"]) for detail in error.errors()}
    return Settings(**{variable: Settings.model_fields[variable].default for variable in errors}), errors


def redacted(url: "URL") -> str:
    """Return an address without its password, wherever that is written in it."""
    hidden = {name: "***" for name in SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)
