"""The former profiles: the labels that they decided on, from the likelier of a rise and a fall.

What belongs here: their numbers and conditions, as they were when RULES names them.
Kept elsewhere: the profiles of now (`advice/profiles.py`).
"""

import math
from dataclasses import dataclass

import polars as pl

from boursomatic_assets.learning.labels import CLASSES

RULES = "ef6f3256"
"""What a snapshot calls the numbers of this module."""

NEAREST_STOP, FARTHEST_STOP = 0.001, 0.95
"""Bounds of a stop's distance, as shares of the close."""


@dataclass(frozen=True)
class FormerProfile:
    """A profile, with the limits of its conditions.

    Attributes:
        name: As in `recommendations.profile`.
        horizon: Sessions that a recommendation looks ahead.
        minimum_confidence: The least probability of a BUY or SELL.
        volatility_limit: The highest annual volatility; None accepts any.
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


PROFILES = (
    FormerProfile("conservative", 40, 0.40, 0.35, 3.0, 4.5, 10),
    FormerProfile("moderate", 20, 0.38, 0.60, 2.5, 3.75, 20),
    FormerProfile("aggressive", 10, 0.36, None, 2.0, 3.0, 30),
)
"""From the most cautious to the boldest."""


def decide_labels(profile: FormerProfile, rows: pl.DataFrame, bolder_labels: pl.Series | None) -> pl.DataFrame:
    """Return the label that a profile decided on for each row, and the condition that a HOLD fails.

    Args:
        profile: The profile.
        rows: market, ts, volatility (annualised) and the probabilities; the instruments of a session in order.
        bolder_labels: The labels of the next bolder profile, if there is one.

    Returns:
        label; direction: the likelier of BUY and SELL; direction_probability; position, the most confident first;
        and failed_condition: null for a BUY or SELL.
    """
    # Instruments of equal probability keep their order.
    qualified = pl.when(pl.col("failed_condition").is_null()).then("direction_probability")
    position = qualified.rank("ordinal", descending=True).over("market", "ts", "direction")
    taken = pl.when(pl.col("position") > profile.positions).then(pl.lit("positions_taken"))
    label = pl.when(pl.col("failed_condition").is_null()).then("direction").otherwise(pl.lit("HOLD"))
    rise, fall = pl.col(f"p_buy_{profile.horizon}"), pl.col(f"p_sell_{profile.horizon}")
    return (
        rows.select(
            "market",
            "ts",
            "volatility",
            direction=pl.when(rise > fall).then(pl.lit("BUY")).when(fall > rise).then(pl.lit("SELL")),
            direction_probability=pl.max_horizontal(rise, fall),
            bolder_label=pl.lit(None, pl.String) if bolder_labels is None else bolder_labels,
        )
        .with_columns(failed_condition=_first_failed_condition(profile))
        .with_columns(position=position)
        .with_columns(failed_condition=pl.coalesce("failed_condition", taken))
        .select("direction", "direction_probability", "position", "failed_condition", label=label)
    )


def _first_failed_condition(profile: FormerProfile) -> pl.Expr:
    limit = math.inf if profile.volatility_limit is None else profile.volatility_limit
    failures = {
        "equally_likely": pl.col("direction").is_null(),
        "unlikely": pl.col("direction_probability") < profile.minimum_confidence,
        "volatility_unknown": pl.col("volatility").is_null() & pl.lit(limit < math.inf),
        "volatile": pl.col("volatility") > limit,
        "bolder_disagrees": pl.col("bolder_label") != pl.col("direction"),
    }
    return pl.coalesce(pl.when(fails).then(pl.lit(condition)) for condition, fails in failures.items())


def decision(profile: FormerProfile) -> list[pl.Expr]:
    """Return the profile's name, and the columns that say what it advised, from decided rows with c and atr_14."""
    by_label = (
        pl.when(pl.col("label") == label).then(f"p_{label.lower()}_{profile.horizon}") for label in CLASSES
    )
    sign = pl.when(pl.col("label") == "BUY").then(1.0).when(pl.col("label") == "SELL").then(-1.0)
    stop, target = (_distance(ranges) for ranges in (profile.stop_atr, profile.target_atr))
    return [
        pl.lit(profile.name).alias("profile"),
        pl.col("label"),
        pl.lit(None, pl.String).alias("view"),
        pl.coalesce(by_label).alias("confidence"),
        pl.col(f"expected_return_pct_{profile.horizon}").alias("expected_return_pct"),
        pl.lit(profile.horizon, pl.Int32).alias("horizon_days"),
        (pl.col("c") - sign * stop).alias("stop_loss"),
        (pl.col("c") + sign * target).alias("take_profit"),
    ]


def _distance(average_true_ranges: float) -> pl.Expr:
    """Return how far a stop is from the close, as a price."""
    close = pl.col("c")
    return (average_true_ranges * pl.col("atr_14")).clip(NEAREST_STOP * close, FARTHEST_STOP * close)
