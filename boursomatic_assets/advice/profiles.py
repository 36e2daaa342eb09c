"""Risk profiles: three ways to take risk, and the labels that each decides on from the same probabilities.

What belongs here: the conditions of a profile, and the label of an instrument that passes or fails them.
Kept elsewhere: what is published of a decision (`signals.py`), its justification (`justification.py`), the names
of the profiles (`vocabulary.py`).

A cautious profile chooses among the recommendations of the bolder one, and asks for more. So a BUY of a cautious
profile is a BUY of every bolder one.
"""

import hashlib
import math
from dataclasses import dataclass

import polars as pl

NEAREST_STOP, FARTHEST_STOP = 0.001, 0.95
"""Bounds of a stop's distance, as shares of the close: no stop is zero, negative or the close itself."""


@dataclass(frozen=True)
class RiskProfile:
    """How much risk a reader of the recommendations takes.

    Attributes:
        name: As in `recommendations.profile`.
        horizon: Sessions that a recommendation looks ahead.
        minimum_confidence: The least probability of a BUY or SELL. A third is what chance alone gives.
        volatility_limit: The highest `vol_20d` of a BUY or SELL, annualised; None accepts any.
        stop_atr: Distance of the stop loss from the close, in average true ranges.
        target_atr: Distance of the take profit from the close, in average true ranges.
        positions: Most BUYs, and most SELLs, of one market and session.
    """

    name: str
    horizon: int
    minimum_confidence: float
    volatility_limit: float | None
    stop_atr: float
    target_atr: float
    positions: int


RISK_PROFILES = (
    RiskProfile("conservative", 40, 0.40, 0.35, 3.0, 4.5, 10),
    RiskProfile("moderate", 20, 0.38, 0.60, 2.5, 3.75, 20),
    RiskProfile("aggressive", 10, 0.36, None, 2.0, 3.0, 30),
)
"""From the most cautious to the boldest."""

BOLDEST_FIRST = RISK_PROFILES[::-1]

RULES = hashlib.sha256(repr((RISK_PROFILES, NEAREST_STOP, FARTHEST_STOP)).encode()).hexdigest()[:8]
"""Names the numbers above: a recommendation is replayed by the rules that it was made by, or not at all."""


def label_probability(label: str, profile: RiskProfile) -> pl.Expr:
    """Return the probability of a label at the profile's horizon."""
    return pl.col(f"p_{label.lower()}_{profile.horizon}")


def decide_labels(profile: RiskProfile, rows: pl.DataFrame, bolder_labels: pl.Series | None) -> pl.DataFrame:
    """Return the label that a profile decides on for each row, and the condition that a HOLD fails.

    Args:
        profile: The profile that decides.
        rows: market, ts, volatility (annualised) and the probabilities; the instruments of a session in order.
        bolder_labels: The labels of the next bolder profile, if there is one.

    Returns:
        label; direction and opposite: BUY and SELL, the likelier one first, null where both are equally likely;
        position: the rank, within its market, session and direction, of an instrument that passes all other
        conditions, the most confident first; and failed_condition: null for a BUY or SELL.

        equally_likely      a rise and a fall are equally likely
        unlikely            the probability of the direction is below the minimum of the profile
        volatility_unknown  the profile has a volatility limit, and the volatility is not known
        volatile            the volatility is above the limit
        bolder_disagrees    the bolder profile does not recommend the direction
        positions_taken     as many as the profile takes are likelier
    """
    # Instruments of equal probability keep their order.
    qualified = pl.when(pl.col("failed_condition").is_null()).then("probability")
    position = qualified.rank("ordinal", descending=True).over("market", "ts", "direction")
    taken = pl.when(pl.col("position") > profile.positions).then(pl.lit("positions_taken"))
    label = pl.when(pl.col("failed_condition").is_null()).then("direction").otherwise(pl.lit("HOLD"))
    return (
        _likelier_directions(profile, rows, bolder_labels)
        .with_columns(failed_condition=_first_failed_condition(profile))
        .with_columns(position=position)
        .with_columns(failed_condition=pl.coalesce("failed_condition", taken))
        .select("direction", "opposite", "position", "failed_condition", label=label)
    )


def _likelier_directions(
    profile: RiskProfile, rows: pl.DataFrame, bolder_labels: pl.Series | None
) -> pl.DataFrame:
    """Return market, ts, volatility, direction, opposite, probability (of the direction) and bolder_label."""
    rise, fall = label_probability("BUY", profile), label_probability("SELL", profile)
    return rows.select(
        "market",
        "ts",
        "volatility",
        direction=pl.when(rise > fall).then(pl.lit("BUY")).when(fall > rise).then(pl.lit("SELL")),
        opposite=pl.when(rise > fall).then(pl.lit("SELL")).when(fall > rise).then(pl.lit("BUY")),
        probability=pl.max_horizontal(rise, fall),
        bolder_label=pl.lit(None, pl.String) if bolder_labels is None else bolder_labels,
    )


def _first_failed_condition(profile: RiskProfile) -> pl.Expr:
    """Return the first condition on an instrument by itself that fails, null where none does."""
    limit = math.inf if profile.volatility_limit is None else profile.volatility_limit
    failures = {
        "equally_likely": pl.col("direction").is_null(),
        "unlikely": pl.col("probability") < profile.minimum_confidence,
        "volatility_unknown": pl.col("volatility").is_null() & pl.lit(limit < math.inf),
        "volatile": pl.col("volatility") > limit,
        "bolder_disagrees": pl.col("bolder_label") != pl.col("direction"),
    }
    return pl.coalesce(pl.when(fails).then(pl.lit(condition)) for condition, fails in failures.items())


def stop_loss(profile: RiskProfile) -> pl.Expr:
    """Return the stop loss, from label, c and atr_14; null for HOLD and where a number is missing."""
    return pl.col("c") - _direction() * _distance(profile.stop_atr)


def take_profit(profile: RiskProfile) -> pl.Expr:
    """Return the take profit, from label, c and atr_14; null for HOLD and where a number is missing."""
    return pl.col("c") + _direction() * _distance(profile.target_atr)


def _direction() -> pl.Expr:
    return pl.when(pl.col("label") == "BUY").then(1.0).when(pl.col("label") == "SELL").then(-1.0)


def _distance(average_true_ranges: float) -> pl.Expr:
    """Return how far a stop is from the close, as a price."""
    close = pl.col("c")
    return (average_true_ranges * pl.col("atr_14")).clip(NEAREST_STOP * close, FARTHEST_STOP * close)
