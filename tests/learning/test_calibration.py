"""Calibration: probabilities from counts in cells."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from boursomatic_assets.learning.calibration import (
    CELLS,
    DESIGN,
    VOLATILITY_CELLS,
    Calibration,
    calibrate,
    cell_indices,
)

RANDOM = np.random.default_rng(5)
NOTHING = np.empty(0, np.int64)


def drawn(rows: int, slope: float, calm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells, labels and returns: a higher score rank raises returns, a calmer state makes fewer HOLD."""
    cell = RANDOM.integers(0, CELLS, rows)
    z = RANDOM.normal(slope * DESIGN[cell, 1], np.exp(-calm * DESIGN[cell, 3]))
    return cell, 1 + (z > 0.43).astype(np.int64) - (z < -0.43), z


def test_without_rows_the_probabilities_are_thirds() -> None:
    blank = calibrate(NOTHING, NOTHING, np.empty(0), prior=1.0, penalty=30.0)
    assert blank.probabilities(np.arange(CELLS)) == pytest.approx(np.full((CELLS, 3), 1 / 3))
    assert blank.means == pytest.approx((-1.0906, 0, 1.0906), abs=1e-4)


def test_probabilities_sum_to_one_and_match_frequencies_in_each_part_of_the_cells() -> None:
    cell, label, z = drawn(200_000, slope=1.0, calm=0.5)
    fitted = calibrate(cell, label, z, prior=1.0, penalty=1.0)
    chance = fitted.probabilities(cell)
    assert chance.sum(axis=1) == pytest.approx(1)
    for part in (cell < CELLS // 5, cell > CELLS * 4 // 5, DESIGN[cell, 3] < -0.5, DESIGN[cell, 3] > 0.5):
        frequency = np.bincount(label[part], minlength=3) / part.sum()
        assert chance[part].mean(axis=0) == pytest.approx(frequency, abs=0.015)


def test_the_weights_are_those_of_a_multinomial_regression() -> None:
    cell, label, z = drawn(20_000, slope=0.5, calm=0.3)
    fitted = calibrate(cell, label, z, prior=1e-9, penalty=1e-6)
    reference = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8, max_iter=10_000)
    reference.fit(DESIGN[cell], label)
    assert fitted.probabilities(cell) == pytest.approx(reference.predict_proba(DESIGN[cell]), abs=1e-4)


def test_the_mean_returns_are_those_of_the_rows_with_outliers_clipped() -> None:
    cell, label, z = drawn(5_000, slope=0.5, calm=0.0)
    fitted = calibrate(cell, label, z, prior=1e-9, penalty=1.0)
    clipped = np.clip(z, -4, 4)
    assert fitted.means == pytest.approx([clipped[label == k].mean() for k in range(3)])
    z[np.flatnonzero(label == 2)[0]] = 1e6
    assert calibrate(cell, label, z, prior=1e-9, penalty=1.0).means[2] == pytest.approx(fitted.means[2], abs=0.01)


def test_the_order_of_the_rows_changes_no_probability() -> None:
    cell, label, z = drawn(3_000, slope=1.0, calm=0.2)
    order = RANDOM.permutation(len(cell))
    one, other = calibrate(cell, label, z, 50.0, 30.0), calibrate(cell[order], label[order], z[order], 50.0, 30.0)
    assert one.weights == other.weights


def test_a_calibration_is_written_and_read_to_the_last_bit() -> None:
    cell, label, z = drawn(3_000, slope=1.0, calm=0.2)
    fitted = calibrate(cell, label, z, 50.0, 30.0)
    assert Calibration.from_json(fitted.to_json()) == fitted


def test_a_missing_volatility_ratio_counts_as_usual_and_others_are_clipped() -> None:
    usual, missing, calm, wild = cell_indices(np.full(4, 0.5), np.array([1.0, np.nan, 0.0, 1e9]))
    assert missing == usual
    assert (calm - usual, wild - usual) == (-(VOLATILITY_CELLS // 2), VOLATILITY_CELLS // 2)


def test_the_first_and_the_last_rank_have_cells() -> None:
    assert cell_indices(np.array([0.0, 1.0]), np.ones(2)).tolist() == [
        VOLATILITY_CELLS // 2,
        CELLS - 1 - VOLATILITY_CELLS // 2,
    ]
