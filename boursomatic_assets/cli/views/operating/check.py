"""The findings of the checks as a table and as JSON.

What belongs here: one row for each check that does not pass, how many pass, what was looked at.
Kept elsewhere: which sessions are checked, and the words for them (`checks/`).
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.finding import Counts, Finding
from boursomatic_assets.checks.findings.results import name_sessions, sessions_of
from boursomatic_assets.checks.invariant import Invariant
from boursomatic_assets.cli.views.text import as_lines


@dataclass(frozen=True)
class Checked:
    """A check, and what it found in some slices."""

    rule: Invariant
    parts: Sequence[Slice]
    finding: Finding

    @property
    def result(self) -> str:
        """`error`, `warning` or `passed`."""
        return "error" if self.finding.errors else "warning" if self.finding.warnings else "passed"


def as_table(found: Sequence[Checked], *, of_range: bool) -> str:
    """The checks that do not pass with their sessions, errors first; then how many pass, and on which sessions.

    Args:
        found: The checks.
        of_range: Whether a range of sessions was asked for.
    """
    failed = sorted((one for one in found if one.result != "passed"), key=lambda one: one.result != "error")
    table = f"{as_lines([_row(one) for one in failed])}\n\n" if failed else ""
    none = "no loaded session in this range" if of_range else "no session is loaded"
    looked_at = _extent([part for one in found for part in one.parts]) or none
    return f"{table}{len(found) - len(failed):,} of {len(found):,} checks passed; {looked_at}"


def _row(one: Checked) -> dict[str, str]:
    elsewhere = _describe_sessionless(one.finding)
    sessions = name_sessions(sessions_of(one.finding))
    return {
        "result": one.result,
        "check": f"{one.rule.asset}.{one.rule.name}",
        "errors": f"{one.finding.errors:,}",
        "warnings": f"{one.finding.warnings:,}",
        "sessions": ", ".join(filter(None, (sessions, elsewhere))),
    }


def _describe_sessionless(finding: Finding) -> str:
    """Which violations belong to no session."""
    markets = [market for (market, session), _ in sorted(finding.by_session.items(), key=str) if session is None]
    whole = [] if finding.of_whole_table == Counts() else ["the whole table"]
    return ", ".join([*(f"{market} without a session" for market in markets), *whole])


def _extent(parts: Sequence[Slice]) -> str:
    """How many sessions of each market were looked at, from the first to the last; empty if there is none."""
    dates: dict[str, set[dt.date]] = {}
    for part in parts:
        dates.setdefault(part.market.name, set()).update(part.sessions)
    named = [
        f"{market} {min(sessions)} .. {max(sessions)} ({len(sessions):,} sessions)"
        for market, sessions in sorted(dates.items())
        if sessions
    ]
    return ", ".join(named)


def as_json(found: Sequence[Checked]) -> str:
    """Every check as one object of a JSON array, with the counts of each session and the other figures."""
    return json.dumps([_object(one) for one in found], indent=2, default=str)


def _object(one: Checked) -> dict[str, Any]:
    finding = one.finding
    sessions = [
        {"market": market, "session": session, "errors": counts.errors, "warnings": counts.warnings}
        for (market, session), counts in finding.by_session.items()
    ]
    return {
        "asset": one.rule.asset,
        "check": one.rule.name,
        "result": one.result,
        "errors": finding.errors,
        "warnings": finding.warnings,
        "sessions": sessions,
        "looked_at": [
            {"market": part.market.name, "from": part.dates[0], "to": part.dates[-1]} for part in one.parts
        ],
        "figures": dict(finding.figures),
    }
