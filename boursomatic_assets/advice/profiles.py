"""Risk profiles: three ways to take risk, and the labels that each decides on from the same predictions.

What belongs here: the conditions of a profile, and the label of an instrument that passes or fails them.
Kept elsewhere: the direction of an instrument (`bands.py`), what is known of a version (`standing.py`), what is
published of a decision (`signals.py`), its justification (`justification.py`), the names of the profiles
(`vocabulary.py`).

A cautious profile chooses among the recommendations of the bolder one, and asks for more. So a BUY of a cautious
profile is a BUY of every bolder one.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from boursomatic_assets.advice.bands import MEMORY, STAY
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.learning.calibration.zones import ENTRY
from boursomatic_assets.learning.labels import BASE_RATE
from boursomatic_assets.learning.parameters import Parameters

NEAREST_STOP, FARTHEST_STOP = 0.001, 0.95
"""Bounds of a stop's distance, as shares of the close: no stop is zero, negative or the close itself."""


@dataclass(frozen=True)
class RiskProfile:
    """How much risk a reader of the recommendations takes.

    Attributes:
        name: As in `recommendations.profile`.
        horizon: Sessions that a recommendation looks ahead.
        evidence: How many to one must speak for a version before it advises.
        lift: By how much the probability of a BUY or SELL must be above BASE_RATE at its end of the scores.
            Further from the end, where a direction goes on, it must be that of the opposite.
        stop_atr: Distance of the stop loss from the close, in average true ranges.
        target_atr: Distance of the take profit from the close, in average true ranges.
        positions: Most BUYs, and most SELLs, of one market and session.
    """

    name: str
    horizon: int
    evidence: float
    lift: float
    stop_atr: float
    target_atr: float
    positions: int

    @property
    def minimum_confidence(self) -> float:
        """The least probability of a BUY or SELL, at its end of the scores."""
        return BASE_RATE + self.lift

    @property
    def volatility_limit(self) -> float | None:
        """The highest `vol_20d` of a BUY or SELL, annualised; None accepts any."""
        return Parameters().volatility_limit(self.horizon)


RISK_PROFILES = (
    RiskProfile("conservative", 40, 20.0, 0.020, 3.0, 4.5, 10),
    RiskProfile("moderate", 20, 5.0, 0.015, 2.5, 3.75, 20),
    RiskProfile("aggressive", 10, 2.0, 0.010, 2.0, 3.0, 30),
)
"""From the most cautious to the boldest."""


def profiles_asking(evidence: Sequence[float]) -> tuple[RiskProfile, ...]:
    """Return RISK_PROFILES with other demands for evidence, in their order."""
    return tuple(replace(one, evidence=asked) for one, asked in zip(RISK_PROFILES, evidence, strict=True))


RULES = hashlib.sha256(
    repr(
        ([replace(one, evidence=0) for one in RISK_PROFILES], Parameters.volatility_limits, NEAREST_STOP,
         FARTHEST_STOP, ENTRY, STAY, MEMORY)
    ).encode()
).hexdigest()[:8]  # fmt: skip
"""Names the numbers above, but for the evidence, which each recommendation states: a recommendation is replayed by
the rules that it was made by, or not at all."""

VIEW_OF_HOLD = {
    "bolder_unproven": "none",  # the evidence is too little for a bolder profile
    "unproven": "none",  # the evidence is too little for the profile
    "volatility_unknown": "none",  # the profile has a volatility limit, and the volatility is not known
    "volatile": "none",  # the volatility is above the limit
    "middle": "given",  # the score is at neither end of its session's
    "not_worth": "none",  # on the record the direction was not worth more than the rest
    "unlikely": "given",  # the best probability of the direction is below the minimum of the profile
    "faded": "given",  # that of the instrument is below that of the opposite: it went on too far from the end
    "bolder_disagrees": "capped",  # the bolder profile does not recommend the direction
    "positions_taken": "capped",  # as many as the profile takes have a score further at the end
}
"""The conditions in the order in which they are asked, and the view of a HOLD that fails one."""


def is_proven(profile: RiskProfile, standing: Standing) -> bool:
    """Return whether the evidence for a version is as much as a profile asks for."""
    return standing.evidence(profile.horizon) >= profile.evidence


def label_probability(label: str, profile: RiskProfile) -> pl.Expr:
    """Return the probability of a label at the profile's horizon."""
    return pl.col(f"p_{label.lower()}_{profile.horizon}")


