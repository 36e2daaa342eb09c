"""What `boursomatic files inspect` shows.

What belongs here: findings about files as a table and as JSON, and writing what is to be stated.
Kept elsewhere: the findings (`sources/files/inspection.py`).
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli.views.text import as_lines
from boursomatic_assets.sources import DECLARATIONS_FILE
from boursomatic_assets.sources.files.inspection import Finding
from boursomatic_assets.stores import streams

MAX_SYMBOLS = 3
"""Symbols that a line of the table names."""


def concerns(finding: Finding, market: str) -> bool:
    """Whether a file has instruments of a market, or may have some."""
    exchanges = MARKETS[market].exchanges
    return finding.problem is not None or any(exchange in exchanges for _, exchange in finding.symbols)


def as_table(findings: Sequence[Finding]) -> str:
    """The files with bars as a table; below it what is refused or asked, and what is passed over."""
    with_bars = [finding for finding in findings if finding.rows or finding.symbols]
    parts = [as_lines([_row(finding) for finding in with_bars])] if with_bars else []
    for finding in findings:
        for why, count, line in finding.refused:
            where = f"1 row, in line {line}" if count == 1 else f"{count:,} rows, the first in line {line}"
            parts.append(f"{finding.file}: {where}: {why}")
    parts += [finding.problem for finding in findings if finding.problem]
    others = [finding for finding in findings if finding.recognised and finding not in with_bars]
    if others:
        parts.append(f"no bars: {', '.join(f'{one.file} ({one.recognised})' for one in others)}")
    return "\n".join(parts) if parts else "no file"


def _row(finding: Finding) -> dict[str, str]:
    names = [symbol for symbol, _ in finding.symbols[:MAX_SYMBOLS]]
    more = len(finding.symbols) - len(names)
    notation = (finding.separator, finding.decimal and f"decimal {finding.decimal}", finding.dates, finding.zone)
    return {
        "file": finding.file,
        "recognised as": finding.recognised or "",
        "notation": ", ".join(filter(None, notation)),
        "interval": finding.interval or "",
        "symbols": ", ".join(names) + (f" and {more} more" if more else ""),
        "first": str(finding.first or ""),
        "last": str(finding.last or ""),
        "rows": f"{finding.rows:,}",
    }


def as_json(findings: Sequence[Finding]) -> str:
    """The findings as a JSON array."""
    return json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2, default=str)


def write_declarations(folder: Path, stated: str) -> Path:
    """Add what is to be stated to the end of `columns.yaml`, and return its path."""
    path = folder / DECLARATIONS_FILE
    before = path.read_bytes() if path.is_file() else b""
    separated = before + (b"" if not before or before.endswith(b"\n") else b"\n")
    streams.write(path, separated + stated.encode())
    return path
