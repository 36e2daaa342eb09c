"""Expectation: how often open recommendations are expected to be right, and how sure that is.

What belongs here: the expected hit rate of a group, with an interval from the group's own record; frames only.
Kept elsewhere: which recommendations are open, and the record (`tables/performance.py`), the outcome of one
(`outcomes.py`), intervals of a mean (`learning/evaluation/intervals.py`).

The open recommendations of a group are one draw of what the group did before: a *cohort* is the group's
recommendations of one session, whose hits depend on each other, since one market moves them all. The error of a
cohort is its hits per row less its mean confidence. Its square is, on average,

    between + within,    within = sum of confidence x (1 - confidence) / rows^2

where `within` is what independent hits would give, and `between` what the cohorts share, by the method of moments
(DerSimonian and Laird 1986, "Meta-analysis in clinical trials"); hits that keep each other's balance, as in thirds
of one session, give less than `within`, and then the open group has as much less. Errors are measured from 0: a
confidence that was always too high widens the interval too.

Horizons of neighbouring cohorts overlap, so n of them do not tell a variance as n independent ones would. The
squares of errors with h sessions in common tell as much as 1.5 for each stretch of h, so Student's t has that many
degrees of freedom.
"""

import math
from collections.abc import Iterator, Sequence

import polars as pl
from scipy.special import stdtrit

from boursomatic_assets.learning.evaluation.intervals import LEVEL
from boursomatic_assets.vocabulary import LABELS, PROFILES

LEAST_HORIZONS = 3
"""Horizons that do not overlap, below which a record is too short for an interval."""

PER_HORIZON = 1.5
"""Degrees of freedom for each of them: n / (1 + 2 sum of (1 - k / h)^2), over the lags k below h, is 1.5 n / h."""

ALL = "all"
"""The market and the label of a profile's total."""

GROUP = ("profile", "market", "label")

COHORT_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(GROUP, pl.String()),
    **dict.fromkeys(("session", "known_at"), pl.Datetime("us")),
    **dict.fromkeys(("rows", "hits"), pl.Int64()),
    **dict.fromkeys(("confidence", "variance"), pl.Float64()),
}
"""A cohort: its session and when its last outcome is known, then sums over its rows: of 1, of hits, of confidence,
of confidence x (1 - confidence). An open one has neither times nor hits."""

EXPECTED_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(GROUP, pl.String()),
    "n": pl.Int64(),
    **dict.fromkeys(("expected", "low", "high"), pl.Float64()),
    "note": pl.String(),
}


def expect_hits(open_rows: pl.DataFrame, record: pl.DataFrame) -> pl.DataFrame:
    """Return the expected hit rate of each group of open recommendations, and of all of a profile together.

    Args:
        open_rows: COHORT_SCHEMA, one row for each group.
        record: COHORT_SCHEMA, one row for each group and session, groups in a fixed order; only cohorts whose
            outcome is known.

    Returns:
        EXPECTED_SCHEMA: n rows are open; expected, a share; low and high, the ends of the interval of LEVEL, which
        is to hold the share that is right in the end; where the record is too short for it they are null, and
        `note` says so.
    """
    found = [_expect(key, is_open, cohorts) for key, is_open, cohorts in _groups(open_rows, record)]
    return pl.DataFrame(found, EXPECTED_SCHEMA, orient="row")


def _groups(
    open_rows: pl.DataFrame, record: pl.DataFrame
) -> Iterator[tuple[tuple[str, ...], pl.DataFrame, pl.DataFrame]]:
    """Yield each group's key, its open row and its cohorts by time; a profile's total comes after its groups."""
    for profile in PROFILES:
        is_open, was = (rows.filter(profile=profile) for rows in (open_rows, record))
        for market, label in sorted(is_open.select("market", "label").rows(), key=_place):
            own = {"market": market, "label": label}
            yield (profile, market, label), is_open.filter(**own), was.filter(**own).sort("session")
        if is_open.height > 1:
            yield (profile, ALL, ALL), _added(is_open), _added(was)


def _place(group: tuple[str, str]) -> tuple[str, int]:
    return group[0], LABELS.index(group[1])


def _added(rows: pl.DataFrame) -> pl.DataFrame:
    """Cohorts of several groups as one for each session, in order."""
    sums = pl.col("rows", "hits", "confidence", "variance").sum()
    return rows.group_by("session").agg(pl.col("known_at").max(), sums).sort("session")


def _expect(key: Sequence[str], is_open: pl.DataFrame, cohorts: pl.DataFrame) -> list[object]:
    """Return the row of EXPECTED_SCHEMA of one group."""
    rows, confidence, variance = is_open.select("rows", "confidence", "variance").row(0)
    expected, horizons = confidence / rows, _count_horizons(cohorts)
    if horizons < LEAST_HORIZONS:
        note = f"too short a record: {horizons} of {LEAST_HORIZONS} horizons that do not overlap"
        return [*key, rows, expected, None, None, note]
    margin = float(stdtrit(int(PER_HORIZON * horizons), (1 + LEVEL) / 2)) * _error(cohorts, variance / rows**2)
    return [*key, rows, expected, max(expected - margin, 0.0), min(expected + margin, 1.0), None]


def _error(cohorts: pl.DataFrame, within: float) -> float:
    """Return the root mean square that a cohort's error is expected to have, given what is within it."""
    error = (pl.col("hits") - pl.col("confidence")) / pl.col("rows")
    was, was_within = cohorts.select(
        (error**2).mean().alias("was"), (pl.col("variance") / pl.col("rows") ** 2).mean().alias("within")
    ).row(0)
    return math.sqrt(within + was - was_within if was >= was_within else within * was / was_within)


def _count_horizons(cohorts: pl.DataFrame) -> int:
    """Return how many cohorts follow each other without overlap: each begins when the one before is known."""
    count, known_at = 0, None
    for session, known in cohorts.select("session", "known_at").iter_rows():
        if known_at is None or session >= known_at:
            count, known_at = count + 1, known
    return count