@dataclass(frozen=True)
class Adviser:
    """A profile that decides by what is known of a version.

    Attributes:
        profile: The profile.
        bolder: The bolder profiles: it advises nothing if the evidence is too little for one of them.
        standing: What is known of the version.
    """

    profile: RiskProfile
    bolder: tuple[RiskProfile, ...]
    standing: Standing

    def failures(self) -> dict[str, pl.Expr]:
        """Return when each condition on an instrument by itself fails, in the order in which they are asked."""
        profile, standing = self.profile, self.standing
        limit = math.inf if profile.volatility_limit is None else profile.volatility_limit
        return {
            "bolder_unproven": pl.lit(not all(is_proven(one, standing) for one in self.bolder)),
            "unproven": pl.lit(not is_proven(profile, standing)),
            "volatility_unknown": pl.col("volatility").is_null() & pl.lit(limit < math.inf),
            "volatile": pl.col("volatility") > limit,
            "middle": pl.col("direction").is_null(),
            "not_worth": pl.col("direction").is_in(standing.worth(profile.horizon)).not_(),
            "unlikely": pl.col("best_probability") < profile.minimum_confidence,
            "faded": pl.col("direction_probability") < pl.col("opposite_probability"),
            "bolder_disagrees": pl.col("bolder_label") != pl.col("direction"),
        }


def decide_labels(adviser: Adviser, rows: pl.DataFrame, bolder_labels: pl.Series | None) -> pl.DataFrame:
    """Return the label that a profile decides on for each row, and the condition that a HOLD fails.

    Args:
        adviser: The profile that decides, and by what.
        rows: market, ts, direction, score_rank, volatility (annualised) and the probabilities; the instruments of
            a session in order.
        bolder_labels: The labels of the next bolder profile, if there is one.

    Returns:
        label; view (one of `vocabulary.VIEWS`); position: the rank, within its market, session and direction, of
        an instrument that passes all other conditions, that with the most extreme score first;
        direction_probability, best_probability (that of the furthest score of the session),
        opposite_probability; and failed_condition: one of VIEW_OF_HOLD, null for a BUY or SELL.
    """
    judged = _judge(adviser, rows, bolder_labels)
    # Instruments of equal scores keep their order.
    qualified = pl.when(pl.col("failed_condition").is_null()).then("extremity")
    position = qualified.rank("ordinal", descending=True).over("market", "ts", "direction")
    taken = pl.when(pl.col("position") > adviser.profile.positions).then(pl.lit("positions_taken"))
    failed = pl.col("failed_condition")
    view = failed.replace_strict({None: "given", **VIEW_OF_HOLD}, return_dtype=pl.String)
    return (
        judged.with_columns(position=position)
        .with_columns(failed_condition=pl.coalesce("failed_condition", taken))
        .select(
            "position",
            "failed_condition",
            "direction_probability",
            "best_probability",
            "opposite_probability",
            label=pl.when(failed.is_null()).then("direction").otherwise(pl.lit("HOLD")),
            view=view,
        )
    )


def _judge(adviser: Adviser, rows: pl.DataFrame, bolder_labels: pl.Series | None) -> pl.DataFrame:
    """Return market, ts, direction, extremity, the probabilities and the first failed_condition of each row.

    The extremity of a score is how near it is to the end that its direction is at, 1 at most.
    """
    chances = {label: label_probability(label, adviser.profile) for label in ("BUY", "SELL")}
    own = [pl.when(direction=label).then(chance) for label, chance in chances.items()]
    opposite = [pl.when(pl.col("direction") != label).then(chance) for label, chance in chances.items()]
    best = [pl.when(direction=label).then(chance.max().over("market", "ts")) for label, chance in chances.items()]
    failures = adviser.failures().items()
    return rows.select(
        "market",
        "ts",
        "volatility",
        "direction",
        extremity=pl.when(direction="BUY").then("score_rank").otherwise(1 - pl.col("score_rank")),
        direction_probability=pl.coalesce(own),
        opposite_probability=pl.coalesce(opposite),
        best_probability=pl.coalesce(best),
        bolder_label=pl.lit(None, pl.String) if bolder_labels is None else bolder_labels,
    ).with_columns(failed_condition=pl.coalesce(pl.when(fails).then(pl.lit(name)) for name, fails in failures))


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
