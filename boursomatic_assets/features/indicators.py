"""Indicators: the formulas of the eight columns of `features`.

What belongs here: one small pure function per column, from bars in memory to numbers in memory.
Kept elsewhere: the features without a column of their own (`additional_indicators.py`), how formulas are computed
(`compute.py`), the sums that formulas are made of (`panel.py`), how far back a row looks (`lookback_blocks.py`).
"""

from __future__ import annotations

import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.features.panel import Formula, Panel


def ret_1d(panel: Panel) -> Floats:
    """Simple return over 1 bar, c / c[-1] - 1 (TA-Lib ROCP)."""
    return panel.returns


def ret_5d(panel: Panel) -> Floats:
    """Simple return over 5 bars, c / c[-5] - 1 (TA-Lib ROCP)."""
    return panel.returns_over(5)


def ret_20d(panel: Panel) -> Floats:
    """Simple return over 20 bars, c / c[-20] - 1 (TA-Lib ROCP)."""
    return panel.returns_over(20)


def rsi_14(panel: Panel) -> Floats:
    """Relative strength index in points, 0 to 100 (Wilder 1978, p. 65; TA-Lib RSI: 0 if no price moved)."""
    change = panel.close - panel.previous_close
    return 100 * panel.wilder_ratio(np.maximum(change, 0.0), np.abs(change))


def momentum_5d(panel: Panel) -> Floats:
    """Price minus the price 5 bars ago, c - c[-5], in price units (TA-Lib MOM)."""
    return panel.close - panel.lagged(panel.close, 5)


def vol_20d(panel: Panel) -> Floats:
    """Sample standard deviation of the last 20 one-bar simple returns, not annualised."""
    return panel.require_history(20, panel.deviation(panel.returns, 20))


def atr_14(panel: Panel) -> Floats:
    """Average true range in price units (Wilder 1978, p. 21; TA-Lib ATR)."""
    return panel.wilder_mean(
        np.maximum(panel.high, panel.previous_close) - np.minimum(panel.low, panel.previous_close)
    )


def volume_zscore(panel: Panel) -> Floats:
    """Sample standard deviations by which volume exceeds the mean of the last 20, this one among them."""
    return panel.zscore(panel.volume, 20)


def market_ret_1d(panel: Panel) -> Floats:
    """Mean one-bar return of the market in the bar's session: an input of the market's context, not a feature."""
    return panel.market_returns


FEATURES: tuple[Formula, ...] = (
    ret_1d,
    ret_5d,
    ret_20d,
    rsi_14,
    momentum_5d,
    vol_20d,
    atr_14,
    volume_zscore,
)
