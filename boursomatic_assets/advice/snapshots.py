"""Snapshots: all that a recommendation was made from, as text.

What belongs here: what a snapshot holds, how it is written, and how it is read back to the last bit.
Kept elsewhere: what is published (`signals.py`), what a replay makes of a snapshot (`audit/`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from boursomatic_assets.advice.profiles import RULES, RiskProfile

FEATURE_COLUMNS = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore")
"""The columns of `features` that are numbers: all are in a snapshot, whether the model uses them or not."""


@dataclass(frozen=True)
class FeaturesSnapshot:
    """All that a recommendation was made from: with its model it can be made again.

    Snapshots from before something was kept have None for it.

    Attributes:
        ts: The session.
        model_version: The version that recommended.
        features: FEATURE_COLUMNS and the features of the model.
        close: The session's close; None if there was none.
        instruments: How many instruments of the market were scored in the session, with and without advice.
        rules: The `profiles.RULES` that decided.
        model_score: The score of the version, whether anybody spoke or not.
        direction: BUY or SELL as `bands.find_directions` found it; None at neither end.
        asked: The evidence that each profile asked for, by name.
    """

    ts: datetime
    model_version: str
    features: dict[str, float | None]
    close: float | None = None
    instruments: int | None = None
    rules: str | None = None
    model_score: float | None = None
    direction: str | None = None
    asked: dict[str, float] | None = None


def write_snapshots(rows: pl.DataFrame, version: str, profiles: Sequence[RiskProfile]) -> pl.Series:
    """Return the snapshot of each row as canonical JSON, in which a float is its `repr`.

    Args:
        rows: ts, instruments, c, score, direction, FEATURE_COLUMNS, and contributions (struct) with the features
        of
            the model that it names.
        version: The version that recommends.
        profiles: Each with the evidence that it asks for.

    Raises:
        ValueError: A number is not finite.
    """
    names = sorted({*FEATURE_COLUMNS, *rows["contributions"].struct.fields})
    features = ",".join(f'"{name}":{{{name}}}' for name in names)
    asked = json.dumps(
        {profile.name: profile.evidence for profile in profiles}, sort_keys=True, separators=(",", ":")
    )
    constants = {"asked": asked, "version": json.dumps(version), "rules": json.dumps(RULES)}
    template = (
        f'{{{{"asked":{{asked}},"close":{{c}},"direction":{{direction}},"features":{{{{{features}}}}},'
        '"instruments":{instruments},"model_score":{score},"model_version":{version},"rules":{rules},"ts":"{ts}"}}'
    )
    texts = rows.select(
        "instruments",
        ts=pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.f"),
        direction=pl.format('"{}"', "direction").fill_null("null"),
        **{name: _float_texts(rows[name]).fill_null("null") for name in ("c", "score", *names)},
        **{name: pl.lit(text) for name, text in constants.items()},
    )
    return texts.select(pl.format(template)).to_series()


def _float_texts(numbers: pl.Series) -> pl.Series:
    """Return each float as its `repr`: the shortest text that reads back as the very same float."""
    if not numbers.is_finite().all():
        raise ValueError(f"{numbers.name} has a number that is not JSON compliant: give finite ones, or null")
    # polars writes the same digits, but the exponents of small numbers in its own way.
    small = (numbers.abs() < 1e-4).arg_true()
    return numbers.cast(pl.String).scatter(small, [repr(number) for number in numbers.gather(small)])


_ADDED = ("close", "instruments", "rules", "model_score", "direction", "asked")
"""The fields of a snapshot that older ones lack, in the order of FeaturesSnapshot."""


def parse_snapshot(text: str) -> FeaturesSnapshot:
    """Return a features_snapshot as it was written: every number is the very same float.

    Raises:
        ValueError: The text is not a snapshot.
    """
    try:
        fields = json.loads(text)
        ts = datetime.fromisoformat(fields["ts"])
        added = (fields.get(name) for name in _ADDED)
        return FeaturesSnapshot(ts, fields["model_version"], dict(fields["features"]), *added)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"not a features snapshot: {text[:80]!r}: give the text of recommendations.features_snapshot"
        ) from error
