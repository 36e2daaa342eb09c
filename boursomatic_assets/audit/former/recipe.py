"""The former recipe: a former model and the former profiles, from the rows of a session to what was advised.

What belongs here: both together, as `recipes.py` uses them. Kept elsewhere: the recipe of now (`recipes.py`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl

from boursomatic_assets.advice.signals import DECISION_COLUMNS, REASON_COLUMNS
from boursomatic_assets.advice.snapshots import FEATURE_COLUMNS
from boursomatic_assets.arrays import KEY, SESSIONS_PER_YEAR
from boursomatic_assets.audit.former.model import CALIBRATION_FEATURES, FormerModel
from boursomatic_assets.audit.former.profiles import PROFILES, RULES, FormerProfile, decide_labels, decision
from boursomatic_assets.audit.thresholds import Condition
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.learning.labels import CLASSES


@dataclass(frozen=True)
class FormerRecipe:
    """A former model, with what a recipe offers: see `recipes.CurrentRecipe`."""

    model: FormerModel

    rules = RULES
    fields = ("instruments", "rules")
    meaning = "that the return is far below 0, about 0, or far above it, for the instrument's own volatility"
    chance = None
    accuracy = 1e-12
    """Its probabilities are made of exponentials, whose last bits depend on the processor."""

    @property
    def features(self) -> list[str]:
        """The features of the model."""
        return self.model.features

    @property
    def snapshot_features(self) -> set[str]:
        """The features that a snapshot must hold."""
        return {*FEATURE_COLUMNS, *CALIBRATION_FEATURES, *self.features}

    def predict(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Predict a session, with contributions."""
        return self.model.predict(rows)

    def decide(self, rows: pl.DataFrame, asked: Mapping[str, float] | None, *, abstaining: bool) -> pl.DataFrame:
        """Decide about a session; former profiles asked for no evidence, and had no end of the scores."""
        own = [name for name in self.features if name.endswith(RANK_SUFFIX)] or self.features
        chances = [f"p_{label.lower()}_{profile.horizon}" for label in CLASSES for profile in PROFILES]
        usable = (
            self.model.predict_probabilities(rows)
            .join(rows.drop("market"), on=KEY)
            .filter(pl.any_horizontal(pl.col(own).is_not_null()), *(pl.col(name).is_finite() for name in chances))
            .sort("ts", "instrument_id")
            .with_columns(volatility=pl.col("vol_20d") * math.sqrt(SESSIONS_PER_YEAR))
        )
        decided = [
            one.with_columns(
                label=pl.lit("HOLD") if abstaining else "label", best_probability=None, opposite_probability=None
            ).select(*KEY, *decision(profile), *REASON_COLUMNS, "score", "score_rank")
            for profile, one in _decide(usable)
        ]
        return pl.concat(decided).select(
            *KEY, "profile", *DECISION_COLUMNS, *REASON_COLUMNS, "score", "score_rank"
        )

    def evidence(self, asked: Mapping[str, float] | None) -> None:
        """None was measured."""

    def conditions(
        self, profile: str, decided: pl.DataFrame, asked: Mapping[str, float] | None
    ) -> list[Condition]:
        """The conditions of a profile in their order, of one instrument about which all profiles decided."""
        bolder = {one.name: next_one.name for one, next_one in pairwise(PROFILES)}.get(profile)
        limits = next(one for one in PROFILES if one.name == profile)
        labels: dict[str, str] = dict(decided.select("profile", "label").iter_rows())
        own: dict[str, Any] = decided.row(by_predicate=pl.col("profile") == profile, named=True)
        direction = own["direction"]
        return [
            Condition("direction", direction, "the likelier of a rise and a fall", ("equally_likely",)),
            Condition("probability", own["direction_probability"], limits.minimum_confidence, ("unlikely",)),
            Condition(
                "volatility", own["volatility"], limits.volatility_limit, ("volatility_unknown", "volatile")
            ),
            *([Condition("bolder profile", labels[bolder], direction, ("bolder_disagrees",))] if bolder else []),
            Condition("position", own["position"], limits.positions, ("positions_taken",)),
        ]


def _decide(rows: pl.DataFrame) -> Iterator[tuple[FormerProfile, pl.DataFrame]]:
    """Yield each profile from the boldest on, and the rows with what it decides."""
    labels = None
    for profile in PROFILES[::-1]:
        decided = rows.with_columns(decide_labels(profile, rows, labels))
        labels = decided["label"]
        yield profile, decided
