"""Rank correlations compared with scipy, deciles and means of a series with arithmetic by hand."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from boursomatic_assets.learning.evaluation.ranking import (
    decile_spreads,
    information_ratio,
    mean,
    pick_deciles,
    rank_ics,
)


def scored(*sessions: list[tuple[float | None, float]]) -> pl.DataFrame:
    """Rows of sessions: each a list of score and forward return."""
    rows = [(k, f"i{n:03d}", *row) for k, session in enumerate(sessions) for n, row in enumerate(session)]
    return pl.DataFrame(rows, ["session", "instrument_id", "score", "forward_return"], orient="row")


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_ic_is_the_correlation_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    sessions = [random.normal(size=(n, 2)).round(seed % 3) for n in (10, 25, 200)]  # rounded: with equal values
    expected = [stats.spearmanr(session[:, 0], session[:, 1]).statistic for session in sessions]
    assert rank_ics(scored(*(s.tolist() for s in sessions)), "score", 3) == pytest.approx(expected)


def test_a_session_with_few_scores_or_only_equal_ones_has_no_rank_ic() -> None:
    few = [(float(k), float(k)) for k in range(9)]
    all_equal = [(0.0, float(k)) for k in range(12)]
    enough = [(float(k), float(-k)) for k in range(10)]
    ics = rank_ics(scored(few, [*few, (None, 9.0)], all_equal, [], enough), "score", 5)
    assert ics.tolist() == pytest.approx([np.nan] * 4 + [-1], nan_ok=True)


def test_rows_without_a_score_do_not_count() -> None:
    session = [(float(k), float(k % 4)) for k in range(12)]
    with_gap = [*session, (None, 99.0)]
    assert rank_ics(scored(session), "score", 1) == rank_ics(scored(with_gap), "score", 1)
    assert pick_deciles(scored(session), "score").equals(pick_deciles(scored(with_gap), "score"))


@pytest.mark.parametrize(("rows", "each"), [(2, 1), (3, 1), (19, 1), (20, 2), (35, 3)])
def test_a_tenth_is_picked_on_each_side_and_at_least_one(rows: int, each: int) -> None:
    session = [(float(k), 0.0) for k in range(rows)]
    picked = pick_deciles(scored(session), "score").sort("score")
    assert picked["score"].to_list() == [*range(each), *range(rows - each, rows)]
    assert picked["side"].to_list() == [-1.0] * each + [1.0] * each
    assert picked["share"].to_list() == [1 / each] * 2 * each


def test_scores_that_are_all_equal_pick_nothing() -> None:
    assert pick_deciles(scored([(1.0, 0.5)], [(2.0, 0.1), (2.0, 0.2)]), "score").is_empty()


def test_of_equal_scores_the_later_name_ranks_higher_in_any_order_of_the_rows() -> None:
    rows = scored([(1.0, 0.0)] * 8 + [(2.0, 0.0)] * 8)
    for seed in range(5):
        picked = pick_deciles(rows.sample(fraction=1, shuffle=True, seed=seed), "score")
        assert picked["instrument_id"].to_list() == ["i000", "i015"]


def test_the_decile_spread_by_hand() -> None:
    session = [(float(k), 0.01 * k) for k in range(20)]  # returns of the tops 0.18, 0.19, of the bottoms 0, 0.01
    picked = pick_deciles(scored(session, []), "score")
    gross, net = decile_spreads(picked, 2, cost=0.001)
    assert gross == pytest.approx([0.18, np.nan], nan_ok=True)
    # Bought and sold: 1 and 1.185 at the top, 1 and 1.005 at the bottom.
    assert net == pytest.approx([0.18 - 0.001 * 4.19, np.nan], nan_ok=True)


def test_the_information_ratio_is_annualised_by_the_horizons_in_a_year() -> None:
    series = np.array([0.01, 0.03])
    assert information_ratio(series, 20) == pytest.approx(0.02 / (0.01 * math.sqrt(2)) * math.sqrt(12.6))
    assert information_ratio(np.array([0.1, 0.1]), 20) is None
    assert information_ratio(np.array([0.1]), 20) is None


def test_nothing_has_no_mean() -> None:
    assert mean(np.array([])) is None
