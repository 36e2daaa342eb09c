"""The variables: each with its type, its default and its meaning, and how a value is checked.

What belongs here: the model `Settings`. Kept elsewhere: how it is read, and one function for each variable
(`settings/__init__.py`).
"""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

if TYPE_CHECKING:
    from sqlalchemy import URL

EPOCH = dt.date(1990, 1, 2)
"""Session ordinals count from here. Another date moves the look-back blocks of the features, so every feature."""

Language = Literal["en", "fr"]

DRIVER, DAGSTER_DRIVER = "postgresql+psycopg", "postgresql+psycopg2"
DRIVERS = {
    **dict.fromkeys(
        ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_ACCOUNTS_URL", "DATABASE_APP_URL"), ("postgresql", DRIVER)
    ),
    "DAGSTER_DATABASE_URL": ("postgresql", DRIVER, DAGSTER_DRIVER),
}
"""The drivers that an address may name, by variable."""

MAX_SIGNAL = 2
"""The strongest signal of the simulated market: four fifths of each instrument's own move fade."""

EXAMPLE = "postgresql+psycopg://user:password@host:5432/boursomatic"


# How a value is checked: each function takes the text of a variable, and raises ValueError with the whole message


def _one_of(*allowed: str) -> Callable[[str, ValidationInfo], str]:
    def check(text: str, info: ValidationInfo) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is not known: set {info.field_name} to {' or '.join(allowed)}")
        return text

    return check


def _parse_count(text: str, info: ValidationInfo) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{text!r} is no count: set {info.field_name} to a number from 1 on")
    return int(text)


def _parse_evidence(text: str, info: ValidationInfo) -> tuple[float, ...]:
    """Parse three demands, each at least as high as the next and none below 1."""
    try:
        asked = tuple(float(part) for part in text.split(","))
    except ValueError:
        asked = ()
    if len(asked) != 3 or not (1e9 >= asked[0] >= asked[1] >= asked[2] >= 1):
        raise ValueError(
            f"{text!r} is no demand: set {info.field_name} to three falling numbers from 1 on, such as 20,5,2"
        )
    return asked


def _parse_seed(text: str, info: ValidationInfo) -> int:
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(
            f"{text!r} is no seed: set {info.field_name} to a whole number from 0 on, of 18 digits at most"
        )
    return int(text)


def _parse_signal(text: str, info: ValidationInfo) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) or float(text) > MAX_SIGNAL:
        raise ValueError(
            f"{text!r} is no strength: set {info.field_name} to a number from 0 (nothing can be predicted) to"
            f" {MAX_SIGNAL}"
        )
    return float(text)


def _parse_hosts(text: str, info: ValidationInfo) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in text.split(",") if host.strip())
    for host in hosts:
        if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?", host, re.ASCII):
            raise ValueError(f"{host!r} is no host: set {info.field_name} to names such as bars.example.com:8443")
    return hosts


def _parse_first_date(text: str, info: ValidationInfo) -> dt.date:
    try:
        date = dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ValueError(f"{text!r} is no date: set {info.field_name} to YYYY-MM-DD") from None
    if not EPOCH <= date <= today():
        raise ValueError(f"{date} is no first date: set {info.field_name} to one from {EPOCH} to {today()}")
    return date


def _check_prefix(text: str, info: ValidationInfo) -> str:
    """Check a prefix: with the longest role it must stay below PostgreSQL's 63 bytes, and need no quotes."""
    if text and not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text):
        raise ValueError(
            f"{text!r} is no prefix: set {info.field_name} to at most 40 small letters, digits and underscores"
        )
    return text


