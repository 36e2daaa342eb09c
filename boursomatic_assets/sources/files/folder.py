"""The folder: which files there are, which of them are none of bars, and what folders say of those below.

What belongs here: walking through it, names that are passed over, symbols that folders name.
Kept elsewhere: what is in a file (`contents.py`).
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from boursomatic_assets.sources import DECLARATIONS_FILE
from boursomatic_assets.sources.files.contents import File, is_hidden, members, printable
from boursomatic_assets.sources.symbols import canonical, read_listing

NO_BARS = re.compile(
    r"(?i)^(readme|licen[cs]e|changelog|desktop\.ini|thumbs\.db|_success|(sha\d+|md5)sums?|checksums?|~\$)"
    r"|\.(md|rst|yaml|yml|ini|log|pdf|html?|png|jpe?g|gif|svg|py|ipynb|sh|sql|crc|md5|sha\d+|sig|asc|lnk|url)$"
)
"""Names of files that are none of bars, whatever is in them."""

NO_SYMBOLS = frozenset(
    (
        *("BARS", "BOOK", "COPY", "CSV", "DAILY", "DATA", "DAY", "DAYS", "DUMP", "EOD", "EQUITY", "EU", "EUR"),
        *("EXPORT", "FILE", "FILES", "FR", "FULL", "HIST", "INDEX", "LIST", "MAIN", "MISC", "NEW", "NL", "NYSE"),
        *("OHLC", "OHLCV", "OLD", "OTHER", "OUT", "PARIS", "PART", "PRICE", "QUOTE", "RAW", "SAMPLE", "SHARE"),
        *("SHEET", "STOCK", "STOOQ", "TABLE", "TEMP", "TEST", "TMP", "TRADE", "UK", "US", "USA", "USD", "YAHOO"),
        "YEAR",
    )
)
"""Ordinary words that look like American symbols."""


@dataclass(frozen=True)
class Folder:
    """What is in a folder and the folders below it.

    Attributes:
        files: those that may hold bars, members of archives by themselves, in order of their names.
        passed_over: names of the others.
        descriptions: files that describe instruments.
    """

    files: tuple[File, ...]
    passed_over: tuple[str, ...]
    descriptions: tuple[File, ...]


def list_files(folder: Path) -> Folder:
    """Walk through a folder; what may not be entered or opened becomes a file with a problem."""
    files: list[File] = []
    passed_over: list[str] = []
    descriptions: list[File] = []
    for found in _walk(folder):
        for file in members(found) if not found.problem else [found]:
            name = PurePath(file.name)
            if is_hidden(name) or NO_BARS.search(name.name) or name.name == DECLARATIONS_FILE:
                if file.name != DECLARATIONS_FILE:
                    passed_over.append(file.name)
            elif name.stem.lower() == "instruments":
                descriptions.append(file)
            else:
                files.append(file)
    files.sort(key=lambda file: file.name)
    return Folder(tuple(_with_folder_names(files)), tuple(sorted(passed_over)), tuple(descriptions))


def _walk(folder: Path) -> Iterator[File]:
    """All files; links are followed, a folder is entered once."""
    errors: list[OSError] = []
    entered: dict[str, str] = {}
    for here, below, names in os.walk(folder, onerror=errors.append, followlinks=True):
        inside = Path(here)
        first = entered.setdefault(os.path.realpath(here), here)
        if first != here:
            below.clear()
            yield _told(folder, inside, f"is a link to {_name(folder, Path(first))}, which is read already")
            continue
        below.sort()
        for name in sorted(names):
            yield _file(folder, inside / name)
    for error in errors:
        yield _told(folder, Path(error.filename), f"may not be entered: {error.strerror}")


def _file(folder: Path, path: Path) -> File:
    try:
        stat = path.stat()
    except OSError as error:
        reason = "is a link to nothing" if path.is_symlink() else f"may not be opened: {error.strerror}"
        return _told(folder, path, reason)
    if not path.is_file():
        return _told(folder, path, "is neither a file nor a folder")
    return File(_name(folder, path), path, stat.st_size, stat.st_mtime_ns)


def _told(folder: Path, path: Path, problem: str) -> File:
    return File(_name(folder, path), path, problem=problem)


def _name(folder: Path, path: Path) -> str:
    return printable(str(path.relative_to(folder)))


def _with_folder_names(files: list[File]) -> Iterator[File]:
    """The files with what their folders say: `symbol=KO/`, or KO of `KO/prices.csv` beside `IBM/prices.csv`."""
    siblings: dict[tuple[PurePath, str], list[PurePath]] = defaultdict(list)
    for file in files:
        path = PurePath(file.name)
        siblings[path.parent.parent, path.name].append(path)
    for file in files:
        path = PurePath(file.name)
        says = dict(part.split("=", 1) for part in path.parts[:-1] if re.fullmatch(r"\w+=.+", part))
        alike = siblings[path.parent.parent, path.name]
        if "symbol" not in says and len(alike) > 1 and _name_symbols([other.parent.name for other in alike]):
            says["symbol"] = path.parent.name
        yield replace(file, says=tuple(says.items())) if says else file


def _name_symbols(folders: list[str]) -> bool:
    """Whether folders are named after symbols, and not after markets, years or first letters."""
    return all(may_name_symbol(name) for name in folders) and any(len(name) > 1 for name in folders)


def may_name_symbol(name: str) -> bool:
    """Whether the name of a file or folder is a symbol that says its exchange, and no ordinary word."""
    return canonical(name) not in NO_SYMBOLS and read_listing(name).exchange is not None
