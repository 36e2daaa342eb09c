"""Inspection: what the files of a folder are, for the person who put them there.

What belongs here: the findings about each file, and what is to be stated in `columns.yaml`.
Kept elsewhere: how a file is understood (`examination.py`), how the findings are shown (`cli/views/files.py`).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import polars as pl

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.cells import read_raw_bars
from boursomatic_assets.sources.files.declarations import Declaration, Declarations
from boursomatic_assets.sources.files.descriptions import read_descriptions
from boursomatic_assets.sources.files.examination import Examination, examine
from boursomatic_assets.sources.files.folder import list_files
from boursomatic_assets.sources.files.formats.contents import File

SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True)
class Finding:
    """What a file is.

    Attributes:
        file: its name.
        recognised: what it is; None: it is not understood.
        separator, decimal, dates, zone, interval: its notation, as far as it has one.
        symbols: the symbols and exchanges of its bars.
        first, last: the dates of its bars.
        rows: how many bars it has, good or bad.
        refused: rows that cannot be read by reason, each with their number and the first line.
        problem: why it is not understood.
        asks: what is to be stated of it, by key.
    """

    file: str
    recognised: str | None = None
    separator: str | None = None
    decimal: str | None = None
    dates: str | None = None
    zone: str | None = None
    interval: str | None = None
    symbols: tuple[tuple[str, str], ...] = ()
    first: dt.date | None = None
    last: dt.date | None = None
    rows: int = 0
    refused: tuple[tuple[str, int, int], ...] = ()
    problem: str | None = None
    asks: dict[str, str] = field(default_factory=dict)


def count_files(folder: Path) -> int:
    """How many files may hold bars."""
    return len(list_files(folder).files)


def inspect(folder: Path) -> Iterator[Finding]:
    """The finding about each file; of those that are none of bars, only what they are."""
    declarations, found = Declarations(folder), list_files(folder)
    for file in found.files:
        yield _inspect(file, declarations)
    for file in found.descriptions:
        told = read_descriptions(file)
        yield Finding(file.name, told.recognised, problem=told.problem)
    for name in found.passed_over:
        yield Finding(name, "passed over")


def _inspect(file: File, declarations: Declarations) -> Finding:
    try:
        declared = declarations.of(file.name)
        seen = examine(file, declared)
        refused = _refused(file, declared, seen)
    except SourceError as error:  # it is the finding
        return Finding(file.name, problem=str(error), asks=error.asks)
    listed = seen.listings.filter(pl.col("fault").is_null()).drop_nulls("exchange")
    return Finding(
        file.name,
        seen.recognised,
        SEPARATOR_NAMES[seen.layout.separator] if seen.kind == "text" else None,
        seen.decimal if seen.kind == "text" else None,
        seen.form,
        declared.zone or seen.layout.zone,
        seen.interval or "in a column",
        tuple(listed.select("symbol", "exchange").unique().sort("symbol").rows()),
        seen.first,
        seen.last,
        seen.counts["delivered"],
        refused,
    )


def _refused(file: File, declared: Declaration, seen: Examination) -> tuple[tuple[str, int, int], ...]:
    """Rows that cannot be read, by reason."""
    if seen.clean and not seen.sparse:
        return ()
    faulty = read_raw_bars(file, declared).drop_nulls("fault").group_by("fault")
    counted = faulty.agg(n=pl.len(), line=pl.col("line").min()).sort("line")
    return tuple(counted.rows())


def declarations_for(findings: Sequence[Finding]) -> str:
    """What is to be stated in `columns.yaml`, ready to paste; a value that a person must state is `UNSTATED`.

    Files of a folder with the same ending that all ask for the same are one pattern.
    """
    alike: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.recognised != "passed over":
            alike[str(PurePath(finding.file).parent), PurePath(finding.file).suffix].append(finding)
    entries: list[str] = []
    for (folder, suffix), group in alike.items():
        asks = group[0].asks
        if len(group) > 1 and asks and "symbol" not in asks and all(one.asks == asks for one in group):
            pattern = f"*{suffix}" if folder == "." else f"{folder}/*{suffix}"
            entries.append(_entry(pattern, asks))
        else:
            entries += [_entry(one.file, one.asks) for one in group if one.asks]
    return "".join(entries)


def _entry(pattern: str, asks: dict[str, str]) -> str:
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}":\n' + "".join(f"  {key}: {value}\n" for key, value in asks.items())
