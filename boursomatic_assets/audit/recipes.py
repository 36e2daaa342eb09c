"""Recipes: the ways from the features of a session to its advice, each as it was when the advice was made.

What belongs here: the recipe of now, from its model to its conditions, and the choice by the kind of model file.
Kept elsewhere: the recipe of before (`former/`), the steps themselves (`learning/prediction.py`,
`advice/signals.py`), the rows of features (`evidence.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl

from boursomatic_assets.advice.bands import MEMORY, STAY
from boursomatic_assets.advice.profiles import RISK_PROFILES, RULES, RiskProfile, is_proven
from boursomatic_assets.advice.signals import Maker, decide
from boursomatic_assets.advice.snapshots import FEATURE_COLUMNS
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.arrays import KEY
from boursomatic_assets.audit.former.model import FormerModel, is_former
from boursomatic_assets.audit.former.recipe import FormerRecipe
from boursomatic_assets.audit.thresholds import Condition
from boursomatic_assets.learning.calibration.zones import ENTRY
from boursomatic_assets.learning.labels import BASE_RATE
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.prediction import predict, predict_probabilities
from boursomatic_assets.registry.decisions import Version


@dataclass(frozen=True)
class CurrentRecipe:
    """A model of now, and what is known of its version.

    Attributes:
        version: The version.
        model: Its model.
        rules: The `rules` of snapshots that were decided by this recipe.
        fields: What a snapshot must hold beside features and close.
        meaning: What the probabilities of sell, hold and buy are about.
        chance: What each of them is by chance.
        accuracy: How near numbers that are made again come to those that were published, of 1 or of themselves.
    """

    version: Version
    model: Model

    rules = RULES
    fields = ("instruments", "rules", "model_score", "asked")
    meaning = "to end the horizon in the worst, the middle or the best third of its market"
    chance = BASE_RATE
    accuracy = 0.0

    @cached_property
    def features(self) -> list[str]:
        """The features of the model."""
        return self.model.features

    @cached_property
    def standing(self) -> Standing:
        """What the record says of the version."""
        return Standing.from_metrics(self.version.metrics)

    @property
    def snapshot_features(self) -> set[str]:
        """The features that a snapshot must hold."""
        return {*FEATURE_COLUMNS, *self.features}

    def predict(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Predict a session, with contributions.

        Args:
            rows: As `evidence.as_rows` returns them.
        """
        return predict(self.model, rows)

    def decide(self, rows: pl.DataFrame, asked: Mapping[str, float] | None, *, abstaining: bool) -> pl.DataFrame:
        """Decide about a session.

        Args:
            rows: As `evidence.as_rows` returns them.
            asked: The evidence that each profile asks for, by name.
            abstaining: Whether there is no champion.

        Returns:
            The columns of `signals.decide`, score and score_rank: three rows for each instrument with advice.
        """
        predictions = predict_probabilities(self.model, rows).with_columns(rows["direction"])
        maker = Maker(self.version.version, self.standing, asking(asked), "" if abstaining else None)
        decided = decide(predictions, rows.drop("c", "market"), rows.select(*KEY, "c"), self.features, maker)
        return decided.join(
            predictions.select(*KEY, "score", "score_rank"), on=KEY, how="left", maintain_order="left"
        )

    def evidence(self, asked: Mapping[str, float] | None) -> list[dict[str, Any]]:
        """The evidence for the version at the horizon of each profile, and how much the profile asks for."""
        return [
            {
                "profile": one.name,
                "horizon": one.horizon,
                "evidence": self.standing.evidence(one.horizon),
                "asked": one.evidence,
                "met": is_proven(one, self.standing),
            }
            for one in asking(asked)
        ]

    def conditions(
        self, profile: str, decided: pl.DataFrame, asked: Mapping[str, float] | None
    ) -> list[Condition]:
        """The conditions of a profile in their order, of one instrument about which all profiles decided."""
        profiles = asking(asked)
        place = next(place for place, one in enumerate(profiles) if one.name == profile)
        limits, bolder = profiles[place], profiles[place + 1 :]
        own: dict[str, Any] = decided.row(by_predicate=pl.col("profile") == profile, named=True)
        labels: dict[str, str] = dict(decided.select("profile", "label").iter_rows())
        direction, worth = own["direction"], self.standing.worth(limits.horizon)
        bounds = {"enters beyond": ENTRY, "stays within": STAY, "sessions": MEMORY}
        conditions = [
            Condition("evidence", self.standing.evidence(limits.horizon), limits.evidence, ("unproven",)),
            Condition(
                "volatility", own["volatility"], limits.volatility_limit, ("volatility_unknown", "volatile")
            ),
            Condition("direction", direction, bounds, ("middle",)),
            Condition("worth", list(worth), direction, ("not_worth",)),
            Condition("probability at the end", own["best_probability"], limits.minimum_confidence, ("unlikely",)),
            Condition("probability", own["direction_probability"], own["opposite_probability"], ("faded",)),
        ]
        if bolder:
            found = {one.name: self.standing.evidence(one.horizon) for one in bolder}
            demands = {one.name: one.evidence for one in bolder}
            conditions.insert(0, Condition("evidence of bolder profiles", found, demands, ("bolder_unproven",)))
            conditions.append(
                Condition("bolder profile", labels[bolder[0].name], direction, ("bolder_disagrees",))
            )
        return [*conditions, Condition("position", own["position"], limits.positions, ("positions_taken",))]


Recipe = CurrentRecipe | FormerRecipe


def open_recipe(version: Version, model_text: str) -> Recipe:
    """The recipe of a version, by the kind of its model.

    Raises:
        ValueError: The text is no model that Boursomatic wrote.
    """
    if is_former(model_text):
        return FormerRecipe(FormerModel.from_json(model_text))
    return CurrentRecipe(version, Model.from_json(model_text))


def asking(asked: Mapping[str, float] | None) -> tuple[RiskProfile, ...]:
    """The profiles with the evidence that each asks for, by name."""
    return tuple(replace(one, evidence=asked[one.name]) for one in RISK_PROFILES) if asked else RISK_PROFILES
