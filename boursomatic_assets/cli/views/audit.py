"""What the command line shows of recommendations that were made again, and of chains that were verified.

What belongs here: one of them beside the stored one, and how many of many came out identical; differences.
Kept elsewhere: options and exit codes (`cli/audit.py`), the replay (`audit/`).
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from boursomatic_assets.advice.signals import DECISION_COLUMNS
from boursomatic_assets.audit.replay import DIFFERS, IDENTICAL, NOT_REPLAYED
from boursomatic_assets.tables.chains.verification import Difference

MOST_SHOWN = 20
"""Rows that are shown one by one, of those that differ and of those that cannot be replayed."""


@dataclass
class Summary:
    """The results of many sessions: how many rows of each status, and those that are not identical.

    Attributes:
        counts: Rows by status.
        sessions: How many sessions they are of.
        remarkable: The first rows that are not identical, by status.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((IDENTICAL, DIFFERS, NOT_REPLAYED), 0))
    sessions: int = 0
    remarkable: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {DIFFERS: [], NOT_REPLAYED: []})

    @property
    def proved(self) -> bool:
        """Whether no row differs, and some row was replayed at all."""
        return not self.counts[DIFFERS] and self.counts[IDENTICAL] > 0

    def add(self, results: pl.DataFrame) -> None:
        """Count the rows of a session."""
        self.sessions += 1
        for status in self.counts:
            found = results.filter(pl.col("status") == status)
            self.counts[status] += found.height
            if status in self.remarkable:
                room = MOST_SHOWN - len(self.remarkable[status])
                self.remarkable[status] += found.head(room).to_dicts()

    def as_text(self) -> str:
        """One line that counts, and a paragraph for each row that differs or cannot be replayed."""
        total = sum(self.counts.values())
        lines = [
            f"{self.counts[IDENTICAL]:,} of {total:,} recommendations of {self.sessions:,} sessions are identical"
        ]
        for status, rows in self.remarkable.items():
            if self.counts[status]:
                lines.append(f"\n{self.counts[status]:,} {'differ' if status == DIFFERS else 'are not replayed'}:")
                lines += [f"{_title(row)}\n{_findings(row)}" for row in rows]
                if (more := self.counts[status] - len(rows)) > 0:
                    lines.append(
                        f"and {more:,} more: `boursomatic audit --all DATE MARKET` shows those of a session"
                    )
        return "\n".join(lines)

    def as_json(self) -> str:
        """Counts by status, and the rows that are not identical, the first of each status."""
        shown = [_row_fields(row) for rows in self.remarkable.values() for row in rows]
        counts = {status.replace(" ", "_"): rows for status, rows in self.counts.items()}
        return json.dumps({"sessions": self.sessions, **counts, "rows": shown}, indent=2)


def row_as_text(row: Mapping[str, Any]) -> str:
    """A recommendation: each number as it is stored and as it came out, then what is altered."""
    width = max(len(str(row[name])) for name in DECISION_COLUMNS)
    numbers = [f"  {'':<20}{'stored':<{width}}  replayed"]
    for name in DECISION_COLUMNS:
        stored, again = row[name], row[f"replayed_{name}"]
        mark = "" if stored == again else "   <- differs"
        numbers.append(f"  {name:<20}{stored!s:<{width}}  {again}{mark}")
    replayed = row["replayed_label"] is not None
    return "\n".join([_title(row), *(numbers if replayed else []), *filter(None, [_causes(row)])])


def row_as_json(row: Mapping[str, Any]) -> str:
    """A recommendation as a JSON object: its key, stored and replayed numbers, what is altered."""
    return json.dumps(_row_fields(row), indent=2)


def _row_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    key = ("id", "symbol", "exchange", "profile", "as_of", "generated_at", "superseded_at", "version", "status")
    fields = {name: row[name].isoformat() if isinstance(row[name], dt.datetime) else row[name] for name in key}
    return {
        **fields,
        "stored": {name: row[name] for name in DECISION_COLUMNS},
        "replayed": {name: row[f"replayed_{name}"] for name in DECISION_COLUMNS},
        "altered": row["altered"],
        "obstacle": row["obstacle"],
    }


def _title(row: Mapping[str, Any]) -> str:
    name = f"{row['symbol']}@{row['exchange']} {row['profile']}, session {row['as_of']:%Y-%m-%d}"
    past = f", superseded {row['superseded_at']:%Y-%m-%d %H:%M:%S} UTC" if row["superseded_at"] else ""
    return f"{row['id']}  {name}, by {row['version']}{past}: {row['status']}"


def _findings(row: Mapping[str, Any]) -> str:
    """What differs of a row, line by line."""
    differences = [
        f"  {name}: {row[name]} is stored, {row[f'replayed_{name}']} comes out"
        for name in DECISION_COLUMNS
        if row["replayed_label"] is not None and row[name] != row[f"replayed_{name}"]
    ]
    return "\n".join([*differences, *filter(None, [_causes(row)])])


def _causes(row: Mapping[str, Any]) -> str:
    causes = [*row["altered"], *([row["obstacle"]] if row["obstacle"] else [])]
    return "\n".join(f"  {cause}" for cause in causes)


def chains_as_text(counts: Mapping[str, int], differences: Sequence[Difference]) -> str:
    """What verification found: how many rows are in chains, and a line for each difference."""
    rows = ", ".join(f"{count:,} {table}" for table, count in sorted(counts.items())) or "no rows"
    if not differences:
        return f"{rows}: all are as they were written"
    return "\n".join([*map(str, differences), f"{rows}; {len(differences):,} differences"])


def chains_as_json(counts: Mapping[str, int], differences: Sequence[Difference]) -> str:
    """What verification found, as JSON: `rows` in chains by table, and `differences`."""
    found = [{**asdict(one), "time": one.time and one.time.isoformat()} for one in differences]
    return json.dumps({"rows": dict(counts), "differences": found}, indent=2)
