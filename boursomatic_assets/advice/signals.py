"""Signals: a model's probabilities as advice in three risk profiles, each with its evidence.

What belongs here: the rows that are published, from predictions, features and closes.
Kept elsewhere: what a profile decides (`profiles.py`), the words for it (`justification.py`), probabilities and
contributions (`learning.prediction`), which advice stands and since when (`recommendations`).
"""

import json
import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from polars import selectors

from boursomatic_assets.advice.justification import justify, reasons
from boursomatic_assets.advice.profiles import (
    BOLDEST_FIRST,
    PROFILES,
    Profile,
    decide,
    probability,
    stop_loss,
    take_profit,
)
from boursomatic_assets.arrays import KEY, SESSIONS_PER_YEAR
from boursomatic_assets.language.sentences import sentences
from boursomatic_assets.language.words import RANK
from boursomatic_assets.learning.labels import CLASSES

__all__ = ["PROFILES", "Profile", "Snapshot", "parse_snapshot", "recommend"]

COLUMNS = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore")
"""The columns of `features` that are numbers: each is in the evidence of an advice, seen by the model or not."""


@dataclass(frozen=True)
class Snapshot:
    """The evidence that an advice was made from."""

    ts: datetime
    model_version: str
    features: dict[str, float | None]


def recommend(
    predictions: pl.DataFrame,
    features: pl.DataFrame,
    closes: pl.DataFrame,
    version: str,
    abstention: str | None = None,
    language: str = "en",
) -> pl.DataFrame:
    """Return one advice for each prediction and profile, sorted by time, instrument and profile.

    An advice depends on the rows of its own market and session alone.

    Args:
        predictions: instrument_id, ts, market, contributions (struct: what each feature of the model adds to the
            score), and for the horizon h of each profile p_sell_h, p_hold_h, p_buy_h, expected_return_pct_h.
        features: instrument_id, ts, COLUMNS, the features of the model and what they rank (Float64) of the
            same rows.
        closes: instrument_id, ts, c of the same rows; without a close there are no stops.
        version: The version of the model.
        abstention: The justification of every advice while no model may speak: all of them are then HOLD.
        language: One of `words.LANGUAGES`.

    Returns:
        instrument_id, ts, profile, label, confidence (the probability of the label at the profile's horizon),
        expected_return_pct, horizon_days (sessions), stop_loss, take_profit (both null for HOLD, and without
        a close or an average true range), justification and features_snapshot. A row that the model knows
        nothing of (its ranked features are all null, or its probabilities are) is not advised.

    Raises:
        ValueError: A feature is not finite, a feature has no words, or there is no such language.
    """
    spoken = sentences(language)
    rows = _advisable(predictions, features, closes)
    seen = predictions["contributions"].struct.fields
    evidence = rows.select("ts", *COLUMNS, *(name for name in seen if name not in COLUMNS))
    rows = rows.with_columns(
        *(reasons(rows, spoken) if abstention is None else ()),
        features_snapshot=_snapshots(evidence, version),
        volatility=pl.col("vol_20d") * math.sqrt(SESSIONS_PER_YEAR),
    )
    advice: list[pl.DataFrame] = []
    for bolder, profile in zip((None, *BOLDEST_FIRST), BOLDEST_FIRST, strict=False):
        decisions = rows.with_columns(decide(profile, rows, advice[-1]["label"] if advice else None))
        if abstention is None:
            said = decisions.with_columns(justification=justify(profile, bolder, decisions, spoken))
        else:
            said = decisions.with_columns(label=pl.lit("HOLD"), justification=pl.lit(abstention))
        advice.append(_published(profile, said))
    whole = pl.concat(reversed(advice))
    return whole[np.arange(whole.height).reshape(len(PROFILES), -1).T.ravel()]


def parse_snapshot(text: str) -> Snapshot:
    """Read a features_snapshot back; every number is the very float that was advised on.

    Raises:
        ValueError: The text is not a snapshot.
    """
    try:
        found = json.loads(text)
        ts = datetime.fromisoformat(found["ts"])
        return Snapshot(ts, found["model_version"], dict(found["features"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"not a features snapshot: {text[:80]!r}: give the text of recommendations.features_snapshot"
        ) from error


def _advisable(predictions: pl.DataFrame, features: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return what is known of each row that the model knows something of, sorted by time and instrument.

    What all instruments of a market share says nothing of one of them: some rank must be there.
    """
    seen = predictions["contributions"].struct.fields
    own = [name for name in seen if name.endswith(RANK)] or seen
    chances = [probability(label, profile) for label in CLASSES for profile in PROFILES]
    return (
        predictions.join(features.select(*KEY, selectors.float()), on=KEY)
        .filter(pl.any_horizontal(pl.col(own).is_not_null()), *(known.is_finite() for known in chances))
        .join(closes.select(*KEY, "c"), on=KEY, how="left")
        .sort("ts", "instrument_id")
    )


def _snapshots(rows: pl.DataFrame, version: str) -> pl.Series:
    """Return ts, version and features of each row as canonical JSON, in which a float is its `repr`."""
    names = sorted(rows.columns[1:])
    features = ",".join(f'"{name}":{{{name}}}' for name in names)
    ts = pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
    text = f'{{{{"features":{{{{{features}}}}},"model_version":{{}},"ts":"{{}}"}}}}'
    written = rows.with_columns(_repr(rows[name]).fill_null("null") for name in names)
    return written.select(pl.format(text, pl.lit(json.dumps(version)), ts)).to_series()


def _repr(numbers: pl.Series) -> pl.Series:
    """Return each float as Python writes it: the shortest text that reads back as the very same."""
    if not numbers.is_finite().all():
        raise ValueError(f"{numbers.name} has a number that is not JSON compliant: give finite ones, or null")
    # polars writes the same digits, but the exponents of small numbers in its own way.
    small = (numbers.abs() < 1e-4).arg_true()
    return numbers.cast(pl.String).scatter(small, [repr(number) for number in numbers.gather(small)])


def _published(profile: Profile, rows: pl.DataFrame) -> pl.DataFrame:
    """Return what is published of the rows that a profile has decided on."""
    confidence = (pl.when(pl.col("label") == label).then(probability(label, profile)) for label in CLASSES)
    return rows.select(
        *KEY,
        pl.lit(profile.name).alias("profile"),
        "label",
        pl.coalesce(confidence).alias("confidence"),
        pl.col(f"expected_return_pct_{profile.horizon}").alias("expected_return_pct"),
        pl.lit(profile.horizon, pl.Int32).alias("horizon_days"),
        stop_loss=stop_loss(profile),
        take_profit=take_profit(profile),
        justification="justification",
        features_snapshot="features_snapshot",
    )
