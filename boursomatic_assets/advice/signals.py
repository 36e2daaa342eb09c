"""Signals: a model's probabilities as recommendations of three risk profiles, each with its evidence.

What belongs here: the rows that are published, from predictions, features and closes.
Kept elsewhere: the label that a profile decides on (`profiles.py`), its justification (`justification.py`), its
snapshot (`snapshots.py`), probabilities and contributions (`learning/prediction.py`), versions of a
recommendation and since when each is current (`tables/`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from polars import selectors

from boursomatic_assets.advice.justification import describe_evidence, write_justifications
from boursomatic_assets.advice.profiles import (
    RISK_PROFILES,
    Adviser,
    RiskProfile,
    decide_labels,
    label_probability,
    stop_loss,
    take_profit,
)
from boursomatic_assets.advice.snapshots import write_snapshots
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.arrays import KEY, SESSIONS_PER_YEAR
from boursomatic_assets.language import Wording, wording_of
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.learning.labels import BASE_RATE, CLASSES

DECISION_COLUMNS = (
    "label", "view", "confidence", "expected_return_pct", "horizon_days", "stop_loss", "take_profit",
)  # fmt: skip
"""The columns of a recommendation that say what is advised."""

REASON_COLUMNS = (
    "direction", "direction_probability", "opposite_probability", "best_probability", "volatility", "position",
    "failed_condition",
)  # fmt: skip
"""What a profile decided on, as `profiles.decide_labels` says it, and the annualised volatility."""


@dataclass(frozen=True)
class Maker:
    """The version that recommends, with all that decides on its labels.

    Attributes:
        version: Its name.
        standing: What its record says of it.
        profiles: From the most cautious to the boldest, each with the evidence that it asks for.
        abstention: The justification of every row if there is no champion: all of them are then HOLD.
    """

    version: str
    standing: Standing
    profiles: tuple[RiskProfile, ...] = RISK_PROFILES
    abstention: str | None = None


def recommend(
    predictions: pl.DataFrame, features: pl.DataFrame, closes: pl.DataFrame, maker: Maker, language: str = "en"
) -> pl.DataFrame:
    """Return one recommendation for each prediction and profile, sorted by time, instrument and profile.

    A recommendation depends on the rows of its own market and session alone.

    Args:
        predictions: instrument_id, ts, market, score, score_rank, direction (of `bands.find_directions`),
            contributions (struct: the contribution of each feature of the model to the score), and for the horizon
            h of each profile p_sell_h, p_hold_h, p_buy_h, expected_return_pct_h.
        features: instrument_id, ts, `snapshots.FEATURE_COLUMNS`, the features of the model and the features that
            they rank (Float64) of the same rows.
        closes: instrument_id, ts, c of the same rows; without a close there are no stops.
        maker: The version, and what decides on its labels.
        language: The language of the justifications, one of `language.WORDINGS`.

    Returns:
        instrument_id, ts, profile, label, view, confidence (the probability of the label at the profile's horizon;
        BASE_RATE where no view is given), expected_return_pct, horizon_days (sessions), stop_loss, take_profit
        (both null for HOLD, and without a close or an average true range), justification and features_snapshot. A
        row without any ranked feature or without probabilities has no recommendation.

    Raises:
        ValueError: A feature is not finite, a feature has no wording, or there is no such language.
    """
    wording = wording_of(language)
    rows = _join_inputs(predictions, features, closes, predictions["contributions"].struct.fields)
    rows = rows.with_columns(
        *(describe_evidence(rows, wording) if maker.abstention is None else ()),
        features_snapshot=write_snapshots(rows, maker.version, maker.profiles),
    )
    published: list[pl.DataFrame] = []
    for bolder, profile, decided in _decide(rows, maker):
        text = _justify(profile, bolder, decided, maker, wording)
        texts = decided.select(justification=text, features_snapshot="features_snapshot")
        published.append(decided.select(*KEY, *_decision(profile)).hstack(texts))
    return _by_row(published)


def _justify(
    profile: RiskProfile, bolder: RiskProfile | None, decided: pl.DataFrame, maker: Maker, wording: Wording
) -> pl.Series | pl.Expr:
    """Return the justification of each decided row, or that of an abstention."""
    if maker.abstention is None:
        return write_justifications(profile, bolder, decided, maker.version, maker.standing, wording)
    return pl.lit(maker.abstention)


def decide(
    predictions: pl.DataFrame,
    features: pl.DataFrame,
    closes: pl.DataFrame,
    model_features: Sequence[str],
    maker: Maker,
) -> pl.DataFrame:
    """Return what `recommend` advises, without its texts.

    Args:
        predictions: As `recommend` takes them; contributions may be left out.
        features: As `recommend` takes them; features that are only ranked may be left out.
        closes: As `recommend` takes them.
        model_features: The features of the model.
        maker: The version, and what decides on its labels.

    Returns:
        instrument_id, ts, profile, DECISION_COLUMNS and REASON_COLUMNS, sorted as those of `recommend`.
    """
    rows = _join_inputs(predictions, features, closes, model_features)
    decided = _decide(rows, maker)
    return _by_row([one.select(*KEY, *_decision(profile), *REASON_COLUMNS) for _, profile, one in decided])


def _join_inputs(
    predictions: pl.DataFrame, features: pl.DataFrame, closes: pl.DataFrame, model_features: Sequence[str]
) -> pl.DataFrame:
    """Return predictions, features and closes of each row that has evidence, sorted by time and instrument.

    `instruments` counts all rows of the market and session. Context is the same for all instruments of a market
    and no evidence about one of them: some rank must be known.
    """
    own_features = [name for name in model_features if name.endswith(RANK_SUFFIX)] or list(model_features)
    probabilities = [label_probability(label, profile) for label in CLASSES for profile in RISK_PROFILES]
    return (
        predictions.with_columns(instruments=pl.len().over("market", "ts"))
        .join(features.select(*KEY, selectors.float()), on=KEY)
        .filter(
            pl.any_horizontal(pl.col(own_features).is_not_null()),
            *(probability.is_finite() for probability in probabilities),
        )
        .join(closes.select(*KEY, "c"), on=KEY, how="left")
        .sort("ts", "instrument_id")
        .with_columns(volatility=pl.col("vol_20d") * math.sqrt(SESSIONS_PER_YEAR))
    )


def _decide(rows: pl.DataFrame, maker: Maker) -> Iterator[tuple[RiskProfile | None, RiskProfile, pl.DataFrame]]:
    """Yield the next bolder profile, each profile from the boldest on, and the rows with what it decides."""
    labels = None
    boldest_first = maker.profiles[::-1]
    for place, profile in enumerate(boldest_first):
        bolder = boldest_first[:place]
        decided = rows.with_columns(decide_labels(Adviser(profile, bolder, maker.standing), rows, labels))
        labels = decided["label"]
        if maker.abstention is not None:
            decided = decided.with_columns(label=pl.lit("HOLD"), view=pl.lit("none"))
        yield (bolder[-1] if bolder else None), profile, decided


def _by_row(boldest_first: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all profiles, the profiles of each row side by side, from the most cautious."""
    by_profile = pl.concat(reversed(boldest_first))
    return by_profile[np.arange(by_profile.height).reshape(len(RISK_PROFILES), -1).T.ravel()]


def _decision(profile: RiskProfile) -> list[pl.Expr]:
    """Return the profile's name, and DECISION_COLUMNS of its decided rows."""
    given = pl.col("view") == "given"
    confidence = [
        pl.when(given & (pl.col("label") == label)).then(label_probability(label, profile)) for label in CLASSES
    ]
    return [
        pl.lit(profile.name).alias("profile"),
        pl.col("label"),
        pl.col("view"),
        pl.coalesce(*confidence, pl.lit(BASE_RATE)).alias("confidence"),
        pl.col(f"expected_return_pct_{profile.horizon}").alias("expected_return_pct"),
        pl.lit(profile.horizon, pl.Int32).alias("horizon_days"),
        stop_loss(profile).alias("stop_loss"),
        take_profit(profile).alias("take_profit"),
    ]
