"""Panels: bars of one market in memory, and the lagged values, means and extremes that formulas use.

What belongs here: lagged values, means, deviations, extremes; any number of bars up to 250.
Kept elsewhere: how far back a row looks, Wilder's means (`lookback_blocks.py`), in which order a window adds
up (`rolling_windows.py`), the formulas (`indicators.py`, `additional_indicators.py`).

Invariant: a row is the same, to the last bit, in whichever range and with whichever instruments it is computed. So
no running sum may start where the bars happen to start, and every sum runs in an order that the window's length
alone fixes: numpy's own reductions (`sum`, `std`) choose the order by memory layout, so they are not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.features.lookback_blocks import LookbackBlocks
from boursomatic_assets.features.rolling_windows import co_moments, moments, reduce_windows, third_moments


@dataclass(frozen=True)
class Panel:
    """Bars in order of instrument and session: every array has one row per bar."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    lookback: LookbackBlocks
    """The history that each row may use."""
    compute_market_returns: Callable[[], Floats]
    """Computes `market_returns` on first use: from bars of all instruments, of which a panel may hold some."""

    @cached_property
    def market_returns(self) -> Floats:
        """The mean one-bar return of the market in each bar's session (`market_context.py`)."""
        return self.compute_market_returns()

    @cached_property
    def previous_close(self) -> Floats:
        """The close of the bar before; NaN where its look-back holds none."""
        return self.lagged(self.close, 1)

    @cached_property
    def returns(self) -> Floats:
        """Simple return of each bar on the one before; NaN where its look-back holds none."""
        return (self.close - self.previous_close) / self.previous_close

    def returns_over(self, bars: int) -> Floats:
        """Simple return over some bars; NaN where the look-back is shorter."""
        before = self.lagged(self.close, bars)
        return (self.close - before) / before

    def require_history(self, bars: int, values: Floats) -> Floats:
        """The values of the rows with at least so many earlier bars in their look-back; NaN for the others."""
        return self._align(values, bars)

    def lagged(self, values: Floats, bars: int) -> Floats:
        """Each row's value some bars earlier; NaN where the look-back is shorter."""
        return self._align(values[:-bars], bars)

    def mean(self, values: Floats, bars: int) -> Floats:
        """Mean of each row's last values; NaN where the look-back holds fewer."""
        return self._align(reduce_windows(values, bars, np.add), bars - 1) / bars

    def highest(self, values: Floats, bars: int) -> Floats:
        """Greatest of each row's last values; NaN where the look-back holds fewer."""
        return self._align(reduce_windows(values, bars, np.maximum), bars - 1)

    def lowest(self, values: Floats, bars: int) -> Floats:
        """Least of each row's last values; NaN where the look-back holds fewer."""
        return self._align(reduce_windows(values, bars, np.minimum), bars - 1)

    def deviation(self, values: Floats, bars: int) -> Floats:
        """Sample standard deviation of each row's last values; NaN where the look-back holds fewer.

        Of equal values it is zero, to the last bit.
        """
        _, squares = moments(values, bars)
        return self._sample_deviation(squares, bars)

    def zscore(self, values: Floats, bars: int) -> Floats:
        """Standard score of each row's value among its last ones; NaN where the look-back holds fewer."""
        mean, squares = moments(values, bars)
        return (values - self._align(mean, bars - 1)) / self._sample_deviation(squares, bars)

    def skewness(self, values: Floats, bars: int) -> Floats:
        """Third moment of each row's last values by m2^1.5; NaN where the look-back holds fewer."""
        _, squares, third = third_moments(values, bars)
        squares /= bars
        third /= bars
        return self._align(third / (squares * np.sqrt(squares)), bars - 1)

    def regression(self, values: Floats, others: Floats, bars: int) -> tuple[Floats, Floats]:
        """Slope of each row's last values on as many others, and the standard deviation of the residuals (n - 2).

        Least squares with a constant; both NaN where the look-back holds fewer.
        """
        squares, of_others, both = co_moments(values, others, bars)
        slope = both / of_others
        left = np.maximum(squares - slope * both, 0.0) / (bars - 2)
        return self._align(slope, bars - 1), self._align(np.sqrt(left), bars - 1)

    def wilder_mean(self, values: Floats) -> Floats:
        """Wilder's 14-bar mean, started at the oldest bar of the row's look-back; NaN on the first 14 bars."""
        return self.lookback.wilder_mean(values)

    def wilder_ratio(self, values: Floats, others: Floats) -> Floats:
        """Wilder's mean of values by that of others, 0 where that is 0; NaN on the first 14 bars."""
        return self.lookback.wilder_ratio(values, others)

    def _sample_deviation(self, squares: Floats, bars: int) -> Floats:
        squares /= bars - 1
        return self._align(np.sqrt(squares, out=squares), bars - 1)

    def _align(self, values: Floats, bars: int) -> Floats:
        """The last rows' values; NaN before them, and where the look-back holds fewer earlier bars."""
        size = self.close.size
        whole = np.empty(size)
        whole[size - values.size :] = values
        whole[self.lookback.rows_in_warm_up(bars)] = np.nan
        return whole


Formula = Callable[[Panel], Floats]
"""A number for each bar of a panel: NaN or infinite where it is not defined. Its name is its column's."""
