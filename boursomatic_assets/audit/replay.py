"""Replay: recommendations made again from what is stored alone, and compared with the stored ones to the last bit.

What belongs here: one session made again, as it stood when its rows were written, and what differs.
Kept elsewhere: the stored rows (`stored.py`), their evidence (`evidence.py`), the model (`session_model.py`),
which inputs were changed (`inputs.py`), which sessions are replayed (`sampling.py`).

A row was made in the company of the rows that stood when it was written, superseded since or not: scores are
ranked among them, and profiles choose among them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from boursomatic_assets.advice.signals import DECISION_COLUMNS
from boursomatic_assets.audit import inputs
from boursomatic_assets.audit.directions import compare_directions
from boursomatic_assets.audit.evidence import Company
from boursomatic_assets.audit.from_bars import compare_with_bars
from boursomatic_assets.audit.session_model import SessionModel, SessionModels
from boursomatic_assets.audit.stored import RECOMMENDATIONS, PublishedSession, current_at, read_rows
from boursomatic_assets.tables.frames import required_columns

IDENTICAL, DIFFERS, NOT_REPLAYED = "identical", "differs", "not replayed"

REPLAYED = tuple(f"replayed_{name}" for name in DECISION_COLUMNS)

RowChoice = Callable[[pl.DataFrame], pl.DataFrame]
"""Chooses rows of a session."""

Findings = dict[str, list[str]]
"""What was found of rows, by id."""


@dataclass
class Replayer:
    """Replays sessions.

    Attributes:
        from_bars: Also compute the features again, and the directions, see `from_bars.py` and `directions.py`.
    """

    from_bars: bool = False
    models: SessionModels = field(default_factory=SessionModels)

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
        made_by, version = self.models.model_of(session, group), self.models.version_of(group)
        name = version.version if version else "an unknown version"
        if isinstance(made_by, str):
            return _with_results(group, name, _nothing(), {}, {id: [made_by] for id in group["id"]})
        company = Company.read(company_of(rows, group), made_by.recipe)
        decided = _nothing() if company.strangers else made_by.decide_rows(group, company)
        obstacles, altered = self._examine(made_by, group, company)
        altered = _joined(altered, inputs.score_faults(group, company, decided))
        accuracy = made_by.recipe.accuracy
        results = _with_results(group, name, decided, obstacles, altered, accuracy)
        differing = results.filter(pl.col("status") == DIFFERS)
        if differing.is_empty():
            return results
        explained = inputs.explain_differences(differing, session, company)
        return _with_results(group, name, decided, obstacles, _joined(altered, explained), accuracy)

    def _examine(
        self, made_by: SessionModel, group: pl.DataFrame, company: Company
    ) -> tuple[dict[str, str], Findings]:
        """Why rows cannot be replayed, and which of their inputs are altered, each by id."""
        obstacles = _obstacles(group, company)
        altered = inputs.find_altered(made_by.session, group, company, made_by.known, made_by.version.version)
        if self.from_bars:
            differences, unproved = compare_with_bars(made_by.session, company, group)
            directions = compare_directions(made_by, company, group)
            return unproved | obstacles, _joined(altered, differences, directions)
        return obstacles, altered


def company_of(rows: pl.DataFrame, group: pl.DataFrame) -> pl.DataFrame:
    """The rows of the same version that stood when a group was written, the group included."""
    of_group = pl.col("id").is_in(group["id"].to_list())
    standing = current_at(rows, group["generated_at"][0])["id"].to_list()
    same_version = pl.col("model_version_id") == group["model_version_id"][0]
    return rows.filter(of_group | (same_version & pl.col("id").is_in(standing)))


def _obstacles(group: pl.DataFrame, company: Company) -> dict[str, str]:
    """Why rows cannot be replayed, by id."""
    others = "its session holds rows that cannot be replayed, and was decided among them"
    obstacles = {}
    for id, text in group.select("id", "features_snapshot").iter_rows():
        if obstacle := company.readings[text].obstacle or (others if company.strangers else None):
            obstacles[id] = obstacle
    return obstacles


def _joined(*found: Findings) -> Findings:
    """Findings of several kinds, each once, by id."""
    ids = {id for one in found for id in one}
    return {id: list(dict.fromkeys(text for one in found for text in one.get(id, []))) for id in ids}


def _with_results(
    group: pl.DataFrame,
    version: str,
    decided: pl.DataFrame,
    obstacles: dict[str, str],
    altered: Findings,
    accuracy: float = 0,
) -> pl.DataFrame:
    """Stored rows with what was made again, as near as the recipe can, and what was found."""
    made = decided.select("instrument_id", "profile", pl.col(DECISION_COLUMNS).name.prefix("replayed_"))
    found = pl.DataFrame(
        {
            "altered": [altered.get(id, []) for id in group["id"]],
            "obstacle": [obstacles.get(id) for id in group["id"]],
        },
        schema={"altered": pl.List(pl.String), "obstacle": pl.String},
    )
    differs = [
        _differs(pl.col(name), pl.col(again), accuracy if group.schema[name].is_float() else 0)
        for name, again in zip(DECISION_COLUMNS, REPLAYED, strict=True)
    ]
    status = (
        pl.when(pl.col("altered").list.len() > 0)
        .then(pl.lit(DIFFERS))
        .when(pl.col("obstacle").is_not_null())
        .then(pl.lit(NOT_REPLAYED))
        .when(pl.any_horizontal(differs))
        .then(pl.lit(DIFFERS))
        .otherwise(pl.lit(IDENTICAL))
    )
    rows = group.join(made, on=["instrument_id", "profile"], how="left", maintain_order="left")
    return rows.hstack(found).with_columns(version=pl.lit(version), status=status)


def _differs(stored: pl.Expr, made: pl.Expr, accuracy: float) -> pl.Expr:
    """Whether what was made is not what is stored."""
    differs = stored.ne_missing(made)
    if not accuracy:
        return differs
    allowed = accuracy * pl.max_horizontal(stored.abs(), pl.lit(1.0))
    return differs & ((stored - made).abs() <= allowed).fill_null(False).not_()


def _nothing() -> pl.DataFrame:
    """What is decided of no row."""
    schema = required_columns(RECOMMENDATIONS) | {"score": pl.Float64()}
    names = ("instrument_id", "profile", *DECISION_COLUMNS, "score")
    return pl.DataFrame(schema={name: schema[name] for name in names})
