"""Confidence intervals of series whose true spread is known."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from boursomatic_assets.learning.evaluation.bootstrap import mean_interval, sharpe_interval


def noise(count: int, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.05, 1, count)


def width(interval: list[float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


def test_the_interval_of_independent_values_is_that_of_theory() -> None:
    series = noise(400)
    error = 1.645 * series.std() / math.sqrt(400)
    assert mean_interval(series, 1) == pytest.approx(
        [series.mean() - error, series.mean() + error], abs=0.1 * error
    )


def test_nine_of_ten_intervals_contain_the_true_mean() -> None:
    intervals = [mean_interval(noise(200, seed), 4) for seed in range(200)]
    containing = sum(low < 0.05 < high for low, high in filter(None, intervals))
    assert 165 <= containing <= 192


def test_correlation_in_time_widens_the_interval() -> None:
    repeated = np.repeat(noise(100), 4)
    assert width(mean_interval(repeated, 8)) == pytest.approx(2 * width(mean_interval(repeated, 1)), rel=0.25)


def test_a_constant_series_has_an_interval_without_width() -> None:
    assert mean_interval(np.full(40, 0.25), 4) == [0.25, 0.25]
    assert sharpe_interval(np.zeros(40), 4) is None


def test_the_interval_of_the_sharpe_ratio_is_that_of_theory() -> None:
    returns = noise(1000) / 100
    ratio = returns.mean() / returns.std(ddof=1)
    error = 1.645 * math.sqrt((1 + ratio**2 / 2) / 1000)  # Lo (2002), "The statistics of Sharpe ratios"
    expected = [math.sqrt(252) * (ratio - error), math.sqrt(252) * (ratio + error)]
    assert sharpe_interval(returns, 1) == pytest.approx(expected, abs=0.1 * math.sqrt(252) * error)


def test_the_same_series_has_the_same_interval() -> None:
    assert mean_interval(noise(50), 4) == mean_interval(noise(50), 4) != mean_interval(noise(50, seed=1), 4)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_less_than_two_blocks_have_no_interval(count: int) -> None:
    assert mean_interval(noise(count), 4) is None
    assert sharpe_interval(noise(count), 4) is None
