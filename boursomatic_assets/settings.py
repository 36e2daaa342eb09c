"""Settings: each environment variable of the platform, its type, its default and its meaning.

What belongs here: the model `Settings`, one function for each variable, and what is wrong with those that are set.
The environment is read anew at each call. This module imports nothing of the package.
Kept elsewhere: which sources there are (`sources/`), how a database is reached (`database.py`), how the settings
are listed (`cli_settings.py`), the settings of Dagster (`dagster.yaml`).
"""

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from sqlalchemy import URL

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout, with `alembic.ini`, `dagster.yaml` and `workspace.yaml`."""

EPOCH = dt.date(1990, 1, 2)
"""Session ordinals count from here. Moving it moves every anchor of `indicators.py`, so every feature."""

Language = Literal["en", "fr"]

DRIVER, DAGSTER_DRIVER = "postgresql+psycopg", "postgresql+psycopg2"
DRIVERS = {
    "DATABASE_URL": ("postgresql", DRIVER),
    "DAGSTER_DATABASE_URL": ("postgresql", DRIVER, DAGSTER_DRIVER),
}
"""How an address may begin."""

EXAMPLE = "postgresql+psycopg://user:password@host:5432/boursomatic"
SECRETS = ("password", "sslpassword")
"""The options of an address that nobody may see."""


class SettingError(ValueError):
    """A variable has a value that it cannot have: one line that names it, and what it may be."""


# How a value is checked: each function takes what is written and raises ValueError with the whole line


def _one_of(*allowed: str) -> Callable[[str, ValidationInfo], str]:
    def check(text: str, info: ValidationInfo) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is not known: set {info.field_name} to {' or '.join(allowed)}")
        return text

    return check


def _count(text: str, info: ValidationInfo) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{text!r} is no count: set {info.field_name} to a number from 1 on")
    return int(text)


def _first_date(text: str, info: ValidationInfo) -> dt.date:
    try:
        date = dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ValueError(f"{text!r} is no date: set {info.field_name} to YYYY-MM-DD") from None
    if not EPOCH <= date <= _today():
        raise ValueError(f"{date} is no first date: set {info.field_name} to one from {EPOCH} to {_today()}")
    return date


def _address(text: str, info: ValidationInfo) -> str:
    """An @ that is not percent-encoded in a password ends it too early, so that its rest looks like a host."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    name = str(info.field_name)
    try:
        url = make_url(text)
        if "@" in (url.host or ""):
            raise ValueError
    except (ArgumentError, ValueError):
        raise ValueError(
            f"{name} is not an address like {EXAMPLE}: percent-encode what is special in its password"
        ) from None
    if url.drivername not in DRIVERS[name]:
        raise ValueError(f"{name} starts with {url.drivername}: only PostgreSQL is used, like {EXAMPLE}")
    if not url.database:
        raise ValueError(f"{name} names no database: write it last, like {EXAMPLE}")
    return text


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


# The variables


Flag = Annotated[bool, BeforeValidator(_one_of("0", "1"))]
Count = Annotated[int, BeforeValidator(_count)]
FirstDate = Annotated[dt.date, BeforeValidator(_first_date)]
Address = Annotated[str, AfterValidator(_address)]
KnownLanguage = Annotated[Language, BeforeValidator(_one_of(*get_args(Language)))]


def _variable(default: str | None, meaning: str, *, unset: str = "", secret: bool = False) -> Any:
    """A field. Its default is written as in the environment; `unset` says what holds where there is none."""
    return Field(default, description=meaning, json_schema_extra={"unset": unset}, repr=not secret)


