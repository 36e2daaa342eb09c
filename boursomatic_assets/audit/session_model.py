"""A session's model: what made the recommendations of a session, ready to make them again.

What belongs here: the model and the decisions of the time, applied to snapshots.
Kept elsewhere: the snapshots (`evidence.py`), the steps from features to advice (`recipes.py`), the comparison
with what is stored (`replay.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from boursomatic_assets import database
from boursomatic_assets.advice.snapshots import FeaturesSnapshot
from boursomatic_assets.audit.evidence import Company, as_rows, asked_of
from boursomatic_assets.audit.recipes import Recipe, open_recipe
from boursomatic_assets.audit.stored import PublishedSession, log_known_at
from boursomatic_assets.registry import model_store
from boursomatic_assets.registry.decisions import DecisionLog, Version, read_log
from boursomatic_assets.registry.model_files import ModelFileError

MOST_KEPT = 8
"""Models that are kept at a time: one takes some megabytes, and sessions come in order of time."""


@dataclass(frozen=True)
class SessionModel:
    """The recipe of a session's recommendations, and the decisions of the time."""

    session: PublishedSession
    version: Version
    recipe: Recipe
    known: DecisionLog

    @property
    def abstaining(self) -> bool:
        """Whether there was no champion."""
        return self.known.champion_at(self.session.as_of) is None

    def decide_rows(self, group: pl.DataFrame, company: Company) -> pl.DataFrame:
        """Decide about each row that can be replayed, from its own snapshot, among the others of its company.

        Returns:
            The columns of `Recipe.decide`: three rows for each instrument of the company.
        """
        snapshots = company.snapshots()
        decided = self.decide(snapshots, asked_of([*snapshots.values()]))
        for instrument, profile, text in group.select("instrument_id", "profile", "features_snapshot").iter_rows():
            if text != company.chosen[instrument] and company.readings[text].obstacle is None:
                snapshot = company.snapshot(text)
                own = self.decide(snapshots | {instrument: snapshot}, snapshot.asked)
                is_row = (pl.col("instrument_id") == instrument) & (pl.col("profile") == profile)
                decided = pl.concat([decided.filter(~is_row), own.filter(is_row)])
        return decided

    def decide(self, snapshots: Mapping[str, FeaturesSnapshot], asked: Mapping[str, float] | None) -> pl.DataFrame:
        """Decide about a session, as `Recipe.decide` does, from snapshots by instrument.

        Args:
            snapshots: By instrument.
            asked: The evidence that each profile asks for, by name.
        """
        return self.recipe.decide(self._rows(snapshots), asked, abstaining=self.abstaining)

    def predict(self, snapshots: Mapping[str, FeaturesSnapshot]) -> pl.DataFrame:
        """Predict a session, with contributions, from snapshots by instrument; silent instruments included."""
        return self.recipe.predict(self._rows(snapshots))

    def _rows(self, snapshots: Mapping[str, FeaturesSnapshot]) -> pl.DataFrame:
        return as_rows(snapshots, self.session.part.start, self.session.market.name, self.recipe)


@dataclass
class SessionModels:
    """The models of sessions; the decision log is read once, and a model loaded once for neighbouring sessions."""

    log: DecisionLog = field(default_factory=lambda: _read_log())
    _recipes: dict[str, Recipe | str] = field(default_factory=dict)

    def model_of(self, session: PublishedSession, group: pl.DataFrame) -> SessionModel | str:
        """The model of rows that were written at one moment with one version, or why there is none.

        The SHA-256 of the model's file is checked.
        """
        version, moment = self.version_of(group), group["generated_at"][0]
        if version is None:
            return f"model version: {group['model_version_id'][0]} is missing from model_versions"
        recipe = self._load(version)
        return (
            recipe
            if isinstance(recipe, str)
            else SessionModel(session, version, recipe, log_known_at(self.log, moment))
        )

    def version_of(self, group: pl.DataFrame) -> Version | None:
        """The version of rows that have the same one; None if it is missing."""
        identifier = group["model_version_id"][0]
        return next((version for version in self.log.versions if version.id == identifier), None)

    def _load(self, version: Version) -> Recipe | str:
        if version.id not in self._recipes:
            if len(self._recipes) >= MOST_KEPT:
                del self._recipes[next(iter(self._recipes))]
            try:
                self._recipes[version.id] = open_recipe(version, model_store().read(version.model_path))
            except (ModelFileError, ValueError) as error:  # said of each row, which then differs
                self._recipes[version.id] = str(error)
        return self._recipes[version.id]


def _read_log() -> DecisionLog:
    with database.engine().connect() as connection:
        return read_log(connection)
