"""What is told of a finding: one sentence, and what Dagster shows.

What belongs here: the words for counts and sessions, the tables of failing rows.
Kept elsewhere: how a result carries its sessions (`orchestration/session_counts.py`), the table on the command
line (`cli/views/operating/check.py`).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np

from boursomatic_assets.calendars.markets import market_named
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.finding import MAX_NAMED, Counts, Finding
from boursomatic_assets.orchestration.dagster_patches.steps import ResultOfManyPartitions
from boursomatic_assets.orchestration.session_counts import (
    BOTH_MARKETS,
    LOOKED_AT,
    SESSIONS,
    counts_table,
    sentence,
    table,
)

MAX_RANGES = 5
"""Ranges of sessions that a sentence names."""

Row = Mapping[str, Any] | str


def to_result(finding: Finding, looked_at: Sequence[Slice] | None = None) -> dg.AssetCheckResult:
    """A finding as the result of a check.

    Args:
        finding: The finding.
        looked_at: The slices that a run without partitions looked at; Dagster knows those of any other run.
    """
    metadata: dict[str, Any] = {"errors": finding.errors, "warnings": finding.warnings}
    if not finding.passed:
        metadata[SESSIONS] = counts_table({key: _pair(counts) for key, counts in _all_counts(finding).items()})
    for name, figure in finding.figures.items():
        if isinstance(figure, list):
            metadata |= {name: table(map(_as_row, figure[:MAX_NAMED]))} if figure else {}
        else:
            metadata[name] = figure
    if looked_at:
        ends = ((part.market.name, part.dates[0], part.dates[-1]) for part in looked_at)
        metadata[LOOKED_AT] = table(
            {"market": name, "from": str(first), "to": str(last)} for name, first, last in ends
        )
    kind = dg.AssetCheckResult if looked_at is None else ResultOfManyPartitions
    return kind(
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if finding.errors else dg.AssetCheckSeverity.WARN,
        description=describe(finding),
        metadata=metadata,
    )


def describe(finding: Finding) -> str:
    """One sentence with the counts of a finding and its sessions, e.g. `2 errors on 1 session: US 2024-06-10`."""
    counted = sentence((finding.errors, finding.warnings))
    named = sessions_of(finding)
    if not named:
        return counted
    elsewhere = "" if finding.of_whole_table == Counts() else ", and of the whole table"
    number = sum(map(len, named.values()))
    return f"{counted} on {number:,} session{'' if number == 1 else 's'}: {name_sessions(named)}{elsewhere}"


def sessions_of(finding: Finding) -> dict[str, list[dt.date]]:
    """The sessions with violations, by market and in order."""
    found = defaultdict(list)
    for market, session in sorted((market, session) for market, session in finding.by_session if session):
        found[market].append(session)
    return dict(found)


def name_sessions(sessions: Mapping[str, Sequence[dt.date]], limit: int = MAX_RANGES) -> str:
    """Sessions by market, those that follow each other as ranges, e.g. `US 2024-06-10 .. 2024-06-12, 2024-06-14`.

    Args:
        sessions: Sessions by market, in order.
        limit: How many ranges are named; the sessions of all others are counted.
    """
    ranges = [(market, part) for market, dates in sessions.items() for part in _ranges(market, dates)]
    parts = defaultdict(list)
    for market, part in ranges[:limit]:
        parts[market].append(" .. ".join(dict.fromkeys((str(part[0]), str(part[-1])))))
    named = [f"{market} {', '.join(ends)}" for market, ends in parts.items()]
    left = sum(len(part) for _, part in ranges[limit:])
    return "; ".join([*named, *([f"{left:,} more"] if left else [])])


def _ranges(market: str, dates: Sequence[dt.date]) -> list[list[dt.date]]:
    """The dates in parts without a session of the market between them."""
    ordered = np.array(dates, dtype="datetime64[D]")
    places = np.searchsorted(market_named(market).sessions(), ordered)
    return [part.tolist() for part in np.split(ordered, np.flatnonzero(np.diff(places) > 1) + 1)]


def _all_counts(finding: Finding) -> dict[tuple[str, dt.date | None], Counts]:
    """The counts by session, with those of the whole table: together they are the totals."""
    rest = finding.of_whole_table
    return {**finding.by_session, **({} if rest == Counts() else {(BOTH_MARKETS, None): rest})}


def _pair(counts: Counts) -> tuple[int, int]:
    return counts.errors, counts.warnings


def _as_row(row: Row) -> dict[str, Any]:
    """A row of a table: a text is a row of one column."""
    if isinstance(row, str):
        return {"row": row}
    return {name: value if isinstance(value, int | float) else str(value) for name, value in row.items()}
