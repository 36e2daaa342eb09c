"""Errors and intervals of series whose true spread is known; `test_coverage.py` has whole records."""

import math

import numpy as np
import pytest
from scipy import fft, stats

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.evaluation.intervals import Estimate, estimate_mean, estimate_sharpe


def noise(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0.05, 1, count)


def estimated(series: Floats, overlap: int) -> Estimate:
    found = estimate_mean(series, overlap)
    assert found
    return found


def overlapping(count: int, seed: int) -> Floats:
    """Sums of four neighbours: each shares three of them with the next."""
    return np.convolve(noise(count + 3, seed) - 0.05, np.ones(4), mode="valid")


def test_the_error_is_that_of_the_first_cosine_transforms() -> None:
    series = noise(60)
    transforms = fft.dct(series, norm="ortho")[1:7]
    found = estimated(series, 1)
    assert found.degrees == len(transforms) == int(0.4 * 60 ** (2 / 3))
    assert found.error == pytest.approx(math.sqrt((transforms**2).mean() / 60))
    assert found.value == pytest.approx(series.mean())


def test_the_interval_is_that_of_students_t() -> None:
    found = estimated(noise(60), 1)
    assert found.interval == pytest.approx(stats.t.interval(0.9, found.degrees, found.value, found.error))
    assert found.t == pytest.approx(found.value / found.error)


def test_overlapping_values_have_the_error_of_those_that_do_not_overlap() -> None:
    """Each is the sum of four, so that the mean has twice the error that independent values would give it."""
    series = [overlapping(400, seed) for seed in range(200)]
    square = np.mean([estimated(x, 4).error ** 2 for x in series])
    independent = np.mean([x.var(ddof=1) / 400 for x in series])
    assert square / independent == pytest.approx(4, rel=0.1)


def test_noise_of_overlapping_labels_passes_a_t_as_seldom_as_students_t_says() -> None:
    found = [estimated(overlapping(24, seed), 4) for seed in range(1000)]
    limit = stats.t.ppf(0.95, found[0].degrees)
    assert 0.05 <= np.mean([abs(x.t or 0) > limit for x in found]) <= 0.15


def test_the_longer_the_overlap_the_fewer_the_degrees_of_freedom() -> None:
    series = noise(48)
    assert [estimated(series, overlap).degrees for overlap in (1, 4, 8, 16)] == [5, 5, 4, 2]


def test_the_interval_of_the_sharpe_ratio_is_that_of_theory() -> None:
    returns = noise(20_000) / 100
    found = estimate_sharpe(returns)
    assert found
    ratio = returns.mean() / returns.std(ddof=1)
    assert found.value == pytest.approx(math.sqrt(252) * ratio)
    error = math.sqrt(252 * (1 + ratio**2 / 2) / 20_000)  # Lo (2002), "The statistics of Sharpe ratios"
    assert found.error == pytest.approx(error, rel=0.1)


def test_a_series_that_never_varies_has_an_interval_without_width() -> None:
    assert estimated(np.full(40, 0.25), 4).interval == [0.25, 0.25]
    assert estimated(np.full(40, 0.25), 4).t is None
    assert estimate_sharpe(np.zeros(40)) is None


@pytest.mark.parametrize(("count", "overlap"), [(0, 4), (1, 4), (11, 4), (23, 8), (11, 1)])
def test_less_than_three_stretches_without_overlap_have_no_interval(count: int, overlap: int) -> None:
    assert estimate_mean(noise(count), overlap) is None
    longer = estimate_mean(noise(count + 1), overlap)
    assert (longer is not None) == (count > 1)


@pytest.mark.parametrize("count", [0, 1, 2, 11])
def test_few_days_have_no_interval_of_the_sharpe_ratio(count: int) -> None:
    assert estimate_sharpe(noise(count)) is None
