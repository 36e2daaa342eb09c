"""Curves and zones: what ranks were worth on a record, and what is said of ranks to come."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.calibration.curves import NO_SKILL, Curves, fit_curves
from boursomatic_assets.learning.calibration.record import RANK_CELLS, CellSums, MarketRecord
from boursomatic_assets.learning.calibration.zones import is_worth, measure_zones

MONDAY = dt.datetime(2024, 1, 1)
MIDDLES = (np.arange(RANK_CELLS) + 0.5) / RANK_CELLS


def session_rows(day: int, ranks: Floats, labels: list[str], returns: Floats) -> pl.DataFrame:
    """The rows of a session, known ten days later."""
    ts = MONDAY + dt.timedelta(day)
    return pl.DataFrame(
        {
            "score_rank": ranks,
            "label": labels,
            "relative_return": returns - returns.sum() / max(len(returns), 1),
            "forward_return": returns,
        }
    ).with_columns(ts=pl.lit(ts), known_at=pl.lit(ts + dt.timedelta(10)))


def drawn(skill: float, sessions: int = 300, instruments: int = 60, seed: int = 3) -> MarketRecord:
    """A record whose returns follow the score as much as `skill` says."""
    score, chance = np.random.default_rng(seed).normal(size=(sessions, 2, instruments)).swapaxes(0, 1)
    returns = 0.05 * (skill * score + chance)
    ranks, places = ((x.argsort().argsort() + 0.5) / instruments for x in (score, returns))
    days = np.arange(sessions).repeat(instruments).astype("timedelta64[D]")
    rows = {
        "ts": np.datetime64(MONDAY, "us") + days,
        "score_rank": ranks.ravel(),
        "label": np.select([places > 2 / 3, places < 1 / 3], ["BUY", "SELL"], "HOLD").ravel(),
        "relative_return": (returns - returns.mean(axis=1, keepdims=True)).ravel(),
        "forward_return": returns.ravel(),
    }
    return MarketRecord.from_rows(pl.DataFrame(rows).with_columns(known_at=pl.col("ts") + dt.timedelta(10)))


def whole(record: MarketRecord) -> CellSums:
    return record.before(dt.datetime.max)


def fit(sums: CellSums, prior: Curves = NO_SKILL, prior_sessions: int = 50) -> Curves:
    return fit_curves(sums, prior, prior_sessions, 500)


# --- the record


def test_the_sums_are_those_of_the_rows_known_before_a_cutoff() -> None:
    rows = pl.concat(
        [
            session_rows(0, np.array([0.02, 0.97, 0.99]), ["SELL", "BUY", "HOLD"], np.array([-0.1, 0.1, 0.03])),
            session_rows(1, np.array([0.5]), ["BUY"], np.array([0.2])),
        ]
    )
    record = MarketRecord.from_rows(rows)
    first, both = (record.before(MONDAY + dt.timedelta(10, seconds=1 + 86400 * days)) for days in (0, 1))
    assert record.before(MONDAY + dt.timedelta(10)).sessions == 0, "known at the cutoff is too late"
    assert (first.rows[0], first.rows[-1], first.rows.sum()) == (1, 2, 3)
    assert (first.worse[0], first.better[-1], first.better.sum()) == (1, 1, 1)
    assert first.relative_return[-1] == pytest.approx(0.1 + 0.03 - 2 * 0.01)
    assert (first.forward_return, both.forward_return) == (pytest.approx(0.03), pytest.approx(0.23))
    assert (first.sessions, both.sessions, both.rows[RANK_CELLS // 2]) == (1, 2, 1)


def test_rows_without_a_label_are_left_out_and_nothing_gives_nothing() -> None:
    rows = session_rows(0, np.array([0.5, 0.6]), ["BUY", "HOLD"], np.zeros(2))
    unknown = rows.with_columns(label=pl.lit(None, pl.String))
    assert MarketRecord.from_rows(unknown).before(dt.datetime.max).sessions == 0
    half = pl.concat([rows.head(1), unknown.tail(1)])
    assert whole(MarketRecord.from_rows(half)).rows.sum() == 1


def test_later_sessions_change_no_bit_of_earlier_sums() -> None:
    long, short = drawn(1.0, sessions=40), drawn(1.0, sessions=25)
    cutoff = MONDAY + dt.timedelta(20)
    assert long.before(cutoff).relative_return.tolist() == short.before(cutoff).relative_return.tolist()


def test_two_markets_add_up() -> None:
    us, euronext = whole(drawn(1.0, sessions=5)), whole(drawn(0.0, sessions=7, seed=9))
    both = us + euronext
    assert both.sessions == 12
    assert both.better == pytest.approx(us.better + euronext.better)
    assert both.forward_return == pytest.approx(us.forward_return + euronext.forward_return)


# --- curves


def test_without_a_record_there_are_thirds_and_no_return() -> None:
    blank = fit(whole(MarketRecord.from_rows(session_rows(0, np.empty(0), [], np.empty(0)))))
    assert blank.probabilities(np.array([0.0, 0.5, 1.0])) == pytest.approx(np.full((3, 3), 1 / 3))
    assert blank.expected_return(np.array([0.0, 1.0])) == pytest.approx([0, 0], abs=1e-5)


def test_probabilities_are_the_frequencies_where_the_record_is_long() -> None:
    sums = whole(drawn(0.7, sessions=1500))
    rates = sums.better / sums.rows, sums.worse / sums.rows
    said = fit(sums).probabilities(MIDDLES)
    assert said.sum(axis=1) == pytest.approx(1)
    assert said[:, 2] == pytest.approx(rates[0], abs=0.03)
    assert said[:, 0] == pytest.approx(rates[1], abs=0.03)


def test_the_curves_are_isotonic_regressions_of_the_means_drawn_to_the_prior() -> None:
    sums = whole(drawn(0.2, sessions=60))
    weight = 50 * 60 / RANK_CELLS
    drawn_means = (sums.better + weight / 3) / (sums.rows + weight)
    reference = IsotonicRegression().fit(MIDDLES, drawn_means, sample_weight=sums.rows + weight)
    assert np.array(fit(sums).better) == pytest.approx(reference.predict(MIDDLES))
    returns = sums.relative_return / (sums.rows + weight)
    reference = IsotonicRegression().fit(MIDDLES, returns, sample_weight=sums.rows + weight)
    assert np.array(fit(sums).relative_return) == pytest.approx(reference.predict(MIDDLES))


@pytest.mark.parametrize("skill", [-0.5, 0.0, 0.2, 2.0])
def test_a_higher_score_is_never_said_to_be_worse(skill: float) -> None:
    curves = fit(whole(drawn(skill, sessions=80)))
    ranks = np.linspace(0, 1, 501)
    chance, expected = curves.probabilities(ranks), curves.expected_return(ranks)
    assert (np.diff(chance[:, 2]) >= -1e-12).all()
    assert (np.diff(chance[:, 0]) <= 1e-12).all()
    assert (np.diff(expected) > 0).all(), "no two ranks have the same expected return"
    assert (chance >= 0).all()


def test_a_score_that_ranks_the_wrong_way_says_nothing() -> None:
    curves = fit(whole(drawn(-1.0, sessions=200)))
    assert np.ptp(curves.better) < 0.02
    assert np.ptp(curves.relative_return) < 0.01


def test_the_two_ends_are_fitted_apart() -> None:
    """A record in which low scores tell much, and high ones nothing."""
    sums = whole(drawn(0.0, sessions=500))
    worse = np.where(MIDDLES < 0.1, 0.6 * sums.rows, sums.worse)
    said = fit(replace(sums, worse=worse)).probabilities(np.array([0.02, 0.98]))
    assert said[0, 0] > 0.55
    assert said[1] == pytest.approx(np.full(3, 1 / 3), abs=0.03)


def test_a_short_record_is_drawn_to_its_prior() -> None:
    strong = Curves(tuple(np.linspace(0.2, 0.5, 20)), tuple(np.linspace(0.5, 0.2, 20)), (0.0,) * 20, 0.0)
    none = whole(drawn(0.0, sessions=1))
    assert np.array(fit(none, strong).better) == pytest.approx(strong.better, abs=0.03)
    assert np.ptp(fit(whole(drawn(0.0, sessions=2000)), strong).better) < 0.1


def test_the_return_of_the_market_is_drawn_to_zero() -> None:
    sums = replace(whole(drawn(0.0, sessions=500)), forward_return=500 * 60 * 0.02)
    assert fit(sums).market_return == pytest.approx(0.01), "as many sessions as the prior counts for: half"
    middle = fit(sums).expected_return(np.array([0.5]))
    assert middle == pytest.approx([0.01], abs=0.003)


def test_curves_are_written_and_read_to_the_last_bit() -> None:
    curves = fit(whole(drawn(1.0)))
    assert Curves.from_json(curves.to_json()) == curves


# --- zones


def sums_of(better: list[float], worse: list[float], relative_return: list[float]) -> CellSums:
    """100 rows in each cell; a number for the lowest tenth, the middle and the highest tenth."""
    cells = np.select([MIDDLES < 0.1, MIDDLES < 0.9], [0, 1], 2)
    rates = (100 * np.array(rate)[cells] for rate in (better, worse, relative_return))
    return CellSums(np.full(RANK_CELLS, 100.0), *rates, 0.0, 1)


def test_zones_have_the_hits_and_returns_of_their_rows() -> None:
    zones = measure_zones(sums_of([0.3, 0.32, 0.4], [0.45, 0.33, 0.3], [-0.02, 0.001, 0.01]))
    assert zones["BUY"] == {"rows": 200, "hit_rate": 0.4, "relative_return": pytest.approx(0.01), "worth": True}
    assert zones["SELL"] == {"rows": 200, "hit_rate": 0.45, "relative_return": pytest.approx(-0.02), "worth": True}
    assert zones["HOLD"] == {
        "rows": 1600,
        "hit_rate": pytest.approx(0.35),
        "relative_return": pytest.approx(0.001),
    }


@pytest.mark.parametrize(
    ("better", "relative_return", "worth"),
    [(0.40, 0.01, True), (0.33, 0.01, False), (0.40, 0.001, False), (0.40, -0.01, False)],
)
def test_a_buy_is_worth_it_if_it_was_right_more_often_and_returned_more(
    better: float, relative_return: float, worth: bool
) -> None:
    zones = measure_zones(sums_of([0.3, 0.32, better], [0.3, 0.33, 0.3], [0, 0.001, relative_return]))
    assert is_worth(zones, "BUY") is worth
    assert not is_worth(zones, "SELL")


@pytest.mark.parametrize(
    ("worse", "relative_return", "worth"),
    [(0.40, -0.01, True), (0.33, -0.01, False), (0.40, 0.001, False), (0.40, 0.01, False)],
)
def test_a_sell_is_worth_it_if_it_was_right_more_often_and_returned_less(
    worse: float, relative_return: float, worth: bool
) -> None:
    zones = measure_zones(sums_of([0.3, 0.32, 0.3], [worse, 0.33, 0.3], [relative_return, 0.001, 0]))
    assert is_worth(zones, "SELL") is worth


def test_without_a_record_nothing_is_worth_it() -> None:
    zones = measure_zones(CellSums(*np.zeros((4, RANK_CELLS)), 0.0, 0))
    assert zones["BUY"] == {"rows": 0, "hit_rate": None, "relative_return": None, "worth": False}
