"""Signals: a model's probabilities as advice in three risk profiles, each with its evidence.

A profile only decides how sure the model must be and how far the stops are: BUY or SELL is always what the
model itself finds most likely. Probabilities and reasons come from `learning.prediction`; which advice
stands, and since when, is kept with `recommendations`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from polars import selectors

from boursomatic_assets.learning.labels import KEY, LABELS
from boursomatic_assets.learning.prediction import Floats

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

    Raises:
        ValueError: A feature is not finite.
    """
    numbers = features.select(*KEY, selectors.float())
    seen = predictions["contributions"].struct.fields
    rows = (
        predictions.join(numbers, on=KEY)
        .filter(pl.any_horizontal(pl.col(seen).is_not_null()))
        .join(closes.select(*KEY, "c"), on=KEY, how="left")
        .sort("ts", "instrument_id")
    )
    rows = rows.with_columns(
        *_evidence(rows, seen),
        horizon_days=pl.lit(horizon, pl.Int32),
        features_snapshot=_snapshots(rows.select("ts", *numbers.columns[len(KEY) :]), version),
    )
    rows = rows.with_columns(sentence=pl.format("{says}: {reasons}."))
    advice = pl.concat(_for_profile(profile, rows) for profile in PROFILES)
    return advice[np.arange(advice.height).reshape(len(PROFILES), -1).T.ravel()]


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


def _evidence(rows: pl.DataFrame, features: Sequence[str]) -> list[pl.Series]:
    """Return what the model says about each row, in the words that all profiles share.

    Returns:
        likeliest: the most likely label, and chance: its probability. For that label and, with the suffix
        _hold, for HOLD: says ("BUY at 42.0%"), and reasons: what speaks for it and against it.
    """
    chances = rows.select(f"p_{label.lower()}" for label in LABELS).to_numpy()
    shares = np.stack([rows["contributions"].struct.field(name).to_numpy() for name in features], axis=2)
    values = pl.concat([_named(rows[name]) for name in features])
    likeliest = chances.argmax(axis=1)
    words = []
    for suffix, label in (("", likeliest), ("_hold", np.full_like(likeliest, LABELS.index("HOLD")))):
        chance, share = chances[np.arange(rows.height), label], shares[np.arange(rows.height), label]
        says = [f"{LABELS[i]} at {p:.1%}" for i, p in zip(label.tolist(), chance.tolist(), strict=True)]
        words += [pl.Series(f"says{suffix}", says, pl.String), _reasons(values, share).alias(f"reasons{suffix}")]
    return [pl.Series("likeliest", np.array(LABELS)[likeliest]), pl.Series("chance", chances.max(axis=1)), *words]


def _named(values: pl.Series) -> pl.Series:
    """Return each value with the name of its feature."""
    name = values.name
    texts = [f"{name} missing" if value is None else f"{name} = {value:.4g}" for value in values.to_list()]
    return pl.Series(texts, dtype=pl.String)


def _reasons(values: pl.Series, shares: Floats) -> pl.Series:
    """Name the two features that add most to a label's raw score, and the one that takes most from it.

    Args:
        values: The features as `_named` names them, all rows of the first one first.
        shares: What each of them adds, rows x features.
    """
    ranked, rows = shares.argsort(axis=1, kind="stable"), np.arange(len(shares))

    def named(place: int, sign: int) -> pl.Series:
        feature = ranked[:, place]
        share = [f" ({x:+.3f})" if x * sign > 0 else None for x in shares[rows, feature].tolist()]
        return values.gather(feature * len(rows) + rows) + pl.Series(share, dtype=pl.String)

    reasons = pl.DataFrame({"most": named(-1, 1), "more": named(-2, 1), "least": named(0, -1)})
    backing = [pl.format(text) for text in ("{most} and {more} speak", "{most} speaks", "nothing speaks")]
    counter = pl.col("least").fill_null("nothing")
    return reasons.select(pl.format("{} for it, {} speaks against it", pl.coalesce(backing), counter)).to_series()


def _for_profile(profile: Profile, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the advice that one profile gives on each row: what is likeliest, or HOLD where that is unsure."""
    unsure = (pl.col("chance") < profile.minimum_confidence) & (pl.col("likeliest") != "HOLD")
    label = pl.when(unsure).then(pl.lit("HOLD")).otherwise("likeliest")
    direction = pl.when(label == "BUY").then(1.0).when(label == "SELL").then(-1.0)
    doubt = (
        f"{{says_hold}}, since {{says}} is below the {profile.minimum_confidence:.0%} that the {profile.name}"
        " profile asks for: {reasons_hold}."
    )
    return rows.select(
        *KEY,
        pl.lit(profile.name).alias("profile"),
        label.alias("label"),
        pl.when(unsure).then("p_hold").otherwise("chance").alias("confidence"),
        "expected_return_pct",
        "horizon_days",
        (pl.col("c") - direction * _distance(profile.stop_atr)).alias("stop_loss"),
        (pl.col("c") + direction * _distance(profile.target_atr)).alias("take_profit"),
        pl.when(unsure).then(pl.format(doubt)).otherwise("sentence").alias("justification"),
        "features_snapshot",
    )


def _distance(average_true_ranges: float) -> pl.Expr:
    """Return how far a stop is from the close, as a price."""
    close = pl.col("c")
    return (average_true_ranges * pl.col("atr_14")).clip(NEAREST_STOP * close, FARTHEST_STOP * close)
