"""Units: how the value of each feature is written as a number, in every language alike.

What belongs here: scale, digits and sign of a feature's number, in one table.
Kept elsewhere: the text around the number and the name of the feature (`english.py`, `french.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

RANK_SUFFIX = "_rank"
"""Ends the name of a feature's rank within its market and session: a share, 0 to 1."""


@dataclass(frozen=True)
class Unit:
    """How a number is written.

    Attributes:
        name: The name of the text around the number, in `Wording.units`.
        scale: The factor that the stored value is multiplied by.
        digits: Digits after the decimal point, at most.
        signed: Whether a positive number has a plus.
        offset: The number that is added to the stored value before it is scaled.
    """

    name: str
    scale: float = 1.0
    digits: int = 1
    signed: bool = False
    offset: float = 0.0


RETURN = Unit("percent", scale=100, signed=True)
SHORT_RETURN = Unit("percent", scale=100, digits=2, signed=True)
RATIO_AS_RETURN = Unit("percent", scale=100, signed=True, offset=-1)
PERCENT = Unit("percent", scale=100)
ANNUALISED = Unit("percent_a_year", scale=100 * math.sqrt(252))
PRICE_IMPACT = Unit("percent_per_million", scale=1e8, digits=4)
POINTS = Unit("plain", digits=0)
RATIO = Unit("plain", digits=2)
SKEWNESS = Unit("plain", signed=True)
MULTIPLE = Unit("times", digits=2)
DEVIATIONS = Unit("deviations", signed=True)
SESSION = Unit("session", digits=0)

UNITS: Mapping[str, Unit] = {
    "ret_1d": SHORT_RETURN,
    "ret_5d": RETURN,
    "ret_20d": RETURN,
    "ret_60d": RETURN,
    "ret_120d": RETURN,
    "momentum_12_1": RETURN,
    "rsi_14": POINTS,
    "vol_20d": ANNUALISED,
    "vol_250d": ANNUALISED,
    "vol_ratio": MULTIPLE,
    "max_ret_20d": RETURN,
    "range_20d": PERCENT,
    "overnight_20d": SHORT_RETURN,
    "skew_60d": SKEWNESS,
    "volume_zscore": DEVIATIONS,
    "volume_trend": MULTIPLE,
    "illiquidity_60d": PRICE_IMPACT,
    "high_250d": RATIO_AS_RETURN,
    "beta_120d": RATIO,
    "idiosyncratic_vol_120d": ANNUALISED,
    "market_ret_20d": RETURN,
    "market_vol_20d": ANNUALISED,
    "market_breadth_120d": PERCENT,
    "session_of_month": SESSION,
}
"""By the name of the feature itself. Its rank has no entry: it is written as a share of the market."""
