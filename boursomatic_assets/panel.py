"""Bars of one market in memory, and the windows of them that a feature is made of.

What belongs here: values some bars ago, means, deviations, extremes; any number of bars up to 250.
Kept elsewhere: how far back a row looks, Wilder's means (`anchors.py`), which feature is made of what
(`indicators.py`).

The law: a row is the same, to the last bit, whichever range and company it was computed in. So no running
sum may start where the bars happen to start, and every sum runs in an order that the window's length alone
fixes: numpy's own reductions (`sum`, `std`) choose the order by memory layout, so they are not used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boursomatic_assets.anchors import Floats, Runs


@dataclass(frozen=True)
class Panel:
    """Bars in order of instrument and session: every array has one row per bar."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    runs: Runs
    """What each row sees."""

    @cached_property
    def previous(self) -> Floats:
        """The close of the bar before; NaN where the row does not see one."""
        return self.ago(self.close, 1)

    @cached_property
    def returned(self) -> Floats:
        """Simple return of each bar on the one before; NaN where the row does not see one."""
        return (self.close - self.previous) / self.previous

    def seeing(self, bars: int, values: Floats) -> Floats:
        """The values of the rows that see at least so many bars before their own; NaN for the others."""
        return self._aligned(values, bars)

    def ago(self, values: Floats, bars: int) -> Floats:
        """Each row's value some bars earlier; NaN where the row does not see that far."""
        return self._aligned(values[:-bars], bars)

    def mean(self, values: Floats, bars: int) -> Floats:
        """Mean of each row's last values; NaN where the row sees fewer."""
        return self._aligned(_folded(values, bars, np.add), bars - 1) / bars

    def highest(self, values: Floats, bars: int) -> Floats:
        """Greatest of each row's last values; NaN where the row sees fewer."""
        return self._aligned(_folded(values, bars, np.maximum), bars - 1)

    def lowest(self, values: Floats, bars: int) -> Floats:
        """Least of each row's last values; NaN where the row sees fewer."""
        return self._aligned(_folded(values, bars, np.minimum), bars - 1)

    def deviation(self, values: Floats, bars: int) -> Floats:
        """Sample standard deviation of each row's last values; NaN where the row sees fewer.

        Of equal values it is zero, to the last bit.
        """
        _, squares = _moments(values, bars)
        return self._root(squares, bars)

    def score(self, values: Floats, bars: int) -> Floats:
        """Deviations by which each row's value exceeds the mean of its last ones; NaN where the row sees fewer."""
        mean, squares = _moments(values, bars)
        return (values - self._aligned(mean, bars - 1)) / self._root(squares, bars)

    def wilder_mean(self, values: Floats) -> Floats:
        """Wilder's 14-bar mean, started at the oldest bar that the row sees; NaN on the first 14 bars."""
        return self.runs.wilder_mean(values)

    def wilder_share(self, values: Floats, others: Floats) -> Floats:
        """Wilder's mean of values by that of others, 0 where that is 0; NaN on the first 14 bars."""
        return self.runs.wilder_share(values, others)

    def _root(self, squares: Floats, bars: int) -> Floats:
        squares /= bars - 1
        return self._aligned(np.sqrt(squares, out=squares), bars - 1)

    def _aligned(self, values: Floats, bars: int) -> Floats:
        """The last rows' values; NaN in the rows before, and in those that see fewer bars before their own."""
        size = self.close.size
        whole = np.empty(size)
        whole[size - values.size :] = values
        whole[self.runs.blind(bars)] = np.nan
        return whole


def _folded(values: Floats, bars: int, join: np.ufunc) -> Floats:
    """Each full window of so many values joined, halves first: an order that `bars` alone fixes."""
    if bars == 1:
        return values
    half = bars // 2
    part = _folded(values, half, join)
    whole: Floats = join(part[half:], part[:-half])
    return whole if bars == 2 * half else join(values[2 * half :], whole[:-1])


def _moments(values: Floats, bars: int) -> tuple[Floats, Floats]:
    """Mean of each full window, and the sum of squared distances from it, joined as `_folded` does.

    Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", equations 2.1.
    """
    if bars == 1:
        return values, np.zeros_like(values)
    half = bars // 2
    mean, squares = _moments(values, half)
    mean, apart = _joined(mean[half:], mean[:-half], half, half)
    if half > 1:  # a single value has no distance from its mean
        apart += squares[half:]
        apart += squares[:-half]
    if bars == 2 * half:
        return mean, apart
    mean, more = _joined(values[2 * half :], mean[:-1], 1, 2 * half)
    more += apart[:-1]
    return mean, more


def _joined(newer: Floats, older: Floats, n: int, m: int) -> tuple[Floats, Floats]:
    """The mean of n newer and m older values, from theirs, and what the squared distances grow by."""
    gap = older - newer
    mean = gap * (m / (n + m))
    mean += newer
    gap *= gap
    gap *= n * m / (n + m)
    return mean, gap
