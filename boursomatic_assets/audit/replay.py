"""Replay: recommendations made again from what is stored alone, and compared with the stored ones to the last bit.

What belongs here: one session made again, as it stood when its rows were written, and what differs.
Kept elsewhere: the stored rows (`stored.py`), their evidence (`evidence.py`), which inputs were changed
(`inputs.py`), which sessions are replayed (`sampling.py`).

A row was made in the company of the rows that stood when it was written, superseded since or not: scores are
ranked among them, and profiles choose among them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from boursomatic_assets import database
from boursomatic_assets.advice.signals import DECISION_COLUMNS, FeaturesSnapshot, decide
from boursomatic_assets.arrays import KEY
from boursomatic_assets.audit import inputs
from boursomatic_assets.audit.evidence import Reading, as_rows, most_common, read_snapshot
from boursomatic_assets.audit.from_bars import compare_with_bars
from boursomatic_assets.audit.stored import (
    RECOMMENDATIONS,
    PublishedSession,
    current_at,
    log_known_at,
    read_rows,
)
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.model_files import ModelFileError
from boursomatic_assets.learning.prediction import predict_probabilities
from boursomatic_assets.registry import model_store
from boursomatic_assets.registry.decisions import DecisionLog, Version, read_log
from boursomatic_assets.tables.frames import required_columns

IDENTICAL, DIFFERS, NOT_REPLAYED = "identical", "differs", "not replayed"

REPLAYED = tuple(f"replayed_{name}" for name in DECISION_COLUMNS)

RowChoice = Callable[[pl.DataFrame], pl.DataFrame]
"""Chooses rows of a session."""


@dataclass
class Replayer:
    """Replays sessions; reads the decision log once, and loads each model once.

    Attributes:
        from_bars: Also compute the features again, see `from_bars.py`.
    """

    from_bars: bool = False
    log: DecisionLog = field(default_factory=lambda: _read_log())
    _models: dict[str, Model | str] = field(default_factory=dict)

    def replay(self, session: PublishedSession, choose: RowChoice = lambda rows: rows) -> pl.DataFrame:
        """Make recommendations of a session again.

        Args:
            session: The session.
            choose: Which of its rows; all by default, superseded ones included.

        Returns:
            The stored rows with `version`; REPLAYED, null where nothing could be made; `altered`: the inputs that
            are not as they were when the row was written; `obstacle`: why the row cannot be replayed; and
            `status`: `identical`, `differs`, or `not replayed` with an obstacle alone.
        """
        rows = read_rows(session)
        chosen = choose(rows)
        groups = chosen.partition_by("generated_at", "model_version_id", maintain_order=True)
        replayed = [self._replay_group(session, rows, group) for group in groups]
        return pl.concat(replayed) if replayed else _with_results(chosen, "", _nothing(), {}, {})

    def _replay_group(self, session: PublishedSession, rows: pl.DataFrame, group: pl.DataFrame) -> pl.DataFrame:
        """Make rows again that were written at one moment with one version."""
        moment, version_id = group["generated_at"][0], group["model_version_id"][0]
        company = _company(rows, group)
        version = next((version for version in self.log.versions if version.id == version_id), None)
        name = version.version if version else version_id
        model = self._model(version)
        if isinstance(model, str):
            return _with_results(group, name, _nothing(), {}, {id: [model] for id in group["id"]})
        known = log_known_at(self.log, moment)
        made = _SessionModel(session, model, abstaining=known.champion_at(session.as_of) is None)
        readings = {text: read_snapshot(text, made.features) for text in company["features_snapshot"].unique()}
        chosen, strangers = _choose_snapshots(company, readings)
        decided = _nothing() if strangers else made.decide_rows(group, readings, chosen)
        obstacles = _obstacles(group, readings, strangers)
        altered = inputs.find_altered(session, group, readings, chosen, known, name)
        if self.from_bars:
            differences, unproved = compare_with_bars(session, company, group, readings)
            altered, obstacles = _joined(altered, differences), unproved | obstacles
        results = _with_results(group, name, decided, obstacles, altered)
        differing = results.filter(pl.col("status") == DIFFERS)
        if differing.is_empty():
            return results
        explained = inputs.explain_differences(differing, session, company, readings)
        return _with_results(group, name, decided, obstacles, _joined(altered, explained))

    def _model(self, version: Version | None) -> Model | str:
        """The model of a version, or why there is none."""
        if version is None:
            return "model version: its row is missing from model_versions"
        if version.id not in self._models:
            try:
                self._models[version.id] = model_store().load(version.model_path)
            except (ModelFileError, ValueError) as error:
                self._models[version.id] = str(error)
        return self._models[version.id]


@dataclass(frozen=True)
class _SessionModel:
    """What makes the recommendations of a session: its model, and whether there was no champion."""

    session: PublishedSession
    model: Model
    abstaining: bool

    @property
    def features(self) -> list[str]:
        names: list[str] = self.model.booster.feature_name()
        return names

    def decide_rows(
        self, group: pl.DataFrame, readings: dict[str, Reading], chosen: dict[str, str]
    ) -> pl.DataFrame:
        """instrument_id, profile and DECISION_COLUMNS of each row that can be replayed, from its own snapshot."""
        if not chosen:
            return _nothing()
        snapshots = {instrument: _snapshot(readings[text]) for instrument, text in chosen.items()}
        decided = self._decide(snapshots)
        for instrument, profile, text in group.select("instrument_id", "profile", "features_snapshot").iter_rows():
            if text != chosen[instrument] and readings[text].obstacle is None:
                own = self._decide(snapshots | {instrument: _snapshot(readings[text])})
                is_row = (pl.col("instrument_id") == instrument) & (pl.col("profile") == profile)
                decided = pl.concat([decided.filter(~is_row), own.filter(is_row)])
        return decided

    def _decide(self, snapshots: dict[str, FeaturesSnapshot]) -> pl.DataFrame:
        rows = as_rows(snapshots, self.session.part.start, self.session.market.name, self.features)
        predictions = predict_probabilities(self.model, rows)
        features, closes = rows.drop("c", "market"), rows.select(*KEY, "c")
        return decide(predictions, features, closes, self.features, abstaining=self.abstaining).drop("ts")


def _choose_snapshots(company: pl.DataFrame, readings: dict[str, Reading]) -> tuple[dict[str, str], list[str]]:
    """The snapshot that stands for each instrument, and the instruments of which none can be replayed."""
    by_instrument: dict[str, list[str]] = {}
    for instrument, text in company.select("instrument_id", "features_snapshot").iter_rows():
        by_instrument.setdefault(instrument, []).append(text)
    chosen = {instrument: most_common(texts, readings) for instrument, texts in by_instrument.items()}
    known = {instrument: text for instrument, text in chosen.items() if text is not None}
    return known, [instrument for instrument in chosen if instrument not in known]


def _company(rows: pl.DataFrame, group: pl.DataFrame) -> pl.DataFrame:
    """The rows of the same version that stood when a group was written, the group included."""
    of_group = pl.col("id").is_in(group["id"].to_list())
    standing = current_at(rows, group["generated_at"][0])["id"].to_list()
    same_version = pl.col("model_version_id") == group["model_version_id"][0]
    return rows.filter(of_group | (same_version & pl.col("id").is_in(standing)))


def _joined(*found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Findings of several kinds, each once, by id."""
    ids = {id for one in found for id in one}
    return {id: list(dict.fromkeys(text for one in found for text in one.get(id, []))) for id in ids}


