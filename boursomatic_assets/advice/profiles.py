"""Profiles: three ways to take risk, and what each of them decides on the same probabilities.

What belongs here: what a profile asks for, and what becomes of an instrument that has it or lacks it.
Kept elsewhere: what is published of a decision (`signals.py`), and how it is said (`justification.py`).

A cautious profile chooses among what the bolder one advises, and asks for more. So what is BUY for a cautious
profile is BUY for every bolder one.
"""

import math
from dataclasses import dataclass

import polars as pl

NEAREST_STOP, FARTHEST_STOP = 0.001, 0.95
"""Bounds of a stop's distance, as shares of the close: no stop is zero, negative or the close itself."""


@dataclass(frozen=True)
class Profile:
    """How much risk a reader of the advice takes.

    Attributes:
        name: As in `recommendations.profile`.
        horizon: Sessions that the advice looks ahead.
        minimum_confidence: The least probability of a BUY or SELL. A third is what chance alone gives.
        volatility_limit: The highest `vol_20d` of a BUY or SELL, annualised; None bears any.
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
    Profile("conservative", 40, 0.40, 0.35, 3.0, 4.5, 10),
    Profile("moderate", 20, 0.38, 0.60, 2.5, 3.75, 20),
    Profile("aggressive", 10, 0.36, None, 2.0, 3.0, 30),
)
"""From the most cautious to the boldest."""

BOLDEST_FIRST = PROFILES[::-1]


def probability(label: str, profile: Profile) -> pl.Expr:
    """The probability of a label at the profile's horizon."""
    return pl.col(f"p_{label.lower()}_{profile.horizon}")


def decide(profile: Profile, rows: pl.DataFrame, bolder: pl.Series | None) -> pl.DataFrame:
    """Return what a profile decides on each row, and why.

    Args:
        profile: The profile that decides.
        rows: market, ts, volatility (annualised) and the probabilities; the instruments of a session in order.
        bolder: The labels that the next bolder profile chose, if there is one.

    Returns:
        label; ahead and behind: BUY and SELL, the likelier one first, null where they are equally likely; place:
        where an instrument that passes all else is among those of its market, the most confident first; and
        refusal: why a HOLD is no BUY or SELL, null without one.

        even        a rise and a fall are equally likely
        unsure      the likelier one is less likely than the profile asks for
        unmeasured  the profile has a volatility limit and the volatility is not known
        volatile    the volatility is above the limit
        alone       the bolder profile does not advise it
        full        there are enough that are likelier
    """
    rise, fall = probability("BUY", profile), probability("SELL", profile)
    limit = math.inf if profile.volatility_limit is None else profile.volatility_limit
    found = rows.select(
        "market",
        "ts",
        "volatility",
        ahead=pl.when(rise > fall).then(pl.lit("BUY")).when(fall > rise).then(pl.lit("SELL")),
        behind=pl.when(rise > fall).then(pl.lit("SELL")).when(fall > rise).then(pl.lit("BUY")),
        chance=pl.max_horizontal(rise, fall),
        bolder=pl.lit(None, pl.String) if bolder is None else bolder,
    )
    refusals = {
        "even": pl.col("ahead").is_null(),
        "unsure": pl.col("chance") < profile.minimum_confidence,
        "unmeasured": pl.col("volatility").is_null() & pl.lit(limit < math.inf),
        "volatile": pl.col("volatility") > limit,
        "alone": pl.col("bolder") != pl.col("ahead"),
    }
    refused = pl.coalesce(pl.when(broken).then(pl.lit(refusal)) for refusal, broken in refusals.items())
    # Equal ones keep their order, which is that of their instruments.
    passing = pl.when(pl.col("refusal").is_null()).then("chance")
    place = passing.rank("ordinal", descending=True).over("market", "ts", "ahead")
    full = pl.when(pl.col("place") > profile.positions).then(pl.lit("full"))
    label = pl.when(pl.col("refusal").is_null()).then("ahead").otherwise(pl.lit("HOLD"))
    return (
        found.with_columns(refusal=refused)
        .with_columns(place=place)
        .with_columns(refusal=pl.coalesce("refusal", full))
        .select("ahead", "behind", "place", "refusal", label=label)
    )


def stop_loss(profile: Profile) -> pl.Expr:
    """The stop loss, from label, c and atr_14; null for HOLD and where a number is missing."""
    return pl.col("c") - _direction() * _distance(profile.stop_atr)


def take_profit(profile: Profile) -> pl.Expr:
    """The take profit, from label, c and atr_14; null for HOLD and where a number is missing."""
    return pl.col("c") + _direction() * _distance(profile.target_atr)


def _direction() -> pl.Expr:
    return pl.when(pl.col("label") == "BUY").then(1.0).when(pl.col("label") == "SELL").then(-1.0)


def _distance(average_true_ranges: float) -> pl.Expr:
    """Return how far a stop is from the close, as a price."""
    close = pl.col("c")
    return (average_true_ranges * pl.col("atr_14")).clip(NEAREST_STOP * close, FARTHEST_STOP * close)
