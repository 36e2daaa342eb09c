"""Calibration: from where a score stands among its session's to the probability of each label.

What belongs here: one small multinomial regression, fitted on scores of models that had not seen the rows.
Kept elsewhere: the scores (`prediction`), which rows may be used (`walk`).

A row is known by two numbers: its standing, the rank of its score within its market's session (0 to 1), and its
volatility state, the logarithm of `vol_ratio`: what moves more than usual now will move less, by its own measure.
Both are put into cells, so what is fitted is counts, and a row's probabilities depend on its cell alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from boursomatic_assets.arrays import Floats, Ints
from boursomatic_assets.learning.labels import CLASSES

STANDINGS, STATES = 50, 21
"""Cells by standing, and by state: -1 to 1 in steps of 0.1, what lies outside counted at the ends."""

CELLS = STANDINGS * STATES

FARTHEST = 4.0
"""Volatilities beyond which a return counts no more in a label's mean."""

_PRIOR_MEAN = 1.0906
"""Mean of a standard normal number above 0.43: exp(-0.43 ** 2 / 2) / sqrt(2 pi) / (1 - Phi(0.43))."""


def cells(standing: Floats, vol_ratio: Floats) -> Ints:
    """Return the cell of each row; a missing `vol_ratio` counts as 1."""
    with np.errstate(divide="ignore"):
        state = np.clip(np.nan_to_num(np.log(vol_ratio), nan=0.0), -1, 1)
    column = np.rint((state + 1) * (STATES - 1) / 2).astype(np.int64)
    return cast(Ints, np.minimum((standing * STANDINGS).astype(np.int64), STANDINGS - 1) * STATES + column)


def _design() -> Floats:
    """What the regression sees of each cell: 1, standing, its square, state."""
    x = np.repeat((np.arange(STANDINGS) + 0.5) / STANDINGS - 0.5, STATES)
    state = np.tile(np.linspace(-1, 1, STATES), STANDINGS)
    return np.stack([np.ones(CELLS), x, x * x, state], axis=1)


DESIGN = _design()
PRIOR = np.array([[1.0, 0.0, 1 / 12, 0.0]])


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration of one horizon.

    Attributes:
        weights: Of SELL and of BUY against HOLD, for 1, standing, its square and state.
        means: Mean return of the rows of each of LABELS, in volatilities over the horizon.
    """

    weights: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]

    def probabilities(self, cell: Ints) -> Floats:
        """Return the probability of each of LABELS: rows x 3."""
        return _chances(np.array(self.weights), DESIGN)[cell]

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept with the model."""
        return {"weights": [list(row) for row in self.weights], "means": list(self.means)}

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> "Calibration":
        """Read back what `as_json` gave."""
        return cls(tuple(tuple(row) for row in kept["weights"]), tuple(kept["means"]))


def calibrate(cell: Ints, label: Ints, z: Floats, prior: float, penalty: float) -> Calibration:
    """Fit probabilities by Newton's method, with an L2 penalty and a prior of thirds.

    The label's edges cut a normal distribution into thirds. That is what is believed before there are rows, and it
    counts as `prior` rows in the middle of all cells.

    Args:
        cell: Of each row, as `cells` gives it.
        label: Of each row, its position in LABELS.
        z: Of each row, its forward return in volatilities over the horizon.
        prior: Rows that the prior counts for; more than 0.
        penalty: L2 penalty of each weight.
    """
    size = len(CLASSES)
    counts = np.bincount(cell * size + label, minlength=CELLS * size).reshape(CELLS, size)
    weights = _fitted(np.vstack([DESIGN, PRIOR]), np.vstack([counts, np.full((1, size), prior / size)]), penalty)
    sums = np.bincount(label, weights=np.clip(z, -FARTHEST, FARTHEST), minlength=size)
    believed = np.array([-_PRIOR_MEAN, 0.0, _PRIOR_MEAN]) * prior / size
    means = (sums + believed) / (np.bincount(label, minlength=size) + prior / size)
    return Calibration(tuple(map(tuple, weights.tolist())), tuple(means.tolist()))


def _fitted(design: Floats, counts: Floats, penalty: float) -> Floats:
    """The weights of SELL and BUY at which the penalised likelihood is greatest."""
    total, width = counts.sum(axis=1), design.shape[1]
    weights = np.zeros((2, width))
    for _ in range(50):
        chance = _chances(weights, design)[:, [0, 2]]
        slope = np.einsum("ik,ij->kj", counts[:, [0, 2]] - total[:, None] * chance, design) - penalty * weights
        spread = total[:, None, None] * chance[:, :, None] * (np.eye(2) - chance[:, None, :])
        curve = np.einsum("ikl,ij,im->kjlm", spread, design, design).reshape(2 * width, 2 * width)
        step = np.linalg.solve(curve + penalty * np.eye(2 * width), slope.ravel()).reshape(2, width)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _chances(weights: Floats, design: Floats) -> Floats:
    """The probabilities of SELL, HOLD and BUY in each cell."""
    raw = np.einsum("ij,kj->ik", design, weights)
    odds = np.exp(np.stack([raw[:, 0], np.zeros(len(design)), raw[:, 1]], axis=1))
    return cast(Floats, odds / (odds[:, [0]] + odds[:, [1]] + odds[:, [2]]))
