"""Curves: from the rank of a score within its session to the probability of each third, and a return.

What belongs here: monotone curves of the rank, fitted on out-of-sample scores, of both markets and of each.
Kept elsewhere: the rows that they are fitted on (`record.py`), the scores (`learning/prediction.py`).

All that is read off here depends on the rank of a score within its market's session alone, and is monotone in it:
a higher score never has a lower probability of the best third, nor a higher one of the worst. The two ends are
fitted apart, since scores tell more at one than at the other. A market's curves are drawn to those of both
markets, and those to no skill, as far as there are few sessions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.calibration.record import RANK_CELLS, CellSums
from boursomatic_assets.learning.labels import BASE_RATE

SLOPE = 1e-6
"""The least rise of an expected return from the lowest rank to the highest: no two ranks have the same one."""

_MIDDLES = (np.arange(RANK_CELLS) + 0.5) / RANK_CELLS
"""Between the middles of two cells a curve is straight; beyond the outermost ones it is flat."""


@dataclass(frozen=True)
class Curves:
    """Monotone curves of one horizon and market, a number for each cell.

    Attributes:
        better: Probability of the best third; never falls.
        worse: Probability of the worst third; never rises.
        relative_return: Mean forward return less that of the session (a fraction); never falls.
        market_return: Mean forward return of the market (a fraction), drawn to 0.
    """

    better: tuple[float, ...]
    worse: tuple[float, ...]
    relative_return: tuple[float, ...]
    market_return: float

    def probabilities(self, rank: Floats) -> Floats:
        """Return the probability of each of CLASSES for ranks within their session: rows x 3."""
        better, worse = (np.interp(rank, _MIDDLES, curve) for curve in (self.better, self.worse))
        return np.stack([worse, 1 - better - worse, better], axis=1)

    def expected_return(self, rank: Floats) -> Floats:
        """Return the expected forward return of ranks: the market's part and a part that rises with the rank."""
        relative: Floats = np.interp(rank, _MIDDLES, self.relative_return) + SLOPE * rank
        return relative + self.market_return

    def to_json(self) -> dict[str, Any]:
        """Return the curves, JSON-able."""
        return {
            "better": list(self.better),
            "worse": list(self.worse),
            "relative_return": list(self.relative_return),
            "market_return": self.market_return,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Curves":
        """Read the result of `to_json`."""
        better, worse, relative_return = (tuple(fields[name]) for name in ("better", "worse", "relative_return"))
        return cls(better, worse, relative_return, fields["market_return"])


NO_SKILL = Curves((BASE_RATE,) * RANK_CELLS, (BASE_RATE,) * RANK_CELLS, (0.0,) * RANK_CELLS, 0.0)
"""What is known without a record: thirds, and no return."""


def fit_curves(record: CellSums, prior: Curves, prior_sessions: int, market_prior_sessions: int) -> Curves:
    """Fit curves by isotonic regression of the cells' means, each drawn to a prior.

    Args:
        record: The rows to fit.
        prior: The curves that count for `prior_sessions` sessions.
        prior_sessions: More than 0.
        market_prior_sessions: Sessions that a market's mean return of 0 counts for.
    """
    rows_per_session = record.rows.sum() / record.sessions if record.sessions else 1.0
    weight = prior_sessions * rows_per_session / RANK_CELLS
    rows = record.rows + weight

    def curve(sums: Floats, drawn_to: tuple[float, ...], *, increasing: bool) -> tuple[float, ...]:
        means = (sums + weight * np.array(drawn_to)) / rows
        return tuple(isotonic_regression(means, weights=rows, increasing=increasing).x.tolist())

    sessions = record.sessions + market_prior_sessions
    return Curves(
        better=curve(record.better, prior.better, increasing=True),
        worse=curve(record.worse, prior.worse, increasing=False),
        relative_return=curve(record.relative_return, prior.relative_return, increasing=True),
        market_return=float(record.forward_return / rows_per_session / sessions),
    )
