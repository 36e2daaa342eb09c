"""What the command line shows of the track record.

What belongs here: its figures, what is expected of open recommendations and the shadow record, as text and as
JSON. Kept elsewhere: the figures (`tables/performance.py`), the shadow record (`audit/shadow_record.py`), options
(`cli/results.py`).
"""

import datetime as dt
import json
from typing import Any

import polars as pl

from boursomatic_assets import database
from boursomatic_assets.audit.shadow_record import TOLERANCE, RankIC, ShadowRecord, read_shadow_records
from boursomatic_assets.cli.views.text import as_lines, as_text_table, number
from boursomatic_assets.learning.evaluation.intervals import LEVEL
from boursomatic_assets.tables import performance
from boursomatic_assets.tables.performance import PerformanceFigures, to_percent_text

MAX_VIOLATIONS = 20
"""Rows of a profile that do not follow from the stored ones and are shown."""

NONE_YET = "no recommendation has reached the end of its horizon: run `boursomatic backfill` to a later date"

NO_BINS = "no recommendation with a view has an outcome yet, so no hit rate by confidence is known"


def track_record(profile: str | None = None, market: str | None = None) -> PerformanceFigures:
    """The figures of past recommendations, of all profiles and markets or of one.

    Raises:
        ValueError: No horizon has ended yet.
    """
    with database.engine().connect() as connection:
        found = performance.measure(connection, profile, market)
    if found.labels.is_empty():
        raise ValueError(NONE_YET)
    return found


def as_table(found: PerformanceFigures) -> str:
    """Figures of past recommendations as two tables, and the expected calibration error."""
    lines = [as_text_table(to_percent_text(found.labels))]
    lines.append(NO_BINS if found.bins.is_empty() else as_text_table(to_percent_text(found.bins)))
    if found.calibration_error is not None:
        lines.append(f"expected calibration error {found.calibration_error:.3f}")
    return "\n".join(lines)


def as_json(found: PerformanceFigures) -> str:
    """Figures of past recommendations as a JSON object; shares are fractions, returns are in percent."""
    tables = {"labels": found.labels.to_dicts(), "bins": found.bins.to_dicts()}
    return json.dumps({**tables, "calibration_error": found.calibration_error}, indent=2)


def expected(profile: str | None = None, market: str | None = None, date: dt.date | None = None) -> pl.DataFrame:
    """How many of the open recommendations are expected to be right, now or as of a date."""
    until = dt.datetime.combine(date + dt.timedelta(1), dt.time()) if date else dt.datetime.max
    with database.engine().connect() as connection:
        return performance.measure_expected(connection, profile, market, until)


def expected_as_table(found: pl.DataFrame) -> str:
    """Expected hit rates as a table, and what the interval is."""
    if found.is_empty():
        return "no open recommendation gives a view"
    meaning = f"low, high: in {LEVEL:.0%} of cases the share that is right in the end is to be between them"
    return f"{as_lines(to_percent_text(found).to_dicts())}\n{meaning}"


def shadow_records() -> list[ShadowRecord]:
    """The shadow record of each profile.

    Raises:
        ValueError: No horizon has ended yet.
    """
    with database.engine().connect() as connection:
        found = read_shadow_records(connection)
    if not found:
        raise ValueError(NONE_YET)
    return found


def shadow_as_text(found: list[ShadowRecord]) -> str:
    """Shadow records as lines: what they are of, both rank ICs, and what does not follow from the stored rows."""
    lines = list[str]()
    for record in found:
        lines += [
            f"{record.profile}: {record.rows:,} scores and outcomes of {record.dates:,} dates in"
            f" {record.months:,} months, {record.horizon} sessions ahead",
            f"  rank IC of the score           {_rank_ic_as_text(record.score)}",
            f"  rank IC of the expected return {_rank_ic_as_text(record.expected)}",
            *(f"  {line}" for line in _verdict(record)),
        ]
        lines += [f"  {id}: {reason}" for id, reason in record.violations.head(MAX_VIOLATIONS).rows()]
        if (more := record.violations.height - MAX_VIOLATIONS) > 0:
            lines.append(f"  and {more:,} more")
    return "\n".join(lines)


def shadow_as_json(found: list[ShadowRecord]) -> str:
    """Shadow records as a JSON array."""
    return json.dumps(
        [
            {
                "profile": record.profile,
                "horizon_days": record.horizon,
                "rows": record.rows,
                "months": record.months,
                "dates": record.dates,
                "score": _rank_ic_as_dict(record.score),
                "expected_return_pct": _rank_ic_as_dict(record.expected),
                "violations": record.violations.to_dicts(),
                "holds": record.holds,
            }
            for record in found
        ],
        indent=2,
    )


def _verdict(record: ShadowRecord) -> list[str]:
    if record.holds:
        return ["ok"]
    differ = [] if record.agrees else [f"FAIL: they differ by more than {TOLERANCE}"]
    rows = record.violations.height
    return [*differ, *([f"FAIL: {rows:,} rows do not follow from the stored ones"] if rows else [])]


def _rank_ic_as_text(found: RankIC | None) -> str:
    if found is None:
        return "none: too few instruments"
    if found.estimate is None:
        return f"{number(found.mean, 4)}, too few dates for an interval"
    low, high = found.estimate.interval
    return f"{number(found.mean, 4)}, {LEVEL:.0%} interval {number(low, 4)} to {number(high, 4)}"


def _rank_ic_as_dict(found: RankIC | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"rank_ic": found.mean, "interval": found.estimate.interval if found.estimate else None}