def _obstacles(group: pl.DataFrame, readings: dict[str, Reading], strangers: list[str]) -> dict[str, str]:
    """Why rows cannot be replayed, by id."""
    company = "its session holds rows that cannot be replayed, and was decided among them" if strangers else None
    found = {
        id: readings[text].obstacle or company for id, text in group.select("id", "features_snapshot").iter_rows()
    }
    return {id: obstacle for id, obstacle in found.items() if obstacle}


def _snapshot(reading: Reading) -> FeaturesSnapshot:
    assert reading.snapshot is not None, "a snapshot without an obstacle is there"
    return reading.snapshot


def _with_results(
    group: pl.DataFrame,
    version: str,
    decided: pl.DataFrame,
    obstacles: dict[str, str],
    altered: dict[str, list[str]],
) -> pl.DataFrame:
    """Stored rows with what was made again and what was found."""
    made = decided.rename(dict(zip(DECISION_COLUMNS, REPLAYED, strict=True)))
    by_id = {
        "id": group["id"],
        "altered": pl.Series([altered.get(id, []) for id in group["id"]], dtype=pl.List(pl.String)),
        "obstacle": pl.Series([obstacles.get(id) for id in group["id"]], dtype=pl.String),
    }
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(again)) for name, again in zip(DECISION_COLUMNS, REPLAYED, strict=True)
    )
    return (
        group.join(made, on=["instrument_id", "profile"], how="left", maintain_order="left")
        .with_columns(version=pl.lit(version, pl.String), altered=by_id["altered"], obstacle=by_id["obstacle"])
        .with_columns(
            status=pl.when(pl.col("altered").list.len() > 0)
            .then(pl.lit(DIFFERS))
            .when(pl.col("obstacle").is_not_null())
            .then(pl.lit(NOT_REPLAYED))
            .when(differs)
            .then(pl.lit(DIFFERS))
            .otherwise(pl.lit(IDENTICAL))
        )
    )


def _nothing() -> pl.DataFrame:
    """What is decided of no row."""
    schema = required_columns(RECOMMENDATIONS)
    return pl.DataFrame(schema={name: schema[name] for name in ("instrument_id", "profile", *DECISION_COLUMNS)})


def _read_log() -> DecisionLog:
    with database.engine().connect() as connection:
        return read_log(connection)