def _parse_address(text: "str | None", info: ValidationInfo) -> "URL | None":
    """Return an address, parsed. A message shows nothing of it but the scheme: the rest may be a password.

    An @ or a / that is not percent-encoded makes the rest of a password look like a host or a database, so one @
    alone is allowed.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if text is None:
        return None
    name = str(info.field_name)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or text.count("@") > 1:
        raise ValueError(
            f"{name} is not an address like {EXAMPLE}: percent-encode what is special in its password (@ is %40)"
        )
    if url.drivername not in DRIVERS[name]:
        raise ValueError(f"{name} starts with {url.drivername}: only PostgreSQL is used, like {EXAMPLE}")
    if not url.database:
        raise ValueError(f"{name} names no database: write it last, like {EXAMPLE}")
    if any(
        letter in part for part in (url.username, url.password) if part for letter in "\0\N{REPLACEMENT CHARACTER}"
    ):
        raise ValueError(f"{name} has a user or a password that is not text: percent-encode it as UTF-8")
    return url


def today() -> dt.date:
    """Return the date in UTC."""
    return dt.datetime.now(dt.UTC).date()


# The variables


Flag = Annotated[bool, BeforeValidator(_one_of("0", "1"))]
Count = Annotated[int, BeforeValidator(_parse_count)]
Evidence = Annotated[tuple[float, ...], NoDecode, BeforeValidator(_parse_evidence)]
Seed = Annotated[int, BeforeValidator(_parse_seed)]
Signal = Annotated[float, BeforeValidator(_parse_signal)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_hosts)]
FirstDate = Annotated[dt.date, BeforeValidator(_parse_first_date)]
Address = Annotated[Any, BeforeValidator(_parse_address)]
"""A URL of SQLAlchemy, which is imported where one is parsed: most commands show none."""
RolePrefix = Annotated[str, BeforeValidator(_check_prefix)]
KnownLanguage = Annotated[Language, BeforeValidator(_one_of(*get_args(Language)))]


def _field(default: str | None, meaning: str, *, unset: str = "", secret: bool = False) -> Any:
    """A field. Its default is written as in the environment; `unset` describes the value where there is none."""
    return Field(default, description=meaning, json_schema_extra={"unset": unset}, repr=not secret)


class Settings(BaseSettings):
    """The environment; each field has the name of its variable, and those without `repr` are secret."""

    model_config = SettingsConfigDict(
        case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    BOURSOMATIC_SOURCE: str = _field(
        "simulated", "where bars come from: simulated, files, yahoo, stooq, or an order such as stooq,yahoo"
    )
    BOURSOMATIC_FILES: Path | None = _field(
        None, "folder with a vendor's files, for the source files; searched recursively", unset="none"
    )
    BOURSOMATIC_FOREIGN_LINKS: Flag = _field(
        "0", "1 follows links in the folder of files that lead out of it; 0 names them"
    )
    BOURSOMATIC_STOOQ_KEY: str | None = _field(
        None, "key that Stooq wants for downloads", unset="none", secret=True
    )
    BOURSOMATIC_SIMULATED_INSTRUMENTS: Count = _field("24", "instruments that a simulated market lists")
    BOURSOMATIC_SIMULATED_SEED: Seed = _field("7", "seed of the simulated market: another one is another market")
    BOURSOMATIC_SIMULATED_SIGNAL: Signal = _field(
        "1",
        "strength of the signal planted in the simulated market, up to 2: 1 is a rank IC of 0.15, where real"
        " markets have 0.03; 0 is none",
    )
    BOURSOMATIC_EXTENDED_HOURS: Flag = _field(
        "0", "1 keeps 15m bars outside of the trading hours of a session, 0 rejects them"
    )
    BOURSOMATIC_START: FirstDate = _field("2000-01-03", "date of the first partition")
    BOURSOMATIC_SESSIONS_PER_RUN: Count = _field(
        "100000", "sessions of a market in one run at most; fewer need less memory"
    )
    BOURSOMATIC_EVIDENCE: Evidence = _field(
        "20,5,2",
        "how many to one must speak for a model before the conservative, moderate and aggressive profile advise",
    )
    BOURSOMATIC_LANGUAGE: KnownLanguage = _field("en", "language of justifications: en or fr")
    BOURSOMATIC_HOME: Path | None = _field(
        None,
        "folder of the embedded server, models, archive and Dagster's files",
        unset=".boursomatic in the project",
    )
    BOURSOMATIC_ARCHIVE: Path | None = _field(
        None, "folder of archived 15m bars", unset="archive in the home folder"
    )
    DATABASE_URL: Address = _field(
        None, f"the product's database, like {EXAMPLE}", unset="the embedded server", secret=True
    )
    DATABASE_OWNER_URL: Address = _field(
        None, "the same database as the owner of its tables, who migrates", unset="DATABASE_URL", secret=True
    )
    DATABASE_ACCOUNTS_URL: Address = _field(
        None, "the same database as account_admin, who keeps accounts", unset="DATABASE_URL", secret=True
    )
    DATABASE_APP_URL: Address = _field(
        None, "the same database as app, who serves one account at a time", unset="DATABASE_URL", secret=True
    )
    BOURSOMATIC_ROLE_PREFIX: RolePrefix = _field(
        "",
        "what the names of the database's roles begin with, on a server that others use too",
        unset="nothing",
    )
    DAGSTER_DATABASE_URL: Address = _field(
        None,
        "the database of Dagster's runs and events",
        unset="the database dagster on the product's server",
        secret=True,
    )
    DAGSTER_HOME: Path | None = _field(
        None, "folder of Dagster's instance, with its dagster.yaml", unset="dagster in the home folder"
    )
    BOURSOMATIC_AUDIT_HEADS: Path | None = _field(
        None, "second file for the heads of the audit's chains, best on another machine's disk", unset="none"
    )
    BOURSOMATIC_WEB_HOSTS: Hosts = _field(
        "",
        "names by which browsers reach the UI, such as bars.example.com, for a proxy or `dev --expose`",
        unset="those of this machine itself",
    )
    BOURSOMATIC_STOCK_DAGSTER: Flag = _field("0", "1 runs Dagster without the platform's patches, slowly")
    BOURSOMATIC_YES: Flag = _field("0", "1 lets commands drop rows without --yes")
