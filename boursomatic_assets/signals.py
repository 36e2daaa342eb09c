"""Signals: a model's probabilities as advice in three risk profiles, each with its evidence.

A profile only decides how sure the model must be and how far the stops are: BUY or SELL is always what the
model itself finds most likely. Probabilities and reasons come from `learning.prediction`; which advice
stands, and since when, is kept with `recommendations`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from polars import selectors

from boursomatic_assets.learning.labels import KEY, LABELS
from boursomatic_assets.learning.prediction import Floats

Positions = npt.NDArray[np.intp]
"""Positions in LABELS, one for each row."""

HOLD = LABELS.index("HOLD")

NEAREST_STOP, FARTHEST_STOP = 0.001, 0.95
"""Bounds of a stop's distance, as shares of the close: no stop is zero, negative or the close itself."""


@dataclass(frozen=True)
class Profile:
    """How much risk a reader of the advice takes.

    Attributes:
        name: As in `recommendations.profile`.
        minimum_confidence: A BUY or SELL that is less likely than this is published as HOLD.
        stop_atr: Distance of the stop loss from the close, in average true ranges.
        target_atr: Distance of the take profit from the close, in average true ranges.
    """

    name: str
    minimum_confidence: float
    stop_atr: float
    target_atr: float


PROFILES = (
    Profile("conservative", 0.45, 2.0, 3.0),
    Profile("moderate", 0.40, 2.5, 4.0),
    Profile("aggressive", 0.35, 3.0, 6.0),
)


@dataclass(frozen=True)
class Snapshot:
    """The evidence that an advice was made from."""

    ts: datetime
    model_version: str
    features: dict[str, float | None]


def advise(
    predictions: pl.DataFrame, features: pl.DataFrame, closes: pl.DataFrame, version: str, horizon: int
) -> pl.DataFrame:
    """Return one advice for each prediction and profile, sorted by time, instrument and profile.

    Args:
        predictions: As `learning.prediction.predict` returns them.
        features: instrument_id, ts, atr_14 and the other features (Float64) of the same rows.
        closes: instrument_id, ts, c of the same rows; without a close there are no stops.
        version: The version of the model.
        horizon: Sessions that the model looks ahead.

    Returns:
        instrument_id, ts, profile, label, confidence (the probability that the model gives to the label),
        expected_return_pct, horizon_days (sessions), stop_loss, take_profit (both null for HOLD, and without
        a close or an average true range), justification and features_snapshot. A row whose features, as far
        as the model sees them, are all null is not advised.
    """
    numbers = features.select(*KEY, selectors.float())
    seen = predictions["contributions"].struct.fields
    rows = (
        predictions.join(numbers, on=KEY)
        .filter(pl.any_horizontal(pl.col(seen).is_not_null()))
        .join(closes.select(*KEY, "c"), on=KEY, how="left")
    )
    snapshots = _snapshots(rows.select("ts", selectors.by_name(numbers.columns[len(KEY) :])), version)
    rows = rows.with_columns(
        horizon_days=pl.lit(horizon, pl.Int32), features_snapshot=pl.Series(snapshots, dtype=pl.String)
    )
    evidence = _Evidence.of(rows, seen)
    advice = pl.concat(_for_profile(profile, rows, evidence) for profile in PROFILES)
    return advice.sort("ts", "instrument_id", maintain_order=True)


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


def _snapshots(rows: pl.DataFrame, version: str) -> list[str]:
    """Return ts, version and features of each row as canonical JSON, in which a float is its `repr`."""
    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
    return [
        encode({"ts": row.pop("ts").isoformat(), "model_version": version, "features": row})
        for row in rows.iter_rows(named=True)
    ]


@dataclass(frozen=True)
class _Evidence:
    """What the model said about each row.

    Attributes:
        chance: Probabilities, rows x LABELS.
        chosen: The most likely label of each row, as a position in LABELS.
        values: Each row's features as text, rows x features.
        shares: What each feature adds to the raw score of each label, rows x LABELS x features.
    """

    chance: Floats
    chosen: Positions
    values: list[tuple[str, ...]]
    shares: Floats

    @classmethod
    def of(cls, rows: pl.DataFrame, features: Sequence[str]) -> Self:
        """Take the evidence from predictions that are joined with their features."""
        chance = rows.select(f"p_{label.lower()}" for label in LABELS).to_numpy()
        texts = [[_named(name, value) for value in rows[name]] for name in features]
        shares = [rows["contributions"].struct.field(name).to_numpy() for name in features]
        return cls(chance, chance.argmax(axis=1), list(zip(*texts, strict=True)), np.stack(shares, axis=2))


def _for_profile(profile: Profile, rows: pl.DataFrame, evidence: _Evidence) -> pl.DataFrame:
    """Return the advice that one profile gives on each row."""
    each = np.arange(rows.height)
    sure = evidence.chance[each, evidence.chosen] >= profile.minimum_confidence
    published = np.where(sure, evidence.chosen, HOLD)
    stop, target = _distance(profile.stop_atr), _distance(profile.target_atr)
    return rows.select(
        *KEY,
        pl.lit(profile.name).alias("profile"),
        pl.Series("label", np.array(LABELS)[published]),
        pl.Series("confidence", evidence.chance[each, published]),
        "expected_return_pct",
        "horizon_days",
        (pl.col("c") - _direction(published) * stop).alias("stop_loss"),
        (pl.col("c") + _direction(published) * target).alias("take_profit"),
        pl.Series("justification", _justifications(profile, published, evidence), pl.String),
        "features_snapshot",
    )


def _distance(average_true_ranges: float) -> pl.Expr:
    """Return how far a stop is from the close, as a price."""
    close = pl.col("c")
    return (average_true_ranges * pl.col("atr_14")).clip(NEAREST_STOP * close, FARTHEST_STOP * close)


def _direction(published: Positions) -> pl.Series:
    """Return 1 for BUY, -1 for SELL and null for HOLD, which has no stops."""
    return pl.Series(published - HOLD, dtype=pl.Float64).replace(0.0, None)


def _justifications(profile: Profile, published: Positions, evidence: _Evidence) -> list[str]:
    """Return one sentence for each row: the label, why a likelier one is not published, and the reasons."""
    sentences = []
    shares = evidence.shares[np.arange(len(published)), published].tolist()
    rows = zip(published.tolist(), evidence.chosen.tolist(), evidence.chance.tolist(), strict=True)
    for (label, chosen, chance), values, share in zip(rows, evidence.values, shares, strict=True):
        opening = f"{LABELS[label]} at {chance[label]:.1%}"
        if label != chosen:
            opening += (
                f", since {LABELS[chosen]} at {chance[chosen]:.1%} is below the"
                f" {profile.minimum_confidence:.0%} that the {profile.name} profile asks for"
            )
        sentences.append(f"{opening}: {_reasons(values, share)}.")
    return sentences


def _reasons(values: Sequence[str], shares: Sequence[float]) -> str:
    """Name the two features that add most to a label's raw score, and the one that takes most from it."""
    ranked = sorted(zip(shares, values, strict=True), reverse=True)
    backing = [f"{value} ({share:+.3f})" for share, value in ranked[:2] if share > 0]
    verb = "speaks" if len(backing) < 2 else "speak"
    share, value = ranked[-1]
    counter = f"{value} ({share:+.3f})" if share < 0 else "nothing"
    return f"{' and '.join(backing) or 'nothing'} {verb} for it, {counter} speaks against it"


def _named(name: str, value: float | None) -> str:
    return f"{name} missing" if value is None else f"{name} = {value:.4g}"
