"""Intervals: how sure the mean or the Sharpe ratio of a series is, whose values depend on their neighbours.

What belongs here: standard errors, t statistics and confidence intervals that hold for few values and for
overlapping labels.
Kept elsewhere: which series have intervals (`metrics.py`).

The method is that of Lazarus, Lewis, Stock and Watson (2018), "HAR inference: recommendations for practice":
the variance of the mean is the average of the squares of the first few cosine transforms of the series (EWC,
equal-weighted cosines), which are as good as independent whatever the values do from one to the next; Student's t
with as many degrees of freedom as transforms says how wide an interval is. Newey and West (1987) and the block
bootstrap take their own variance for exact: with two dozen overlapping labels their 90 % intervals hold 70 %.
"""

import math
from dataclasses import dataclass

from scipy.fft import dct
from scipy.special import stdtrit

from boursomatic_assets.arrays import SESSIONS_PER_YEAR, Floats

LEVEL = 0.9
"""How many of a hundred intervals hold the truth, as a share."""

LEAST_COSINES = 2
"""With fewer there is no interval: one alone knows next to nothing of the variance."""


@dataclass(frozen=True)
class Estimate:
    """A figure and how sure it is.

    Attributes:
        value: The mean, or the ratio.
        error: Its standard error.
        degrees: The degrees of freedom of the error.
    """

    value: float
    error: float
    degrees: int

    @property
    def t(self) -> float | None:
        """The figure in standard errors, to be judged by Student's t; None if the series never varies."""
        return self.value / self.error if self.error > 0 else None

    @property
    def interval(self) -> list[float]:
        """The ends of the confidence interval of LEVEL."""
        margin = float(stdtrit(self.degrees, (1 + LEVEL) / 2)) * self.error
        return [self.value - margin, self.value + margin]


def estimate_mean(series: Floats, overlap: int) -> Estimate | None:
    """Return the mean of a series with its error, or None of a series too short for one.

    Args:
        series: By time.
        overlap: How many values in a row share something by construction: the dates on which a horizon is open.
    """
    return _estimate(float(series.mean()), series, overlap) if len(series) else None


def estimate_sharpe(returns: Floats) -> Estimate | None:
    """Return the Sharpe ratio of daily returns with its error, or None of too few, or of returns all equal.

    The error is that of the mean of the ratio's influence function, z - ratio / 2 (z^2 - 1) with z = (x - mean) /
    deviation, as in Lo (2002), "The statistics of Sharpe ratios", whose returns are independent. Here days do not
    overlap, but may depend on each other.
    """
    deviation = returns.std(ddof=1) if len(returns) > 1 else 0.0
    if deviation == 0:
        return None
    ratio, z = float(returns.mean() / deviation), (returns - returns.mean()) / deviation
    year = math.sqrt(SESSIONS_PER_YEAR)
    return _estimate(year * ratio, year * (z - ratio / 2 * (z**2 - 1)), 1)


def _estimate(value: float, series: Floats, overlap: int) -> Estimate | None:
    """Return a figure with the error of the mean of a series."""
    count = cosine_count(len(series), overlap)
    if count < LEAST_COSINES:
        return None
    transforms = dct(series - series.mean(), norm="ortho")[1 : count + 1]
    return Estimate(value, math.sqrt(float((transforms**2).mean()) / len(series)), count)


def cosine_count(size: int, overlap: int) -> int:
    """Return how many transforms of a series tell its variance in the long run.

    0.4 x size^(2/3), as the source recommends, and at most two for each three stretches without overlap: a faster
    cosine sees the waves inside of the overlap, in which nothing is left of the variance.
    """
    return int(min(0.4 * size ** (2 / 3), size / (1.5 * overlap)))
