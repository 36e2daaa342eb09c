"""Settings: what the environment sets, and one function for each variable.

What belongs here: how the environment is read, anew at each call (`environment.py`), and what is wrong with it;
the variables, their types and defaults (`variables.py`, `values.py`); those of databases
(`addresses.py`), of alerts (`alerts.py`), of workers (`workers.py`), and how long something is waited for
(`patience.py`). This room imports nothing of the package.
Kept elsewhere: which sources there are (`sources/`), how a database is reached (`database/`), how the settings
are listed (`cli/settings.py`), the settings of Dagster (`dagster.yaml`).
"""

import datetime as dt
import os
from pathlib import Path

from boursomatic_assets.settings import first_partition as first_partition
from boursomatic_assets.settings.addresses import ROLE_VARIABLES as ROLE_VARIABLES
from boursomatic_assets.settings.addresses import SECRETS as SECRETS
from boursomatic_assets.settings.addresses import addresses as addresses
from boursomatic_assets.settings.addresses import dagster_address as dagster_address
from boursomatic_assets.settings.addresses import database_address as database_address
from boursomatic_assets.settings.addresses import read_address as read_address
from boursomatic_assets.settings.addresses import redacted as redacted
from boursomatic_assets.settings.addresses import role_address as role_address
from boursomatic_assets.settings.addresses import role_prefix as role_prefix
from boursomatic_assets.settings.environment import SettingError as SettingError
from boursomatic_assets.settings.environment import environment_values as environment_values
from boursomatic_assets.settings.environment import read_environment, settings_with_valid
from boursomatic_assets.settings.values import DAGSTER_DRIVER as DAGSTER_DRIVER
from boursomatic_assets.settings.values import DRIVER as DRIVER
from boursomatic_assets.settings.values import DRIVERS as DRIVERS
from boursomatic_assets.settings.values import EPOCH as EPOCH
from boursomatic_assets.settings.values import Language as Language
from boursomatic_assets.settings.variables import Settings as Settings

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout, with `alembic.ini`, `dagster.yaml` and `workspace.yaml`."""

DEFAULT_START = dt.date.fromisoformat(Settings.model_fields["BOURSOMATIC_START"].default)
"""The first partition's date where nothing says otherwise; no simulated bar is much older."""


PATHS = (
    *("BOURSOMATIC_HOME", "BOURSOMATIC_FILES", "BOURSOMATIC_ARCHIVE", "BOURSOMATIC_STORE"),
    "BOURSOMATIC_AUDIT_HEADS",
)
"""The variables that may name a folder or a file."""


def home() -> Path:
    """Return the folder of all files that the platform keeps, made for the current user alone.

    `BOURSOMATIC_HOME`, else `.boursomatic` in the project.
    """
    folder = _home_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"
    except OSError as error:
        reason = "it is a file" if folder.is_file() else str(error.strerror).lower()
    if reason:
        raise SettingError(f"{folder} is no folder to write in ({reason}): set BOURSOMATIC_HOME to one of yours")
    return folder


def _home_folder() -> Path:
    """Return the home folder, which need not be there."""
    stated = settings_with_valid("BOURSOMATIC_HOME").BOURSOMATIC_HOME
    return (stated or PROJECT / ".boursomatic").expanduser().absolute()


def language() -> Language:
    """Return the language of justifications, `BOURSOMATIC_LANGUAGE`."""
    return settings_with_valid("BOURSOMATIC_LANGUAGE").BOURSOMATIC_LANGUAGE


def evidence() -> tuple[float, ...]:
    """Return how many to one each profile asks for, the most cautious first, `BOURSOMATIC_EVIDENCE`."""
    return settings_with_valid("BOURSOMATIC_EVIDENCE").BOURSOMATIC_EVIDENCE


def start() -> dt.date:
    """Return the first partition's date: `BOURSOMATIC_START`, or what a home with simulated bars has recorded."""
    stated = settings_with_valid("BOURSOMATIC_START").BOURSOMATIC_START
    return (first_partition.read(_home_folder()) if records_start() else None) or stated


def records_start() -> bool:
    """Return whether the home records the first partition's date: of simulated bars in its own server alone."""
    stated = environment_values().keys() & {"BOURSOMATIC_START", "DATABASE_URL"}
    return not stated and source() == "simulated"


def automation() -> bool:
    """Return whether schedules and sensors start with the daemon, `BOURSOMATIC_AUTOMATION`."""
    return settings_with_valid("BOURSOMATIC_AUTOMATION").BOURSOMATIC_AUTOMATION


def sessions_per_run() -> int:
    """Return how many sessions of a market a run holds at most, `BOURSOMATIC_SESSIONS_PER_RUN`."""
    return settings_with_valid("BOURSOMATIC_SESSIONS_PER_RUN").BOURSOMATIC_SESSIONS_PER_RUN


