"""Evidence: the snapshots of a session, as the rows of features that a model takes.

What belongs here: what a snapshot must hold to be replayed, which of an instrument's snapshots stands for it, and
the instruments that were scored without advice.
Kept elsewhere: how a snapshot is written (`advice/signals.py`), what is made of the rows (`replay.py`).

The three rows of an instrument are written with one snapshot. If one was changed since, the two others stand for
the instrument wherever another instrument is compared with it.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import polars as pl

from boursomatic_assets.advice.snapshots import FeaturesSnapshot, parse_snapshot
from boursomatic_assets.audit.recipes import Recipe
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.vocabulary import PROFILES

INCOMPLETE = "it was stored before a snapshot held all that a replay needs: {}"
"""Why an older row is not replayed; it is not called wrong."""


MOST_INSTRUMENTS = 100_000
"""More than any market has: a number above it was not written by this platform."""


@dataclass(frozen=True)
class Reading:
    """A snapshot's text as it is read: the snapshot, or why no recommendation can be made from it."""

    snapshot: FeaturesSnapshot | None
    obstacle: str | None = None


def read_snapshot(text: str, recipe: Recipe) -> Reading:
    """Read a snapshot for the recipe of its version."""
    try:
        snapshot = parse_snapshot(text)
    except ValueError:
        return Reading(None, "its features_snapshot is none of this platform")
    numbers = [snapshot.close, snapshot.model_score, *snapshot.features.values()]
    if not (all(map(_is_number, numbers)) and _is_count(snapshot.instruments)):
        return Reading(None, "its features_snapshot holds what is no number, or no count of instruments")
    if not (snapshot.direction in (None, "BUY", "SELL") and _is_asked(snapshot.asked)):
        return Reading(None, "its features_snapshot holds what is no direction, or no evidence of the profiles")
    lacking = [name for name in recipe.fields if getattr(snapshot, name) is None]
    lacking += sorted(recipe.snapshot_features - snapshot.features.keys())
    if lacking:
        return Reading(snapshot, INCOMPLETE.format(", ".join(lacking)))
    if snapshot.rules != recipe.rules:
        return Reading(snapshot, f"it was decided by the rules {snapshot.rules}, and this code has {recipe.rules}")
    return Reading(snapshot)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value))


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and 0 < value < MOST_INSTRUMENTS)


def _is_asked(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, dict)
        and value.keys() == {*PROFILES}
        and all(number is not None and _is_number(number) for number in value.values())
    )


@dataclass(frozen=True)
class Company:
    """The rows that stood when a group of rows was written, the group included, with their snapshots.

    Attributes:
        rows: The rows.
        readings: Their snapshots by their text.
        chosen: The text that stands for each instrument: the commonest that can be replayed.
        strangers: Instruments without any snapshot that can be replayed.
    """

    rows: pl.DataFrame
    readings: dict[str, Reading]
    chosen: dict[str, str]
    strangers: list[str]

    @classmethod
    def read(cls, rows: pl.DataFrame, recipe: Recipe) -> "Company":
        """Read the snapshots of rows for the recipe of their version."""
        readings = {text: read_snapshot(text, recipe) for text in rows["features_snapshot"].unique()}
        usable: dict[str, Counter[str]] = {}
        for instrument, text in rows.select("instrument_id", "features_snapshot").iter_rows():
            counted = usable.setdefault(instrument, Counter())
            counted.update([text] if readings[text].obstacle is None else [])
        chosen = {instrument: texts.most_common(1)[0][0] for instrument, texts in usable.items() if texts}
        return cls(rows, readings, chosen, [instrument for instrument, texts in usable.items() if not texts])

    def snapshots(self) -> dict[str, FeaturesSnapshot]:
        """The snapshot that stands for each instrument."""
        return {instrument: self.snapshot(text) for instrument, text in self.chosen.items()}

    def snapshot(self, text: str) -> FeaturesSnapshot:
        """A snapshot that can be replayed."""
        snapshot = self.readings[text].snapshot
        assert snapshot is not None, "a snapshot without an obstacle is there"
        return snapshot


def as_rows(
    snapshots: Mapping[str, FeaturesSnapshot], ts: dt.datetime, market: str, recipe: Recipe
) -> pl.DataFrame:
    """The rows that a recipe takes, one for each instrument that was scored: key, market, c, direction, features.

    Instruments without any ranked feature have no recommendation, but count in the ranks of scores. All of them
    have the same features, the market's context, so that their number is enough.

    Args:
        snapshots: By instrument, whole ones of one session.
        ts: The session.
        market: The market's name.
        recipe: The recipe of their version.
    """
    names, model_features = sorted(recipe.snapshot_features), recipe.features
    of_session = list(snapshots.values())
    silent = max(instruments_of(of_session) - len(of_session), 0)
    context = [name for name in model_features if not name.endswith(RANK_SUFFIX)]
    if len(context) == len(model_features):  # a model without ranks: all of its features are the instrument's own
        context = []
    columns = {
        name: [snapshot.features[name] for snapshot in of_session]
        + [of_session[0].features[name] if name in context else None] * silent
        for name in names
    }
    keys = {
        "instrument_id": [*snapshots, *(f"without advice {number}" for number in range(silent))],
        "c": [*(snapshot.close for snapshot in of_session), *[None] * silent],
        "direction": [*(snapshot.direction for snapshot in of_session), *[None] * silent],
    }
    schema = {"instrument_id": pl.String, "c": pl.Float64, "direction": pl.String} | dict.fromkeys(
        names, pl.Float64
    )
    rows = pl.DataFrame(keys | columns, schema=schema)
    return rows.with_columns(ts=pl.lit(ts, pl.Datetime("us")), market=pl.lit(market))


def instruments_of(snapshots: Sequence[FeaturesSnapshot]) -> int:
    """How many instruments were scored, as most snapshots of a session say."""
    return Counter(snapshot.instruments or 0 for snapshot in snapshots).most_common(1)[0][0]


def asked_of(snapshots: Sequence[FeaturesSnapshot]) -> dict[str, float] | None:
    """The evidence that each profile asked for, as most snapshots of a session say; None before it was kept."""
    if not snapshots:
        return None
    counted = Counter(tuple(sorted((snapshot.asked or {}).items())) for snapshot in snapshots)
    return dict(counted.most_common(1)[0][0]) or None
