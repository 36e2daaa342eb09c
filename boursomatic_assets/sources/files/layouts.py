"""Layouts: what the columns of a file mean, by the words of its headers and never by the file's name.

What belongs here: headers of one, two and three lines, Stooq without any, separators, and whose bars they are.
Kept elsewhere: formats of times (`stamps.py`), compression (`contents.py`), folders (`source.py`).
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError

FIELDS = {
    "ts": ("ts", "date", "datetime", "timestamp", "day"),
    "clock": ("time",),
    "symbol": ("symbol", "ticker"),
    "exchange": ("exchange",),
    "interval": ("interval", "per"),
    "o": ("o", "open", "ouverture"),
    "h": ("h", "high", "haut", "plus haut"),
    "l": ("l", "low", "bas", "plus bas"),
    "c": ("c", "close", "last", "clôture", "cloture", "dernier"),
    "v": ("v", "volume", "vol"),
}
"""Our names and what vendors call them, French ones too; small letters, without <>. An adjusted close is none."""

_FIELD_OF_WORD = {word: field for field, words in FIELDS.items() for word in words}
NEEDED = ("ts", *"ohlcv")

STOOQ = ("<TICKER>", "<PER>", "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>", "<OPENINT>")
STOOQ_ZONE = "Europe/Warsaw"
"""Stooq's intraday clock: wall time, whatever the market."""
_STOOQ_PERIODS = ("D", "W", "M", "1", "5", "15", "30", "60", "H")

EURONEXT_SUFFIXES = ("PA", "AS", "BR", "LS")
"""Yahoo's suffixes of Euronext's four cities."""


@dataclass(frozen=True)
class Declaration:
    """What `columns.yaml` declares of a file, where its cells do not show it.

    Attributes:
        columns: our field -> the file's header, for headers that FIELDS does not know.
        dates: dmy or mdy.
        zone: of wall times without an offset.
        symbol, exchange, interval: of every row of the file.
    """

    columns: tuple[tuple[str, str], ...] = ()
    dates: str | None = None
    zone: str | None = None
    symbol: str | None = None
    exchange: str | None = None
    interval: str | None = None


@dataclass(frozen=True)
class Layout:
    """How a file's lines are read.

    Attributes:
        separator: between cells.
        skipped: lines before the first bar.
        headers: the names of the columns, each once.
        series: for each instrument that has columns of its own, its symbol and which column each field is; a
            file of one row per bar is one series, whose symbol may be None: then it is in a column.
        zone: of wall times without an offset.
    """

    separator: str
    skipped: int
    headers: tuple[str, ...]
    series: tuple[tuple[str | None, dict[str, str]], ...]
    zone: str = "UTC"


def recognise_layout(lines: Sequence[str], name: str, declared: Declaration) -> Layout:
    """The layout of a file, from its first three lines.

    Raises:
        SourceError: naming the file, what was found and what is expected.
    """
    if not lines or not "".join(lines).strip():
        raise SourceError(f"{name}: cannot be read as csv: it is empty")
    separator = max(",;\t|", key=lines[0].count)
    rows = [_split_line(line, separator) for line in lines[:3]]
    if _is_stooq_without_header(rows[0]):
        return layout_of_columns(STOOQ[: len(rows[0])], separator, 0, name, declared)
    if len(rows) == 3 and _field_of(rows[2][0]) == "ts" and not any(rows[2][1:]):
        return _layout_of_wide_file(rows, separator, name)
    return layout_of_columns(rows[0], separator, 1, name, declared)


def _split_line(line: str, separator: str) -> list[str]:
    """A line's cells, without the blanks around them; at least one."""
    cells = next(csv.reader([line.lstrip("\N{BOM}").rstrip("\r\n")], delimiter=separator), [])
    return [cell.strip() for cell in cells] or [""]


def _is_stooq_without_header(cells: list[str]) -> bool:
    """Stooq's ten cells, a period second and a date third, and no header above them."""
    return len(cells) in (9, 10) and cells[1] in _STOOQ_PERIODS and bool(re.fullmatch(r"\d{8}", cells[2]))