def simulated_instruments() -> int:
    """Return how many instruments a simulated market lists, `BOURSOMATIC_SIMULATED_INSTRUMENTS`."""
    return settings_with_valid("BOURSOMATIC_SIMULATED_INSTRUMENTS").BOURSOMATIC_SIMULATED_INSTRUMENTS


def simulated_seed() -> int:
    """Return the seed of the simulated market, `BOURSOMATIC_SIMULATED_SEED`."""
    return settings_with_valid("BOURSOMATIC_SIMULATED_SEED").BOURSOMATIC_SIMULATED_SEED


def simulated_signal() -> float:
    """Return how strong the simulated market's planted signal is, `BOURSOMATIC_SIMULATED_SIGNAL`."""
    return settings_with_valid("BOURSOMATIC_SIMULATED_SIGNAL").BOURSOMATIC_SIMULATED_SIGNAL


def extended_hours() -> bool:
    """Return whether 15m bars outside of trading hours are kept, `BOURSOMATIC_EXTENDED_HOURS`."""
    return settings_with_valid("BOURSOMATIC_EXTENDED_HOURS").BOURSOMATIC_EXTENDED_HOURS


def stock_dagster() -> bool:
    """Return whether Dagster is to run without the platform's patches, `BOURSOMATIC_STOCK_DAGSTER`."""
    return settings_with_valid("BOURSOMATIC_STOCK_DAGSTER").BOURSOMATIC_STOCK_DAGSTER


def source() -> str:
    """Return where bars come from, `BOURSOMATIC_SOURCE`; `sources/` knows the kinds of sources."""
    return settings_with_valid("BOURSOMATIC_SOURCE").BOURSOMATIC_SOURCE


def files() -> str | None:
    """Return the folder of a vendor's files, `BOURSOMATIC_FILES`."""
    folder = settings_with_valid("BOURSOMATIC_FILES").BOURSOMATIC_FILES
    return str(folder) if folder else None


def foreign_links() -> bool:
    """Return whether links that leave the folder of files are followed, `BOURSOMATIC_FOREIGN_LINKS`."""
    return settings_with_valid("BOURSOMATIC_FOREIGN_LINKS").BOURSOMATIC_FOREIGN_LINKS


def stooq_key() -> str | None:
    """Return the key that Stooq wants, `BOURSOMATIC_STOOQ_KEY`."""
    return settings_with_valid("BOURSOMATIC_STOOQ_KEY").BOURSOMATIC_STOOQ_KEY


def store() -> str:
    """Return where models and the archive are kept, `BOURSOMATIC_STORE`: a folder, by default the home, or s3://."""
    return settings_with_valid("BOURSOMATIC_STORE").BOURSOMATIC_STORE or str(home())


def archive() -> str:
    """Return where archived bars are kept, `BOURSOMATIC_ARCHIVE`, else `archive` in the store."""
    return str(settings_with_valid("BOURSOMATIC_ARCHIVE").BOURSOMATIC_ARCHIVE or f"{store()}/archive")


def cold_after() -> int | None:
    """Return how many whole years stay in the tables, `BOURSOMATIC_COLD_AFTER`; None: all."""
    return settings_with_valid("BOURSOMATIC_COLD_AFTER").BOURSOMATIC_COLD_AFTER


def dagster_home() -> Path:
    """Return the folder of Dagster's instance, `DAGSTER_HOME`, else `dagster` in the home; it may not exist."""
    return (settings_with_valid("DAGSTER_HOME").DAGSTER_HOME or home() / "dagster").expanduser().absolute()


def audit_heads() -> Path | None:
    """Return the second file for the heads of the chains of digests, `BOURSOMATIC_AUDIT_HEADS`."""
    path = settings_with_valid("BOURSOMATIC_AUDIT_HEADS").BOURSOMATIC_AUDIT_HEADS
    return path and path.expanduser().absolute()


def web_hosts() -> tuple[str, ...]:
    """Return the names, some with a port, by which browsers reach the UI, `BOURSOMATIC_WEB_HOSTS`."""
    return settings_with_valid("BOURSOMATIC_WEB_HOSTS").BOURSOMATIC_WEB_HOSTS


def metrics_address() -> tuple[str, int] | None:
    """Return the host and the port that /metrics is served at, `BOURSOMATIC_METRICS`; None: it is off."""
    return settings_with_valid("BOURSOMATIC_METRICS").BOURSOMATIC_METRICS


def consent() -> bool:
    """Return whether rows may be dropped without asking, `BOURSOMATIC_YES`."""
    return settings_with_valid("BOURSOMATIC_YES").BOURSOMATIC_YES


def make_paths_absolute() -> None:
    """Make the folders in the environment absolute, so that children in other folders find them too."""
    for variable in PATHS:
        folder = environment_values().get(variable)
        if folder and "://" not in folder:
            os.environ[variable] = str(Path(folder).expanduser().absolute())


def errors_by_variable() -> dict[str, str]:
    """Return an error of one line by wrong variable; the home folder is made if need be."""
    _, errors = read_environment()
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
