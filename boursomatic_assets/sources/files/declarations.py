"""Declarations: what `columns.yaml` says of files, where their cells do not show it.

What belongs here: its keys, which values they may have, and errors that name them.
Kept elsewhere: what the values are needed for (`layouts/`, `cells.py`, `notation/`).

A declaration that is not understood stops the files that it is for, and no others.
"""

from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError
from boursomatic_assets.sources.files.folder import LEAVING, leaves
from boursomatic_assets.sources.files.formats.contents import decode
from boursomatic_assets.sources.symbols import read_exchange

_EXCHANGES = tuple(exchange for market in MARKETS.values() for exchange in market.exchanges)

FieldName = Literal["ts", "clock", "symbol", "exchange", "interval", "o", "h", "l", "c", "v"]

_WANTED = {
    "columns": f"wanted some of {', '.join(get_args(FieldName))}, each with its own header: {{c: Last}}",
    "dates": "wanted dmy, mdy or ymd",
    "decimal": 'wanted "." or ","',
    "zone": "wanted the name of a time zone, such as America/New_York or UTC",
    "symbol": "wanted a symbol of up to 50 letters, such as MC.PA",
    "exchange": f"wanted one of {', '.join(_EXCHANGES)}, or a city of Euronext such as XPAR",
    "interval": "wanted daily or 15m",
    "skip": "wanted a number of lines",
    "header": "wanted none, if the file has no header",
    "resample": "wanted 15m",
}
"""What may stand below each key."""


def _known_exchange(name: str) -> str:
    """The exchange as it is written: XPAR says a city, which EURONEXT does not."""
    if read_exchange(name) not in _EXCHANGES:
        raise ValueError(name)
    return name


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # it is reported with the key
        raise ValueError(name) from None
    return name


def _pairs(columns: Any) -> Any:
    return tuple(columns.items()) if isinstance(columns, dict) else columns


def _headers_once(columns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if len({header for _, header in columns}) < len(columns):
        raise ValueError(columns)
    return columns


class Declaration(BaseModel):
    """What is declared of a file.

    Attributes:
        columns: pairs of our field and the file's header, for headers that are not known; without headers the
            number of the column, from 1.
        dates: the order of day, month and year.
        decimal: the decimal sign.
        zone: of wall times without an offset.
        symbol, exchange, interval: of every row of the file.
        skip: lines above the header.
        header: `none` if there is none.
        resample: `15m` to add up bars of 1, 3 or 5 minutes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Annotated[
        tuple[tuple[FieldName, str], ...], BeforeValidator(_pairs), AfterValidator(_headers_once)
    ] = ()
    dates: Literal["dmy", "mdy", "ymd"] | None = None
    decimal: Literal[".", ","] | None = None
    zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    symbol: Annotated[str, Field(max_length=50, pattern=r"[A-Za-z0-9]")] | None = None
    exchange: Annotated[str, AfterValidator(_known_exchange)] | None = None
    interval: Literal["daily", "15m"] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    header: Literal["none"] | None = None
    resample: Literal["15m"] | None = None


NO_DECLARATION = Declaration()

TWICE = object()
"""What is said below a pattern that is there twice: nobody can know which is meant."""


class Declarations:
    """The declarations of a folder; the first pattern that matches a file's name counts."""

    def __init__(self, folder: Path) -> None:
        """Read `columns.yaml`, which may be missing."""
        self._entries: list[tuple[str, Declaration | str]] = []
        self.problem: str | None = None
        """Why nothing of `columns.yaml` is known: as it may be about any file, none is read until it is mended."""
        path = folder / DECLARATIONS_FILE
        if leaves(folder, path):
            self.problem = f"{DECLARATIONS_FILE} {LEAVING}"
        elif path.is_file():
            try:
                self._entries = [(pattern, _validate(pattern, told)) for pattern, told in _read(path)]
            except SourceError as error:  # raised for each file
                self.problem = str(error)

    def of(self, name: str) -> Declaration:
        """What is declared of a file.

        Raises:
            SourceError: naming the file, the key, its value, and the values that it may have.
        """
        found = self.problem or next(
            (entry for pattern, entry in self._entries if fnmatch(name, pattern)), NO_DECLARATION
        )
        if isinstance(found, str):
            raise SourceError(f"{name}: {found}")
        return found


def _read(path: Path) -> list[tuple[str, Any]]:
    """The entries of the file, with every value as it is written: ON is a symbol, and no truth value."""
    try:
        loader = yaml.BaseLoader(decode(path.read_bytes()))
        node = loader.get_single_node()
        told = loader.construct_document(node) if node else {}
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SourceError(f"{DECLARATIONS_FILE} cannot be read{line}: it is no YAML. {_wanted()}") from None
    except (OSError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no YAML. {_wanted()}"
        raise SourceError(f"{DECLARATIONS_FILE} cannot be read: {reason}") from None
    if not isinstance(told or {}, dict):
        raise SourceError(f"{DECLARATIONS_FILE} is not understood. {_wanted()}")
    patterns = [key.value for key, _ in node.value] if told else []
    return [(pattern, told[pattern] if patterns.count(pattern) == 1 else TWICE) for pattern in patterns]


def _validate(pattern: str, told: Any) -> Declaration | str:
    """The declaration of a pattern, or what is wrong with it, in one sentence."""
    if told is TWICE:
        return f"{DECLARATIONS_FILE}: {pattern!r} is there twice: write all of its keys below one of them"
    try:
        return Declaration.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
    if not first["loc"]:
        return f"{DECLARATIONS_FILE}: {pattern!r} is {told!r}: wanted keys below it: {_keys()}"
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"{DECLARATIONS_FILE}: {pattern!r} has the key {key!r}: known are {_keys()}"
    return f"{DECLARATIONS_FILE}: {key} of {pattern!r} is {told[key]!r}: {_WANTED[key]}"


def _wanted() -> str:
    return f"Wanted are patterns of file names, each with keys below it: {_keys()}"


def _keys() -> str:
    return ", ".join(Declaration.model_fields)
