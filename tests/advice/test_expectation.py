"""The expected hit rate of open recommendations, and whether its interval holds what comes out."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from boursomatic_assets.advice.expectation import ALL, COHORT_SCHEMA, EXPECTED_SCHEMA, expect_hits
from boursomatic_assets.arrays import Floats, Ints

HORIZON = 20
START = dt.datetime(2000, 1, 1)


def cohorts(label: str, hits: Ints, rows: Ints, confidence: float, market: str = "US") -> pl.DataFrame:
    """A cohort for each day, of which the horizon ends after HORIZON days."""
    session = pl.datetime_range(START, START + dt.timedelta(len(hits) - 1), "1d", time_unit="us", eager=True)
    return pl.DataFrame(
        {"session": session, "hits": hits, "rows": rows},
    ).select(
        **{"profile": pl.lit("moderate"), "market": pl.lit(market), "label": pl.lit(label), "session": "session"},
        known_at=pl.col("session") + pl.duration(days=HORIZON),
        rows="rows",
        hits="hits",
        confidence=pl.col("rows") * confidence,
        variance=pl.col("rows") * confidence * (1 - confidence),
    ).match_to_schema(COHORT_SCHEMA, integer_cast="upcast")  # fmt: skip


def as_open(cohort: pl.DataFrame) -> pl.DataFrame:
    """What is known of a cohort while it is open."""
    return cohort.with_columns(session=None, known_at=None, hits=None).cast(COHORT_SCHEMA)


def persistent_market(
    sessions: int, seed: int, *, keeps: float, shared: float, instruments: int = 200
) -> pl.DataFrame:
    """Cohorts of the highest and of the lowest tenth of scores that hardly move, in a market that moves them all.

    The score of an instrument is what a factor moves it by. The factor's daily moves differ from 0 by a little on
    average, which is the skill; each confidence is the share that is right in the long run.
    """
    draw = np.random.default_rng(seed)
    steps = draw.normal(size=(sessions + HORIZON, instruments)) * np.sqrt(1 - keeps**2)
    scores = np.empty_like(steps)
    scores[0] = draw.normal(size=instruments)
    for day in range(1, len(scores)):
        scores[day] = keeps * scores[day - 1] + steps[day]
    moves = scores * draw.normal(0.02, shared, (len(scores), 1)) + draw.normal(size=scores.shape)
    levels = np.cumsum(moves, axis=0)
    outcome, rank = (ranks(values) for values in (levels[HORIZON:] - levels[:-HORIZON], scores[:-HORIZON]))
    found = []
    for label, is_advised, is_right in (
        ("BUY", rank > 0.9, outcome > 2 / 3), ("SELL", rank < 0.1, outcome < 1 / 3),
    ):  # fmt: skip
        hits, rows = (is_advised & is_right).sum(1), is_advised.sum(1)
        found.append(cohorts(label, hits, rows, float(hits.sum() / rows.sum())))
    return pl.concat(found)


def ranks(values: Floats) -> Floats:
    return (values.argsort(1).argsort(1) + 0.5) / values.shape[1]


@pytest.mark.slow
@pytest.mark.parametrize(("horizons", "keeps", "shared"), [(4, 0.98, 0.1), (12, 0.995, 0.3), (50, 0.98, 0.1)])
def test_the_interval_later_holds_85_to_95_percent(horizons: int, keeps: float, shared: float) -> None:
    """Scores persist, horizons overlap, one market moves all: of 100 intervals some 90 hold what comes out."""
    length, points = horizons * HORIZON, 300
    whole = persistent_market(length + points * HORIZON, 4, keeps=keeps, shared=shared)
    held = list[bool]()
    for point in range(points):
        now = START + dt.timedelta(length + point * HORIZON)
        current, oldest = whole.filter(session=now), now - dt.timedelta(length + HORIZON)
        happened = dict(current.select("label", pl.col("hits") / pl.col("rows")).rows())
        happened[ALL] = current["hits"].sum() / current["rows"].sum()
        known = whole.filter(pl.col("known_at") <= now, pl.col("session") > oldest)
        for row in expect_hits(as_open(current), known).iter_rows(named=True):
            held.append(row["low"] <= happened[row["label"]] <= row["high"])
    assert len(held) == 3 * points
    assert 0.85 <= np.mean(held) <= 0.95


def test_the_expected_rate_is_the_mean_confidence_of_a_group_and_of_a_profile() -> None:
    buys, sells = (cohorts(label, np.array([0]), np.array([rows]), confidence)
                   for label, rows, confidence in (("BUY", 3, 0.5), ("SELL", 1, 0.9)))  # fmt: skip
    found = expect_hits(as_open(pl.concat([sells, buys])), buys.clear())
    assert found.select("market", "label", "n", "expected").rows() == [
        ("US", "BUY", 3, 0.5), ("US", "SELL", 1, 0.9), (ALL, ALL, 4, pytest.approx(0.6)),
    ]  # fmt: skip
    assert expect_hits(as_open(buys), buys.clear())["market"].to_list() == ["US"], "it is all of its profile"


@pytest.mark.parametrize(("days", "known"), [(2 * HORIZON, False), (2 * HORIZON + 1, True)])
def test_a_record_of_fewer_than_three_horizons_is_too_short_and_says_so(days: int, known: bool) -> None:
    record = cohorts("BUY", np.full(days, 5), np.full(days, 10), 0.5)
    (row,) = expect_hits(as_open(record[-1:]), record).to_dicts()
    assert (row["low"] is not None, row["high"] is not None, row["note"] is None) == (known,) * 3
    assert known or row["note"] == "too short a record: 2 of 3 horizons that do not overlap"


def width(hits: Ints, rows: int = 10, confidence: float = 0.5, now: int = 10) -> float:
    record = cohorts("BUY", hits, np.full(len(hits), rows), confidence)
    open_now = cohorts("BUY", np.array([0]), np.array([now]), confidence)
    return float((expect_hits(as_open(open_now), record).select(pl.col("high") - pl.col("low"))).item())


def test_an_interval_is_wider_where_cohorts_moved_together_or_were_always_wrong() -> None:
    """And narrower than by chance where they kept each other's balance; one row more knows little of many."""
    draw = np.random.default_rng(1)
    by_chance, balanced = width(draw.binomial(10, 0.5, 400)), width(np.full(400, 5) + np.arange(400) % 2)
    together = width(draw.choice([2, 8], 400))
    assert balanced < by_chance / 2 < by_chance < together / 1.5
    assert width(draw.binomial(10, 0.1, 400)) > 1.5 * by_chance, "a confidence of 0.5 that was 0.1"
    assert width(draw.choice([2, 8], 400), now=1000) > together / 1.5, "what moves all is in no mean"
    assert width(draw.binomial(10, 0.5, 400), now=1000) < by_chance / 2


def test_ends_are_shares() -> None:
    record = cohorts("BUY", np.arange(200) % 2, np.ones(200, dtype=int), 0.5)
    (row,) = expect_hits(as_open(record[-1:]), record).to_dicts()
    assert (row["low"], row["high"]) == (0, 1)


def test_nothing_open_expects_nothing() -> None:
    nothing = pl.DataFrame(schema=COHORT_SCHEMA)
    assert expect_hits(nothing, nothing).equals(pl.DataFrame(schema=EXPECTED_SCHEMA))
