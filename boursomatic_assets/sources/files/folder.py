"""The folder: which files there are, which of them are none of bars, and what folders say of those below.

What belongs here: walking through it, names that are passed over, symbols that folders name.
Kept elsewhere: what is in a file (`formats/`).
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from urllib.parse import unquote

from boursomatic_assets import settings
from boursomatic_assets.sources import DECLARATIONS_FILE
from boursomatic_assets.sources.files.formats.contents import File, is_hidden, members, printable
from boursomatic_assets.sources.symbols import canonical, read_listing

NO_BARS = re.compile(
    r"(?i)^(read[ _-]?me|lisez|licen[cs]e|changelog|desktop\.ini|thumbs\.db|_success|_(common_)?metadata$"
    r"|(sha\d+|md5)sums?|checksums?|~\$)"
    r"|\.(md|rst|yaml|yml|ini|log|pdf|html?|png|jpe?g|gif|svg|py|ipynb|sh|sql|crc|md5|sha\d+|sig|lnk|url)$"
    r"|\.\w{3,7}\.asc$"  # a signature; an .asc by itself may be bars
)
"""Names of files that are none of bars, whatever is in them."""

LEAVING = "is a link that leaves the folder: set BOURSOMATIC_FOREIGN_LINKS=1 if it is to be followed"

_ENDINGS = re.compile(
    r"(?i)(\.(csv|txt|tsv|psv|dat|asc|parquet|pq|arrow|feather|ipc|jsonl?|ndjson|xlsx?|ods|gz|bz2|xz|zip))+$"
)

_WORDS = """
APRIL ARRAY BAR BARS BATCH BOOK CAC CHUNK CLEAN CLOSE COPY CSV DAILY DATA DAX DAY DAYS DB DEMO DF DUMMY DUMP EOD
EQUITY ETF ETFS EU EUR EXPORT FEED FILE FILES FINAL FR FULL FUND FUNDS HIGH HIST HOUR HOURS INDEX INPUT ITEM JSON
JULY JUNE LIST LOG MAIN MARCH MERGE MIN MISC MONTH MY NAMES NEW NL NYSE OHLC OHLCV OLD OPEN ORDER OTHER OUT PAGE
PARIS PART PIVOT PRICE PX QUOTE RATES RAW ROWS SAMPLE SET SETS SHARE SHEET SOME SP SPLIT STOCK STOOQ TABLE TEMP
TEST TEXT TICK TICKS TIME TMP TODAY TRADE TRAIN TXT UK US USA USD VALUE WEEK WEEKS WORLD XLS XLSX YAHOO YEAR YEARS
"""
NO_SYMBOLS = frozenset(_WORDS.split())
"""Ordinary words that look like American symbols."""

_KEYS = {
    **dict.fromkeys(("symbol", "ticker"), "symbol"),
    **dict.fromkeys(("date", "ts", "trade_date", "trading_date"), "ts"),
    **{"exchange": "exchange", "interval": "interval"},
}
"""What folders such as `ticker=KO/` say, as our fields."""


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
    """All files; links within the folder are followed, and a folder is entered once."""
    errors: list[OSError] = []
    entered: dict[str, str] = {}
    for here, below, names in os.walk(folder, onerror=errors.append, followlinks=True):
        inside = Path(here)
        first = entered.setdefault(os.path.realpath(here), here)
        if first != here:
            below.clear()
            yield _told(folder, inside, f"is a link to {_name(folder, Path(first))}, which is read already")
            continue
        leaving = [name for name in below if leaves(folder, inside / name)]
        below[:] = sorted(set(below) - set(leaving))
        for name in sorted([*names, *leaving]):
            yield _file(folder, inside / name)
    for error in errors:
        yield _told(folder, Path(error.filename), f"may not be entered: {error.strerror}")


def leaves(folder: Path, path: Path) -> bool:
    """Whether a path is a link that leads out of the folder, which is not allowed unless a setting says so."""
    if not path.is_symlink() or settings.foreign_links():
        return False
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _file(folder: Path, path: Path) -> File:
    if leaves(folder, path):
        return _told(folder, path, LEAVING)
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
    for path in (PurePath(file.name) for file in files):
        siblings[path.parent.parent, path.name].append(path.parent)
    named = {
        folder
        for folders in siblings.values()
        if len(folders) > 1 and _name_symbols([folder.name for folder in folders])
        for folder in folders
    }
    for file in files:
        path = PurePath(file.name)
        parts = (part.split("=", 1) for part in path.parts[:-1] if re.fullmatch(r"\w+=.+", part))
        says = {_KEYS[key.lower()]: unquote(value) for key, value in parts if key.lower() in _KEYS}
        if "symbol" not in says and path.parent in named:
            stem = stem_of(file.name)
            unclear = may_name_symbol(stem) and canonical(stem) != canonical(path.parent.name)
            says |= {"unclear": f"{path.parent.name} or {stem}"} if unclear else {"symbol": path.parent.name}
        yield replace(file, says=tuple(says.items())) if says else file


def stem_of(name: str) -> str:
    """The name of a file without its folders and its endings."""
    return _ENDINGS.sub("", PurePath(name).name)


def _name_symbols(folders: list[str]) -> bool:
    """Whether folders are named after symbols, and not after markets, years or first letters."""
    return all(may_name_symbol(name) for name in folders) and any(len(name) > 1 for name in folders)


def may_name_symbol(name: str) -> bool:
    """Whether the name of a file or folder is a symbol that says its exchange, and no ordinary word."""
    word = re.sub("[-. /][A-Z]$", "", canonical(name))
    return word not in NO_SYMBOLS and read_listing(name).exchange is not None
