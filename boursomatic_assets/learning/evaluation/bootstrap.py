"""Bootstrap: confidence intervals of the mean and the Sharpe ratio of a series.

What belongs here: the moving block bootstrap of Kunsch (1989), "The jackknife and the bootstrap for general
stationary observations": a resample consists of blocks of neighbours, which keeps the correlation in time.
Kept elsewhere: which series have intervals (`metrics.py`).
"""

import math
from dataclasses import dataclass

import numpy as np

from boursomatic_assets.arrays import SESSIONS_PER_YEAR, Floats

RESAMPLES = 1000
SEED = 20
LEVEL = 0.9
"""Share of the resamples that an interval holds."""


@dataclass(frozen=True)
class Resamples:
    """The mean and the standard deviation of each resample of a series."""

    mean: Floats
    deviation: Floats

    @classmethod
    def draw(cls, series: Floats, block: int) -> "Resamples | None":
        """Draw RESAMPLES of whole blocks, together at least as long as the series, or None if two do not fit in.

        The same series gives the same resamples.
        """
        if len(series) < 2 * block:
            return None
        count = math.ceil(len(series) / block)
        centre = series.mean()
        sums, squares = (_block_sums((series - centre) ** power, block) for power in (1, 2))
        blocks = np.random.default_rng(SEED).integers(0, len(sums), (RESAMPLES, count))
        n = count * block
        mean = sums[blocks].sum(axis=1) / n
        variance = (squares[blocks].sum(axis=1) - n * mean**2) / (n - 1)
        return cls(centre + mean, np.sqrt(np.maximum(variance, 0)))


def mean_interval(series: Floats, block: int) -> list[float] | None:
    """Return the 90 % confidence interval of the mean, with blocks of this many neighbours."""
    resamples = Resamples.draw(series, block)
    return _interval(resamples.mean) if resamples else None


def sharpe_interval(returns: Floats, block: int) -> list[float] | None:
    """Return the 90 % confidence interval of the Sharpe ratio of daily returns; None if a resample is constant."""
    resamples = Resamples.draw(returns, block)
    if resamples is None or not resamples.deviation.all():
        return None
    return _interval(resamples.mean / resamples.deviation * math.sqrt(SESSIONS_PER_YEAR))


def _interval(figures: Floats) -> list[float]:
    """Return the quantiles between which LEVEL of the resampled figures lie."""
    edge = (1 - LEVEL) / 2
    return [float(x) for x in np.quantile(figures, [edge, 1 - edge])]


def _block_sums(values: Floats, block: int) -> Floats:
    """Return the sum of each block, by the index of its first value."""
    cumulative = np.concatenate(([0.0], np.cumsum(values)))
    return cumulative[block:] - cumulative[:-block]
