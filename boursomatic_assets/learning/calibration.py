"""Calibration: from the rank of a score within its session to the probability of each label.

What belongs here: one small multinomial regression, fitted on out-of-sample scores.
Kept elsewhere: the scores (`prediction.py`), which rows may be used (`walk.py`).

The regression has two inputs: the rank of the score within its market's session (0 to 1), and the volatility
state, the logarithm of `vol_ratio`: an instrument that moves more than usual now will move less, by its own
measure. Both are binned into cells, so counts are fitted, and the probabilities of a row depend on its cell alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from boursomatic_assets.arrays import Floats, Ints
from boursomatic_assets.learning.labels import CLASSES

RANK_CELLS, VOLATILITY_CELLS = 50, 21
"""Cells by rank of the score, and by volatility state: -1 to 1 in steps of 0.1, clipped at both ends."""

CELLS = RANK_CELLS * VOLATILITY_CELLS

Z_LIMIT = 4.0
"""Volatilities at which a return is clipped in a label's mean."""

_PRIOR_MEAN = 1.0906
"""Mean of a standard normal number above 0.43: exp(-0.43 ** 2 / 2) / sqrt(2 pi) / (1 - Phi(0.43))."""


def cell_indices(score_rank: Floats, vol_ratio: Floats) -> Ints:
    """Return the cell of each row; a missing `vol_ratio` counts as 1."""
    with np.errstate(divide="ignore"):
        state = np.clip(np.nan_to_num(np.log(vol_ratio), nan=0.0), -1, 1)
    column = np.rint((state + 1) * (VOLATILITY_CELLS - 1) / 2).astype(np.int64)
    return cast(
        Ints, np.minimum((score_rank * RANK_CELLS).astype(np.int64), RANK_CELLS - 1) * VOLATILITY_CELLS + column
    )


def _design_matrix() -> Floats:
    """Return the inputs of the regression for each cell: 1, rank of the score, its square, volatility state."""
    rank = np.repeat((np.arange(RANK_CELLS) + 0.5) / RANK_CELLS - 0.5, VOLATILITY_CELLS)
    state = np.tile(np.linspace(-1, 1, VOLATILITY_CELLS), RANK_CELLS)
    return np.stack([np.ones(CELLS), rank, rank * rank, state], axis=1)


DESIGN = _design_matrix()
PRIOR = np.array([[1.0, 0.0, 1 / 12, 0.0]])


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration of one horizon.

    Attributes:
        weights: Of SELL and of BUY against HOLD, for the columns of DESIGN.
        means: Mean return of the rows of each of CLASSES, in volatilities over the horizon.
    """

    weights: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]

    def probabilities(self, cell: Ints) -> Floats:
        """Return the probability of each of CLASSES: rows x 3."""
        return _cell_probabilities(np.array(self.weights), DESIGN)[cell]

    def to_json(self) -> dict[str, Any]:
        """Return the weights and means, JSON-able."""
        return {"weights": [list(row) for row in self.weights], "means": list(self.means)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Calibration":
        """Read the result of `to_json`."""
        return cls(tuple(tuple(row) for row in fields["weights"]), tuple(fields["means"]))


def calibrate(cell: Ints, label: Ints, z: Floats, prior: float, penalty: float) -> Calibration:
    """Fit probabilities by Newton's method, with an L2 penalty and a prior of thirds.

    The label's edges cut a normal distribution into thirds. That is the prior, and it counts as `prior` rows in
    the middle of all cells.

    Args:
        cell: Of each row, as `cell_indices` returns it.
        label: Of each row, its index in CLASSES.
        z: Of each row, its forward return in volatilities over the horizon.
        prior: Rows that the prior counts for; more than 0.
        penalty: L2 penalty of each weight.
    """
    size = len(CLASSES)
    counts = np.bincount(cell * size + label, minlength=CELLS * size).reshape(CELLS, size)
    weights = _fit_weights(
        np.vstack([DESIGN, PRIOR]), np.vstack([counts, np.full((1, size), prior / size)]), penalty
    )
    sums = np.bincount(label, weights=np.clip(z, -Z_LIMIT, Z_LIMIT), minlength=size)
    prior_sums = np.array([-_PRIOR_MEAN, 0.0, _PRIOR_MEAN]) * prior / size
    means = (sums + prior_sums) / (np.bincount(label, minlength=size) + prior / size)
    return Calibration(tuple(map(tuple, weights.tolist())), tuple(means.tolist()))


def _fit_weights(design: Floats, counts: Floats, penalty: float) -> Floats:
    """Return the weights of SELL and BUY at which the penalised likelihood is greatest."""
    total, width = counts.sum(axis=1), design.shape[1]
    weights = np.zeros((2, width))
    for _ in range(50):
        probability = _cell_probabilities(weights, design)[:, [0, 2]]
        residuals = counts[:, [0, 2]] - total[:, None] * probability
        gradient = np.einsum("ik,ij->kj", residuals, design) - penalty * weights
        covariance = total[:, None, None] * probability[:, :, None] * (np.eye(2) - probability[:, None, :])
        hessian = np.einsum("ikl,ij,im->kjlm", covariance, design, design).reshape(2 * width, 2 * width)
        step = np.linalg.solve(hessian + penalty * np.eye(2 * width), gradient.ravel()).reshape(2, width)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _cell_probabilities(weights: Floats, design: Floats) -> Floats:
    """Return the probabilities of SELL, HOLD and BUY in each cell."""
    logits = np.einsum("ij,kj->ik", design, weights)
    odds = np.exp(np.stack([logits[:, 0], np.zeros(len(design)), logits[:, 1]], axis=1))
    return cast(Floats, odds / (odds[:, [0]] + odds[:, [1]] + odds[:, [2]]))