def _field_of(header: str) -> str | None:
    return _FIELD_OF_WORD.get(header.strip('<> "').lower())


def layout_of_columns(
    headers: Sequence[str], separator: str, skipped: int, name: str, declared: Declaration
) -> Layout:
    """One row per bar, under one header or under none."""
    declared_fields = {header: field for field, header in declared.columns}
    columns: dict[str, str] = {}
    unique = tuple(header if headers.index(header) == n else f"{header}.{n}" for n, header in enumerate(headers))
    for header in unique:
        if field := declared_fields.get(header) or _field_of(header):
            columns.setdefault(field, header)
    if missing := [field for field in NEEDED if field not in columns]:
        wanted = ", ".join(f"{field} ({' or '.join(FIELDS[field])})" for field in missing)
        raise SourceError(
            f"{name}: the columns {missing} are missing; found {list(headers)}, wanted {wanted}:"
            f" name them under `columns:` in {DECLARATIONS_FILE}"
        )
    symbol = declared.symbol or (None if "symbol" in columns else symbol_from_name(name))
    stooq = any(header.startswith("<") for header in headers)
    return Layout(separator, skipped, unique, ((symbol, columns),), STOOQ_ZONE if stooq else "UTC")


def _layout_of_wide_file(rows: list[list[str]], separator: str, name: str) -> Layout:
    """Two header lines above a line that names the time alone: fields over symbols, or symbols over fields."""
    top, below, last = rows
    width = max(map(len, rows))
    top, below = ([*cells, *[""] * (width - len(cells))] for cells in (top, below))
    fields, symbols = (top, below) if sum(map(bool, map(_field_of, top[1:]))) > width // 2 else (below, top)
    headers = (
        last[0],
        *(f"{field} {symbol} {n}" for n, (field, symbol) in enumerate(zip(fields[1:], symbols[1:], strict=True))),
    )
    series: dict[str, dict[str, str]] = {}
    for header, field, symbol in list(zip(headers, fields, symbols, strict=True))[1:]:
        if (name_of_field := _field_of(field)) and symbol:
            series.setdefault(symbol, {"ts": last[0]}).setdefault(name_of_field, header)
    complete = {symbol: columns for symbol, columns in series.items() if set(NEEDED) <= set(columns)}
    if not complete:
        raise SourceError(
            f"{name}: found {fields[1:6]} of {symbols[1:6]}, wanted open, high, low, close and volume of a symbol"
        )
    return Layout(separator, 3, headers, tuple(complete.items()))


def symbol_from_name(name: str) -> str:
    """The symbol that a file is named after: all of its name, or what follows the last two underscores.

    Raises:
        SourceError: the name is no symbol.
    """
    stem = re.sub(r"(\.(csv|txt|tsv|parquet|gz|zip))+$", "", PurePath(name).name, flags=re.IGNORECASE)
    symbol = stem.rpartition("__")[2].upper()
    if not re.fullmatch(r"[A-Z0-9^][A-Z0-9.^=-]{0,14}", symbol):
        raise SourceError(
            f"{name}: no column names the symbol, and {stem!r} is none: name the file after it, or state"
            f" `symbol:` for it in {DECLARATIONS_FILE}"
        )
    return symbol


def split_symbol(symbol: str) -> tuple[str, str]:
    """A vendor's symbol as ours, and its exchange by the suffix: AAPL.US is AAPL of US, MC.PA is of EURONEXT.

    Without a suffix it is an American one; a class of shares (BRK.B, BRK-B) is no suffix. An exchange of no
    market here is named by its suffix, and rejected by the contract.
    """
    head, dot, suffix = symbol.rpartition(".")
    if suffix in EURONEXT_SUFFIXES and dot:
        return symbol, MARKETS["EURONEXT"].exchanges[0]
    if suffix == "US" and dot:
        return head.replace("-", "."), "US"
    if dot and (len(suffix) > 1 or suffix in "LFT"):
        return symbol, suffix
    return symbol.replace("-", "."), "US"