class Settings(BaseSettings):
    """What the environment says; each field has the name of its variable, and those without `repr` are secret."""

    model_config = SettingsConfigDict(
        case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    BOURSOMATIC_SOURCE: str = _variable(
        "simulated", "where bars come from: simulated, files, yahoo, stooq, or an order such as stooq,yahoo"
    )
    BOURSOMATIC_FILES: Path | None = _variable(
        None, "folder with a vendor's files, for the source files; searched recursively", unset="none"
    )
    BOURSOMATIC_STOOQ_KEY: str | None = _variable(
        None, "key that Stooq wants for downloads", unset="none", secret=True
    )
    BOURSOMATIC_SIMULATED_INSTRUMENTS: Count = _variable("24", "instruments that a simulated market lists")
    BOURSOMATIC_EXTENDED_HOURS: Flag = _variable(
        "0", "1 keeps 15m bars outside of the trading hours of a session, 0 rejects them"
    )
    BOURSOMATIC_START: FirstDate = _variable("2000-01-03", "date of the first partition")
    BOURSOMATIC_SESSIONS_PER_RUN: Count = _variable(
        "100000", "sessions of a market in one run at most; fewer need less memory"
    )
    BOURSOMATIC_LANGUAGE: KnownLanguage = _variable("en", "language of justifications: en or fr")
    BOURSOMATIC_HOME: Path | None = _variable(
        None,
        "folder of the embedded server, models, archive and Dagster's files",
        unset=".boursomatic in the project",
    )
    BOURSOMATIC_ARCHIVE: Path | None = _variable(
        None, "folder of archived 15m bars", unset="archive in the home folder"
    )
    DATABASE_URL: Address | None = _variable(
        None, f"the product's database, like {EXAMPLE}", unset="the embedded server", secret=True
    )
    DAGSTER_DATABASE_URL: Address | None = _variable(
        None,
        "the database of Dagster's runs and events",
        unset="the database dagster on the product's server",
        secret=True,
    )
    DAGSTER_HOME: Path | None = _variable(
        None, "folder of Dagster's instance, with its dagster.yaml", unset="dagster in the home folder"
    )
    BOURSOMATIC_STOCK_DAGSTER: Flag = _variable("0", "1 runs Dagster without the platform's patches, slowly")
    BOURSOMATIC_YES: Flag = _variable("0", "1 lets commands drop rows without --yes")


def home() -> Path:
    """Return the folder of all that is kept on this machine, made for the current user alone.

    `BOURSOMATIC_HOME`, else `.boursomatic` in the project.
    """
    folder = (_with("BOURSOMATIC_HOME").BOURSOMATIC_HOME or PROJECT / ".boursomatic").expanduser().absolute()
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
    return _with("BOURSOMATIC_LANGUAGE").BOURSOMATIC_LANGUAGE


def start() -> dt.date:
    """Return the first partition's date, `BOURSOMATIC_START`."""
    return _with("BOURSOMATIC_START").BOURSOMATIC_START


def sessions_per_run() -> int:
    """Return how many sessions of a market a run holds at most, `BOURSOMATIC_SESSIONS_PER_RUN`."""
    return _with("BOURSOMATIC_SESSIONS_PER_RUN").BOURSOMATIC_SESSIONS_PER_RUN


def simulated_instruments() -> int:
    """Return how many instruments a simulated market lists, `BOURSOMATIC_SIMULATED_INSTRUMENTS`."""
    return _with("BOURSOMATIC_SIMULATED_INSTRUMENTS").BOURSOMATIC_SIMULATED_INSTRUMENTS


def extended_hours() -> bool:
    """Return whether 15m bars outside of a session are wanted, `BOURSOMATIC_EXTENDED_HOURS`."""
    return _with("BOURSOMATIC_EXTENDED_HOURS").BOURSOMATIC_EXTENDED_HOURS


def stock_dagster() -> bool:
    """Return whether Dagster is to run without the platform's patches, `BOURSOMATIC_STOCK_DAGSTER`."""
    return _with("BOURSOMATIC_STOCK_DAGSTER").BOURSOMATIC_STOCK_DAGSTER


def source() -> str:
    """Return where bars come from, `BOURSOMATIC_SOURCE`; `sources` says what that may be."""
    return _with("BOURSOMATIC_SOURCE").BOURSOMATIC_SOURCE


def files() -> str | None:
    """Return the folder of a vendor's files, `BOURSOMATIC_FILES`."""
    folder = _with("BOURSOMATIC_FILES").BOURSOMATIC_FILES
    return str(folder) if folder else None


def stooq_key() -> str | None:
    """Return the key that Stooq wants, `BOURSOMATIC_STOOQ_KEY`."""
    return _with("BOURSOMATIC_STOOQ_KEY").BOURSOMATIC_STOOQ_KEY


def archive() -> Path:
    """Return the folder of archived 15m bars, `BOURSOMATIC_ARCHIVE`, else `archive` in the home."""
    return _with("BOURSOMATIC_ARCHIVE").BOURSOMATIC_ARCHIVE or home() / "archive"


def database_address() -> str | None:
    """Return the address of the product's database with its password, `DATABASE_URL`."""
    return _with("DATABASE_URL").DATABASE_URL


def dagster_address() -> str | None:
    """Return the address of Dagster's database with its password, `DAGSTER_DATABASE_URL`."""
    return _with("DAGSTER_DATABASE_URL").DAGSTER_DATABASE_URL


def dagster_home() -> Path:
    """Return the folder of Dagster's instance, `DAGSTER_HOME`, else `dagster` in the home; it may not exist."""
    return (_with("DAGSTER_HOME").DAGSTER_HOME or home() / "dagster").expanduser().absolute()


def consent() -> bool:
    """Return whether rows may be dropped without asking, `BOURSOMATIC_YES`."""
    return _with("BOURSOMATIC_YES").BOURSOMATIC_YES


def make_paths_absolute() -> None:
    """Let this process and its children find the folders that are set, whatever folder they work in."""
    for name in ("BOURSOMATIC_HOME", "BOURSOMATIC_FILES", "BOURSOMATIC_ARCHIVE"):
        if text := given().get(name):
            os.environ[name] = str(Path(text).expanduser().absolute())


# How they are read


def given() -> dict[str, str]:
    """Return what the environment sets, by variable, as it is written there; an empty one counts as unset."""
    return {name: text for name in Settings.model_fields if (text := os.environ.get(name))}


def faults() -> dict[str, str]:
    """Return what is wrong, one line by variable; the home folder is made if need be."""
    _, wrong = _read(_today(), frozenset(given().items()))
    try:
        home()
    except SettingError as error:
        return {"BOURSOMATIC_HOME": str(error)} | wrong
    return dict(wrong)


def require_sound() -> None:
    """Read every variable, before any work is done.

    Raises:
        SettingError: Naming each one that is wrong.
    """
    if wrong := faults():
        raise SettingError("; ".join(wrong.values()))


def _with(variable: str) -> Settings:
    """Return the settings, of which this one is sound: a wrong one stops only those who need it."""
    settings, wrong = _read(_today(), frozenset(given().items()))
    if variable in wrong:
        raise SettingError(wrong[variable])
    return settings


@lru_cache(maxsize=1)
def _read(_today: dt.date, _given: frozenset[tuple[str, str]]) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and what is wrong by variable; a wrong one has its default.

    Reading costs a millisecond and every connection asks for it, so it is done again only when a variable has
    changed, or the day, on which a first date depends.
    """
    try:
        return Settings(), {}
    except ValidationError as error:
        wrong = {str(fault["loc"][0]): str(fault["ctx"]["error"]) for fault in error.errors()}
    return Settings(**{name: Settings.model_fields[name].default for name in wrong}), wrong


# How they are shown


@dataclass(frozen=True)
class Setting:
    """A variable as it may be shown.

    Attributes:
        variable: Its name.
        value: What holds now; a password or a key is masked.
        origin: environment or default.
        default: What holds while it is not set, as it would be written, or in words.
        meaning: What it is for.
    """

    variable: str
    value: str
    origin: Literal["environment", "default"]
    default: str
    meaning: str


def listed() -> list[Setting]:
    """Return every variable with its value now, in the order of the model."""
    texts, wrong = given(), faults()
    return [_listed(name, texts.get(name), sound=name not in wrong) for name in Settings.model_fields]


def redacted(url: "URL") -> str:
    """Return an address that may be shown: without its password, wherever that stands."""
    hidden = {name: "***" for name in SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _listed(name: str, text: str | None, *, sound: bool) -> Setting:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    default = str(field.default or (extra["unset"] if isinstance(extra, dict) else ""))
    if text is None:
        return Setting(name, default, "default", default, str(field.description))
    return Setting(name, _masked(name, text, sound), "environment", default, str(field.description))


def _masked(name: str, text: str, sound: bool) -> str:
    """Return a value that may be shown: of an address all but its password, of other secrets nothing."""
    from sqlalchemy import make_url

    if Settings.model_fields[name].repr:
        return text
    return redacted(make_url(text)) if sound and name in DRIVERS else "***"
