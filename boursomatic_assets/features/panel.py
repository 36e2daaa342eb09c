"""Bars of one market in memory, and the windows of them that a feature is made of.

What belongs here: values some bars ago, means, deviations, extremes; any number of bars up to 250.
Kept elsewhere: how far back a row looks, Wilder's means (`anchors.py`), in which order a window adds up
(`windows.py`), which feature is made of what (`indicators.py`, `more_indicators.py`).

The law: a row is the same, to the last bit, whichever range and company it was computed in. So no running
sum may start where the bars happen to start, and every sum runs in an order that the window's length alone
fixes: numpy's own reductions (`sum`, `std`) choose the order by memory layout, so they are not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.features.lookback_blocks import Runs
from boursomatic_assets.features.rolling_windows import cubes, folded, moments, products


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
    of_market: Callable[[], Floats]
    """Makes `market`, when a formula asks for it: from bars of all instruments, of which a panel may hold some."""

    @cached_property
    def market(self) -> Floats:
        """The mean one-bar return of the market in each bar's session (`market_context.py`)."""
        return self.of_market()

    @cached_property
    def previous(self) -> Floats:
        """The close of the bar before; NaN where the row does not see one."""
        return self.ago(self.close, 1)

    @cached_property
    def returned(self) -> Floats:
        """Simple return of each bar on the one before; NaN where the row does not see one."""
        return (self.close - self.previous) / self.previous

    def returned_over(self, bars: int) -> Floats:
        """Simple return over some bars; NaN where the row does not see that far."""
        before = self.ago(self.close, bars)
        return (self.close - before) / before

    def seeing(self, bars: int, values: Floats) -> Floats:
        """The values of the rows that see at least so many bars before their own; NaN for the others."""
        return self._aligned(values, bars)

    def ago(self, values: Floats, bars: int) -> Floats:
        """Each row's value some bars earlier; NaN where the row does not see that far."""
        return self._aligned(values[:-bars], bars)

    def mean(self, values: Floats, bars: int) -> Floats:
        """Mean of each row's last values; NaN where the row sees fewer."""
        return self._aligned(folded(values, bars, np.add), bars - 1) / bars

    def highest(self, values: Floats, bars: int) -> Floats:
        """Greatest of each row's last values; NaN where the row sees fewer."""
        return self._aligned(folded(values, bars, np.maximum), bars - 1)

    def lowest(self, values: Floats, bars: int) -> Floats:
        """Least of each row's last values; NaN where the row sees fewer."""
        return self._aligned(folded(values, bars, np.minimum), bars - 1)

    def deviation(self, values: Floats, bars: int) -> Floats:
        """Sample standard deviation of each row's last values; NaN where the row sees fewer.

        Of equal values it is zero, to the last bit.
        """
        _, squares = moments(values, bars)
        return self._root(squares, bars)

    def score(self, values: Floats, bars: int) -> Floats:
        """Deviations by which each row's value exceeds the mean of its last ones; NaN where the row sees fewer."""
        mean, squares = moments(values, bars)
        return (values - self._aligned(mean, bars - 1)) / self._root(squares, bars)

    def skewness(self, values: Floats, bars: int) -> Floats:
        """Third moment of each row's last values by the 3/2 power of the second; NaN where the row sees fewer."""
        _, squares, third = cubes(values, bars)
        squares /= bars
        third /= bars
        return self._aligned(third / (squares * np.sqrt(squares)), bars - 1)

    def regression(self, values: Floats, others: Floats, bars: int) -> tuple[Floats, Floats]:
        """Slope of each row's last values on as many others, and the standard deviation of what is left (n - 2).

        Least squares with a constant; both NaN where the row sees fewer.
        """
        squares, of_others, both = products(values, others, bars)
        slope = both / of_others
        left = np.maximum(squares - slope * both, 0.0) / (bars - 2)
        return self._aligned(slope, bars - 1), self._aligned(np.sqrt(left), bars - 1)

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


Formula = Callable[[Panel], Floats]
"""A number for each bar of a panel: NaN or infinite where it is not defined. Its name is its column's."""
