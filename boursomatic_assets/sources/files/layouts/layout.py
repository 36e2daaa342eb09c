"""The layout of a file: which columns it has, and whose bars they are.

What belongs here: columns under one header, the symbol that the file's name or its folder says.
Kept elsewhere: where the headers are (`recognition.py`), what vendors call a column (`fields.py`), names of
symbols (`sources/symbols.py`), folders (`files/folder.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.folder import may_name_symbol, stem_of
from boursomatic_assets.sources.files.layouts.fields import (
    MEANINGS,
    NEEDED,
    columns_by_field,
    vendor_of,
    word_of,
)

STOOQ_ZONE = "Europe/Warsaw"
"""Stooq's intraday clock: wall time, whatever the market."""

OWN_ZONE = "UTC"
"""The zone of the platform's own layout, known by its column `ts`."""

LINE, FAULT = "line", "fault"
"""The columns that say a row's number in its file, and why it cannot be read; null for all others."""

RESERVED = (LINE, FAULT)

WORDS = ("symbol", "exchange", "interval", "ts")
"""The fields whose cells say the same again and again."""


@dataclass(frozen=True)
class Layout:
    """How a file's rows are read.

    Attributes:
        separator: between cells.
        skipped: lines before the first bar.
        headers: the names of the columns, each once.
        series: for each instrument that has columns of its own, its symbol and which column each field is; a
            file of one row per bar is one series, whose symbol may be None: then it is in a column.
        zone: of wall times without an offset; None: nothing says it.
        empty: columns at the end that have neither header nor cells; a cell there is one too many.
        fewest: cells of a whole line, if most lines leave needless ones away at their end; None: all of them.
        vendor: whose layout it is, as far as that is known.
        of_folder: pairs of a column that the file has not, and its value in all rows, as the folder says.
    """

    separator: str
    skipped: int
    headers: tuple[str, ...]
    series: tuple[tuple[str | None, dict[str, str]], ...]
    zone: str | None = None
    empty: tuple[str, ...] = ()
    fewest: int | None = None
    vendor: str | None = None
    of_folder: tuple[tuple[str, str], ...] = ()

    @property
    def whole(self) -> int:
        """How many cells a whole line has at least."""
        return self.fewest or len(self.headers) - len(self.empty)

    @property
    def words(self) -> set[str]:
        """The headers of cells that say the same again and again; a date whose clock is apart is no such cell."""
        pairs = [(field, header) for _, columns in self.series for field, header in columns.items()]
        fields = WORDS[:-1] if "clock" in dict(pairs) else WORDS
        others = {header for field, header in pairs if field not in fields}
        return {header for field, header in pairs if field in fields} - others


def unique_names(headers: Sequence[str]) -> tuple[str, ...]:
    """Headers, each once and none of RESERVED: one that is taken gets its number behind it."""
    names: list[str] = []
    for number, header in enumerate(headers):
        name = header
        while name in names or name in RESERVED:
            name += f".{number}"
        names.append(name)
    return tuple(names)


def layout_of_columns(
    headers: Sequence[str],
    separator: str,
    skipped: int,
    name: str,
    declared: Declaration,
    says: dict[str, str] | None = None,
) -> Layout:
    """One row per bar, under one header or under none.

    Raises:
        SourceError: a column is missing, two claim to be the same, or nothing names the symbol.
    """
    unique = unique_names(headers)
    columns = columns_by_field(headers, unique, name, declared)
    of_folder = (("date of the folder", says["ts"]),) if says and "ts" in says and "ts" not in columns else ()
    if of_folder:
        columns["ts"] = of_folder[0][0]
    if "ts" not in columns and "clock" in columns:
        columns["ts"] = columns.pop("clock")
    if missing := [field for field in NEEDED if field not in columns]:
        wanted = ", ".join(f"{MEANINGS[field]} (`{field}`)" for field in missing)
        raise SourceError(
            f"{name}: no column is known as {wanted}; found {', '.join(headers[:30])}: name them under"
            f" `columns:` in {DECLARATIONS_FILE}",
            columns="{" + ", ".join(f"{field}: {UNSTATED}" for field in missing) + "}  # our field: the header",
        )
    symbol = declared.symbol or (None if "symbol" in columns else _symbol_of_names(name, says or {}))
    stooq = {"ticker", "per", "date"} <= set(map(word_of, headers)) and headers[0].startswith("<")
    zone = STOOQ_ZONE if stooq else OWN_ZONE if columns["ts"] == "ts" else None
    vendor = vendor_of(headers, stooq)
    return Layout(separator, skipped, unique, ((symbol, columns),), zone, vendor=vendor, of_folder=of_folder)


def _symbol_of_names(name: str, says: dict[str, str]) -> str:
    """The symbol that the file's name or its folder says."""
    if "unclear" in says:
        raise SourceError(
            f"{name}: no column names the symbol, and it may be {says['unclear']}: state `symbol:` for it in"
            f" {DECLARATIONS_FILE}"
        )
    return says.get("symbol") or symbol_from_name(name)


def symbol_from_name(name: str) -> str:
    """The symbol that a file is named after: all of its name, or what follows the last two underscores.

    Raises:
        SourceError: the name is no symbol that says its exchange, or an ordinary word.
    """
    stem = stem_of(name)
    symbol = stem.rpartition("__")[2]
    if not may_name_symbol(symbol):
        raise SourceError(
            f"{name}: no column names the symbol, and {stem!r} is none: name the file after it, or state"
            f" `symbol:` for it in {DECLARATIONS_FILE}",
            symbol=UNSTATED,
        )
    return symbol
