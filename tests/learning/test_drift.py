"""Drift: deciles of a training set, and the PSI of a session against them."""

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from worlds.learnable import markets, scrambled

from boursomatic_assets.learning.drift import (
    WATCHED,
    SortedFeatures,
    deciles,
    describe_extremes,
    expected_psi,
    psi,
    session_psi,
)
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import train_challengers
from boursomatic_assets.learning.walk import label_cutoff

NORMAL = np.random.default_rng(1).normal(size=100_000)
EDGES = deciles(NORMAL)


def drawn(count: int, mean: float = 0.0, spread: float = 1.0, times: int = 2_000) -> list[float]:
    """The PSI of samples against a standard normal distribution."""
    samples = np.random.default_rng(2).normal(mean, spread, (times, count))
    return [psi(EDGES, sample) for sample in samples]


def test_deciles_cut_values_into_tenths() -> None:
    assert deciles(np.arange(1.0, 101)) == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert pytest.approx([-1.2816, -0.5244, 0, 0.5244, 1.2816], abs=0.02) == EDGES[::2]


def test_deciles_do_not_depend_on_order_or_on_missing_values() -> None:
    values = np.append(NORMAL[:999], [math.nan] * 50)
    assert deciles(np.random.default_rng(3).permutation(values)) == deciles(NORMAL[:999])


def test_deciles_have_six_significant_digits() -> None:
    assert deciles(np.arange(1, 11) / 3_000_000)[0] == 3.33333e-7


@pytest.mark.parametrize("values", [np.arange(9.0), np.zeros(100), np.repeat([1.0, 2.0], 50), np.empty(0)])
def test_few_or_equal_values_have_no_deciles(values: np.ndarray) -> None:
    assert deciles(values) == []


def test_deciles_among_sorted_features_are_those_of_the_rows_alone() -> None:
    rows = markets(sessions=30)[0].with_columns(rsi_14=pl.when(pl.col("ret_1d") > 0).then("rsi_14"))
    among = np.random.default_rng(4).random(rows.height) < 0.4
    found = SortedFeatures.from_rows(rows).deciles(among)
    assert found.keys() == {*WATCHED} - {"vol_20d"}, "all these markets are equally volatile"
    for name, edges in found.items():
        assert edges == deciles(rows.filter(among)[name].fill_null(math.nan).to_numpy()), name


@pytest.mark.parametrize("count", [3, 10, 50, 400])
def test_without_drift_the_psi_is_zero_on_average(count: int) -> None:
    found = drawn(count)
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / math.sqrt(len(found)))


def test_the_expected_psi_is_nine_by_n_for_large_n() -> None:
    assert expected_psi(2_000) == pytest.approx(9 / 2_000, rel=0.01)


@pytest.mark.parametrize(("mean", "spread"), [(1.0, 1.0), (0.0, 2.5), (0.0, 0.3)])
def test_a_shift_and_another_spread_are_far_above_chance(mean: float, spread: float) -> None:
    assert np.quantile(drawn(50, mean, spread), 0.05) > np.quantile(drawn(50), 0.95)


def test_the_psi_of_many_values_is_that_of_the_textbook() -> None:
    """Moved by half a standard deviation: the sum over the tenths of (actual - 0.1) x ln(actual / 0.1)."""
    moved = NORMAL + 0.5
    actual = np.histogram(moved, [-np.inf, *EDGES, np.inf])[0] / len(moved)
    assert psi(EDGES, moved) == pytest.approx(((actual - 0.1) * np.log(actual / 0.1)).sum(), abs=1e-3)


def test_no_values_have_no_psi() -> None:
    assert math.isnan(psi(EDGES, np.array([math.nan])))


def test_a_session_has_a_psi_for_features_with_deciles_and_values() -> None:
    rows = pl.DataFrame({"ret_1d": [0.5, None, -0.2], "ret_5d": [None] * 3, "ret_20d": [1.0, 2.0, 3.0]})
    found = session_psi({"ret_1d": EDGES, "ret_5d": EDGES}, rows)
    assert found == {"ret_1d": psi(EDGES, np.array([0.5, -0.2]))}


def test_context_below_or_above_nine_tenths_is_named() -> None:
    known = {"market_ret_20d": EDGES, "market_vol_20d": EDGES, "market_breadth_120d": EDGES}
    found = describe_extremes(known, {"market_ret_20d": -1.5, "market_vol_20d": 0.1, "market_breadth_120d": None})
    assert found == ["market_ret_20d -1.5 below nine tenths"]


@pytest.mark.slow
def test_a_challenger_has_the_deciles_of_the_training_set_of_its_newest_boosters() -> None:
    due, fitted, quick = dt.date(2021, 3, 1), dt.date(2021, 1, 4), replace(Parameters(), rounds=5)
    frames = markets(signal=1.0)
    history = History.from_frames(*frames, quick)
    training_set = history.rows.filter(history.labels[quick.horizon]["known_at"] < label_cutoff(fitted, quick))
    expected = {name: deciles(training_set[name].to_numpy()) for name in WATCHED if name != "vol_20d"}
    changed = [scrambled(frame.sample(fraction=1, shuffle=True, seed=1), due) for frame in frames]
    for trained_on in (history, History.from_frames(changed[0], changed[1], quick)):
        ((_, challenger),) = train_challengers(trained_on, [due], quick)
        assert challenger
        assert challenger.metrics["deciles"] == expected
