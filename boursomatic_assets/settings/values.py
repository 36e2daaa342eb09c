"""Values: how the text of a variable is checked and read.

What belongs here: one function for each kind of value; each raises ValueError with the whole message.
Kept elsewhere: the variables (`variables.py`).
"""

import datetime as dt
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationInfo

if TYPE_CHECKING:
    from sqlalchemy import URL

EPOCH = dt.date(1990, 1, 2)
"""Session ordinals count from here. Another date moves the look-back blocks of the features, so every feature."""

Language = Literal["en", "fr"]

DRIVER, DAGSTER_DRIVER = "postgresql+psycopg", "postgresql+psycopg2"
DRIVERS = {
    **dict.fromkeys(
        (
            *("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_ACCOUNTS_URL", "DATABASE_APP_URL"),
            "BOURSOMATIC_READ_URL",
        ),
        ("postgresql", DRIVER),
    ),
    "DAGSTER_DATABASE_URL": ("postgresql", DRIVER, DAGSTER_DRIVER),
}
"""The drivers that an address may name, by variable."""

MAX_SIGNAL = 2
"""The strongest signal of the simulated market: four fifths of each instrument's own move fade."""

EXAMPLE = "postgresql+psycopg://user:password@host:5432/boursomatic"


def one_of(*allowed: str) -> Callable[[str, ValidationInfo], str]:
    """Return the check of a text that is one of some."""

    def check(text: str, info: ValidationInfo) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is not known: set {info.field_name} to {' or '.join(allowed)}")
        return text

    return check


def parse_count(text: str | None, info: ValidationInfo) -> int | None:
    """Return a count, 1 or more; None stays."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{text!r} is no count: set {info.field_name} to a number from 1 on")
    return int(text)


def parse_seconds(text: str, info: ValidationInfo) -> int:
    """Return a number of seconds, 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number of seconds: set {info.field_name} to one from 0 on")
    return int(text)


def parse_evidence(text: str, info: ValidationInfo) -> tuple[float, ...]:
    """Return three demands, each at least as high as the next and none below 1."""
    try:
        asked = tuple(float(part) for part in text.split(","))
    except ValueError:
        asked = ()
    if len(asked) != 3 or not (1e9 >= asked[0] >= asked[1] >= asked[2] >= 1):
        raise ValueError(
            f"{text!r} is no demand: set {info.field_name} to three falling numbers from 1 on, such as 20,5,2"
        )
    return asked


def parse_seed(text: str, info: ValidationInfo) -> int:
    """Return a seed of random numbers, 0 or more."""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(
            f"{text!r} is no seed: set {info.field_name} to a whole number from 0 on, of 18 digits at most"
        )
    return int(text)


def parse_signal(text: str, info: ValidationInfo) -> float:
    """Return a strength from 0 to MAX_SIGNAL."""
    if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) or float(text) > MAX_SIGNAL:
        raise ValueError(
            f"{text!r} is no strength: set {info.field_name} to a number from 0 (nothing can be predicted) to"
            f" {MAX_SIGNAL}"
        )
    return float(text)


def parse_hosts(text: str, info: ValidationInfo) -> tuple[str, ...]:
    """Return host names, with a port or without."""
    hosts = tuple(host.strip().lower() for host in text.split(",") if host.strip())
    for host in hosts:
        if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?", host, re.ASCII):
            raise ValueError(f"{host!r} is no host: set {info.field_name} to names such as bars.example.com:8443")
    return hosts


def parse_first_date(text: str, info: ValidationInfo) -> dt.date:
    """Return a date between EPOCH and today."""
    try:
        date = dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ValueError(f"{text!r} is no date: set {info.field_name} to YYYY-MM-DD") from None
    if not EPOCH <= date <= today():
        raise ValueError(f"{date} is no first date: set {info.field_name} to one from {EPOCH} to {today()}")
    return date


def check_web_address(text: str | None, info: ValidationInfo) -> str | None:
    """Check an address of the web. A message shows nothing of it: what is posted to may be a secret."""
    if text and not re.fullmatch(r"https?://[^\s/?#@]+([/?#]\S*)?", text):
        raise ValueError(
            f"{info.field_name} is no address: set it to one that begins with https:// or http://, without a user"
            " or a password before its host"
        )
    return text


def parse_listen_address(text: str | None, info: ValidationInfo) -> tuple[str, int] | None:
    """Return a host and a port to listen at."""
    if text is None:
        return None
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", text, re.ASCII)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError(
            f"{text!r} is no address: set {info.field_name} to a host and a port, like 127.0.0.1:9464"
        )
    return found[1].strip("[]"), int(found[2])


def check_mail_server(text: str | None, info: ValidationInfo) -> str | None:
    """Check the address of a mail server; a message shows nothing of it."""
    if text and not re.fullmatch(r"smtps?://([^\s@/]+@)?[\w.-]+(:\d{1,5})?/?", text, re.ASCII):
        raise ValueError(
            f"{info.field_name} is no mail server: set it to one like smtps://user:password@mail.example.com:465,"
            " with what is special in the password percent-encoded"
        )
    return text


def check_broker(text: str | None, info: ValidationInfo) -> str | None:
    """Check the address of a message broker; a message shows nothing of it."""
    known = r"(rediss?|amqps?)://([^\s@/?#]*@)?[\w.-]+(:\d{1,5})?(/[\w%-]*)?"
    if text and not re.fullmatch(known, text, re.ASCII):
        raise ValueError(
            f"{info.field_name} is no broker: set it to one like redis://:password@host:6379/0 or"
            " amqps://user:password@host:5671/, with what is special in the password percent-encoded"
        )
    return text


def check_command(text: str | None, info: ValidationInfo) -> str | None:
    """Check that a command can be cut into words; a message shows nothing of it: an argument may be a secret."""
    try:
        words = text is None or shlex.split(text)
    except ValueError:
        words = []
    if not words:
        raise ValueError(
            f"{info.field_name} is no command: set it to a program and its arguments, quotes in pairs"
        )
    return text


def parse_recipients(text: str, info: ValidationInfo) -> tuple[str, ...]:
    """Return e-mail addresses."""
    addresses = tuple(address.strip() for address in text.split(",") if address.strip())
    for address in addresses:
        if not re.fullmatch(r"[^\s@,]+@[^\s@,]+", address):
            raise ValueError(
                f"{address!r} is no e-mail address: set {info.field_name} to some, with commas between"
            )
    return addresses


def store_address(text: str, name: str) -> str:
    """Return the absolute path of a folder, or the address of a bucket; a message shows nothing of an address."""
    if "://" not in text:
        return str(Path(text).expanduser().absolute())
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=-]+)*/?", text, re.ASCII):
        raise ValueError(
            f"{name} is no store: set it to a folder, or to an address like s3://bucket/prefix; keys are read from"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY alone"
        )
    return text.rstrip("/")


def parse_store(text: str | None, info: ValidationInfo) -> str | None:
    """Return the address of a store, see `store_address`."""
    return store_address(text, str(info.field_name)) if text else None


def check_prefix(text: str, info: ValidationInfo) -> str:
    """Check a prefix: with the longest role it must stay below PostgreSQL's 63 bytes, and need no quotes."""
    if text and not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text):
        raise ValueError(
            f"{text!r} is no prefix: set {info.field_name} to at most 40 small letters, digits and underscores"
        )
    return text


def parse_address(text: "str | None", info: ValidationInfo) -> "URL | None":
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
