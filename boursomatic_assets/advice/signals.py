"""Signals: a model's probabilities as recommendations of three risk profiles, each with its evidence.

What belongs here: the rows that are published, from predictions, features and closes.
Kept elsewhere: the label that a profile decides on (`profiles.py`), its justification (`justification.py`),
probabilities and contributions (`learning/prediction.py`), versions of a recommendation and since when each is
current (`tables/`).
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from polars import selectors

from boursomatic_assets.advice.justification import describe_evidence, write_justifications
from boursomatic_assets.advice.profiles import (
    BOLDEST_FIRST,
    RISK_PROFILES,
    RULES,
    RiskProfile,
    decide_labels,
    label_probability,
    stop_loss,
    take_profit,
)
from boursomatic_assets.arrays import KEY, SESSIONS_PER_YEAR
from boursomatic_assets.language import wording_of
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.prediction import CALIBRATION_FEATURES

FEATURE_COLUMNS = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore")
"""The columns of `features` that are numbers: all are in a snapshot, whether the model uses them or not."""


DECISION_COLUMNS = ("label", "confidence", "expected_return_pct", "horizon_days", "stop_loss", "take_profit")
"""The columns of a recommendation that say what is advised."""

REASON_COLUMNS = ("direction", "volatility", "position", "failed_condition")
"""What a profile decided on, as `profiles.decide_labels` says it, and the annualised volatility."""


@dataclass(frozen=True)
class FeaturesSnapshot:
    """The evidence that a recommendation was made from, all of it: with its model it can be made again.

    Snapshots from before this was kept have None for the last three.

    Attributes:
        ts: The session.
        model_version: The version that recommended.
        features: FEATURE_COLUMNS, CALIBRATION_FEATURES and the features of the model.
        close: The session's close; None if there was none.
        instruments: How many instruments of the market were scored in the session, with and without advice.
        rules: The `profiles.RULES` that decided.
    """

    ts: datetime
    model_version: str
    features: dict[str, float | None]
    close: float | None = None
    instruments: int | None = None
    rules: str | None = None


def recommend(
    predictions: pl.DataFrame,
    features: pl.DataFrame,
    closes: pl.DataFrame,
    version: str,
    abstention: str | None = None,
    language: str = "en",
) -> pl.DataFrame:
    """Return one recommendation for each prediction and profile, sorted by time, instrument and profile.

    A recommendation depends on the rows of its own market and session alone.

    Args:
        predictions: instrument_id, ts, market, contributions (struct: the contribution of each feature of the
            model to the score), and for the horizon h of each profile p_sell_h, p_hold_h, p_buy_h,
            expected_return_pct_h.
        features: instrument_id, ts, FEATURE_COLUMNS, the features of the model and the features that they rank
            (Float64) of the same rows.
        closes: instrument_id, ts, c of the same rows; without a close there are no stops.
        version: The version of the model.
        abstention: The justification of every row if there is no champion: all of them are then HOLD.
        language: The language of the justifications, one of `language.WORDINGS`.

    Returns:
        instrument_id, ts, profile, label, confidence (the probability of the label at the profile's horizon),
        expected_return_pct, horizon_days (sessions), stop_loss, take_profit (both null for HOLD, and without
        a close or an average true range), justification and features_snapshot. A row without any ranked feature
        or without probabilities has no recommendation.

    Raises:
        ValueError: A feature is not finite, a feature has no wording, or there is no such language.
    """
    wording = wording_of(language)
    rows = _join_inputs(predictions, features, closes, predictions["contributions"].struct.fields)
    rows = rows.with_columns(
        *(describe_evidence(rows, wording) if abstention is None else ()),
        features_snapshot=_write_snapshots(rows, version),
    )
    published: list[pl.DataFrame] = []
    for bolder, profile, decided in _decide(rows, abstaining=abstention is not None):
        text = (
            write_justifications(profile, bolder, decided, wording) if abstention is None else pl.lit(abstention)
        )
        texts = decided.select(justification=text, features_snapshot="features_snapshot")
        published.append(decided.select(*KEY, *_decision(profile)).hstack(texts))
    return _by_row(published)


def decide(
    predictions: pl.DataFrame,
    features: pl.DataFrame,
    closes: pl.DataFrame,
    model_features: Sequence[str],
    *,
    abstaining: bool,
) -> pl.DataFrame:
    """Return what `recommend` advises, without its texts.

    Args:
        predictions: As `recommend` takes them; contributions may be left out.
        features: As `recommend` takes them; features that are only ranked may be left out.
        closes: As `recommend` takes them.
        model_features: The features of the model.
        abstaining: Whether there is no champion.

    Returns:
        instrument_id, ts, profile, DECISION_COLUMNS and REASON_COLUMNS, sorted as those of `recommend`.
    """
    rows = _join_inputs(predictions, features, closes, model_features)
    decided = _decide(rows, abstaining=abstaining)
    return _by_row([one.select(*KEY, *_decision(profile), *REASON_COLUMNS) for _, profile, one in decided])


def parse_snapshot(text: str) -> FeaturesSnapshot:
    """Return a features_snapshot as it was written: every number is the very same float.

    Raises:
        ValueError: The text is not a snapshot.
    """
    try:
        fields = json.loads(text)
        ts = datetime.fromisoformat(fields["ts"])
        added = (fields.get(name) for name in ("close", "instruments", "rules"))
        return FeaturesSnapshot(ts, fields["model_version"], dict(fields["features"]), *added)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"not a features snapshot: {text[:80]!r}: give the text of recommendations.features_snapshot"
        ) from error


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


def _decide(
    rows: pl.DataFrame, *, abstaining: bool
) -> Iterator[tuple[RiskProfile | None, RiskProfile, pl.DataFrame]]:
    """Yield the next bolder profile, each profile from the boldest on, and the rows with what it decides."""
    bolder, labels = None, None
    for profile in BOLDEST_FIRST:
        decided = rows.with_columns(decide_labels(profile, rows, labels))
        labels = decided["label"]
        yield bolder, profile, decided.with_columns(label=pl.lit("HOLD")) if abstaining else decided
        bolder = profile


def _by_row(boldest_first: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all profiles, the profiles of each row side by side, from the most cautious."""
    by_profile = pl.concat(reversed(boldest_first))
    return by_profile[np.arange(by_profile.height).reshape(len(RISK_PROFILES), -1).T.ravel()]


def _write_snapshots(rows: pl.DataFrame, version: str) -> pl.Series:
    """Return the snapshot of each row as canonical JSON, in which a float is its `repr`."""
    names = sorted({*FEATURE_COLUMNS, *CALIBRATION_FEATURES, *rows["contributions"].struct.fields})
    features = ",".join(f'"{name}":{{{name}}}' for name in names)
    ts = pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
    template = (
        f'{{{{"close":{{}},"features":{{{{{features}}}}},"instruments":{{}},"model_version":{{}},'
        '"rules":{},"ts":"{}"}}'
    )
    texts = rows.select(
        "ts", "instruments", *(_float_texts(rows[name]).fill_null("null") for name in ("c", *names))
    )
    quoted = (pl.lit(json.dumps(text)) for text in (version, RULES))
    return texts.select(pl.format(template, pl.col("c"), pl.col("instruments"), *quoted, ts)).to_series()


def _float_texts(numbers: pl.Series) -> pl.Series:
    """Return each float as its `repr`: the shortest text that reads back as the very same float."""
    if not numbers.is_finite().all():
        raise ValueError(f"{numbers.name} has a number that is not JSON compliant: give finite ones, or null")
    # polars writes the same digits, but the exponents of small numbers in its own way.
    small = (numbers.abs() < 1e-4).arg_true()
    return numbers.cast(pl.String).scatter(small, [repr(number) for number in numbers.gather(small)])


def _decision(profile: RiskProfile) -> list[pl.Expr]:
    """Return the profile's name, and DECISION_COLUMNS of its decided rows."""
    confidence = (pl.when(pl.col("label") == label).then(label_probability(label, profile)) for label in CLASSES)
    return [
        pl.lit(profile.name).alias("profile"),
        pl.col("label"),
        pl.coalesce(confidence).alias("confidence"),
        pl.col(f"expected_return_pct_{profile.horizon}").alias("expected_return_pct"),
        pl.lit(profile.horizon, pl.Int32).alias("horizon_days"),
        stop_loss(profile).alias("stop_loss"),
        take_profit(profile).alias("take_profit"),
    ]
