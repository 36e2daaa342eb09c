"""Additional indicators: the formulas that have no column of their own.

What belongs here: one small pure function per feature, as in `indicators.py`; ADDITIONAL_INDICATORS, to which
users add their own.
Kept elsewhere: how they are ranked and written (`additional_features.py`), the market as a whole
(`market_context.py`).

No formula looks back on more than 250 bars; it is null where a row has less history than it needs.
"""

from __future__ import annotations

import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.features.panel import Formula, Panel

PER_MILLION = 1e6
"""Illiquidity is given per million of the currency, as Amihud does."""


def ret_60d(panel: Panel) -> Floats:
    """Simple return over 60 bars (a quarter)."""
    return panel.returns_over(60)


def ret_120d(panel: Panel) -> Floats:
    """Simple return over 120 bars, half a year (Jegadeesh and Titman 1993)."""
    return panel.returns_over(120)


def momentum_12_1(panel: Panel) -> Floats:
    """Simple return over a year without its last month, c[-20] / c[-250] - 1 (Jegadeesh 1990; Carhart 1997)."""
    before = panel.lagged(panel.close, 250)
    return (panel.lagged(panel.close, 20) - before) / before


def vol_250d(panel: Panel) -> Floats:
    """Sample standard deviation of the last 250 one-bar returns, not annualised (Ang and others 2006)."""
    return panel.require_history(250, panel.deviation(panel.returns, 250))


def vol_ratio(panel: Panel) -> Floats:
    """Sample standard deviation of the last 20 one-bar returns by that of the last 120."""
    return panel.require_history(120, panel.deviation(panel.returns, 20) / panel.deviation(panel.returns, 120))


def max_ret_20d(panel: Panel) -> Floats:
    """Greatest of the last 20 one-bar returns (Bali, Cakici and Whitelaw 2011)."""
    return panel.require_history(20, panel.highest(panel.returns, 20))


def range_20d(panel: Panel) -> Floats:
    """Mean ln(h / l) of the last 20 bars (Parkinson 1980, without his constant)."""
    return panel.mean(np.log(panel.high / panel.low), 20)


def illiquidity_60d(panel: Panel) -> Floats:
    """Mean |return| by million traded, c v, of those of the last 60 bars that were traded (Amihud 2002)."""
    traded = panel.close * panel.volume / PER_MILLION
    moved = np.where(traded > 0, np.abs(panel.returns) / traded, 0.0)
    mean = panel.mean(moved, 60) / panel.mean((traded > 0).astype(float), 60)
    return panel.require_history(60, mean)


def volume_trend(panel: Panel) -> Floats:
    """Mean volume of the last 20 bars by that of the last 120 (after Lee and Swaminathan 2000)."""
    return panel.mean(panel.volume, 20) / panel.mean(panel.volume, 120)


def high_250d(panel: Panel) -> Floats:
    """Close by the highest of the last 250 closes, this one among them (George and Hwang 2004)."""
    return panel.close / panel.highest(panel.close, 250)


def skew_60d(panel: Panel) -> Floats:
    """Skewness of the last 60 one-bar returns, m3 / m2^1.5 (after Amaya and others 2015)."""
    return panel.require_history(60, panel.skewness(panel.returns, 60))


def overnight_20d(panel: Panel) -> Floats:
    """Mean return from close to open, o / c[-1] - 1, of the last 20 bars (Lou, Polk and Skouras 2019)."""
    return panel.require_history(20, panel.mean((panel.open - panel.previous_close) / panel.previous_close, 20))


def beta_120d(panel: Panel) -> Floats:
    """Slope of the last 120 one-bar returns on the market's of the same sessions (Sharpe 1964)."""
    return panel.require_history(120, panel.regression(panel.returns, panel.market_returns, 120)[0])


def idiosyncratic_vol_120d(panel: Panel) -> Floats:
    """Standard deviation of what that slope leaves of the returns, n - 2 (after Ang and others 2006)."""
    return panel.require_history(120, panel.regression(panel.returns, panel.market_returns, 120)[1])


ADDITIONAL_INDICATORS: tuple[Formula, ...] = (
    ret_60d,
    ret_120d,
    momentum_12_1,
    vol_250d,
    vol_ratio,
    max_ret_20d,
    range_20d,
    illiquidity_60d,
    volume_trend,
    high_250d,
    skew_60d,
    overnight_20d,
    beta_120d,
    idiosyncratic_vol_120d,
)
"""A formula that is added here is computed, ranked and kept like the others; see docs/features.md."""
