"""Training: the challengers of due dates, each with its model and the evidence for it.

What belongs here: what a version is made of. Kept elsewhere: the walk that it ends (`walk`), what its numbers mean
(`evaluation`), whether it is used (`gate`), where its bytes are kept (`model_files`).

A challenger is a pure function of what was known before its due date and of the parameters: row order and threads
do not change a byte of it. Its booster has not been measured, since nothing that followed it is known yet; its
predecessors have been, fitted the same way, each on the month after its own due date.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Ints
from boursomatic_assets.learning.calibration import Calibration, calibrate, cells
from boursomatic_assets.learning.drift import Sorted
from boursomatic_assets.learning.evaluation.metrics import Metrics, Scoreboard
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import matrix
from boursomatic_assets.learning.walk import Step, Walk, cutoff, walk


@dataclass(frozen=True)
class Challenger:
    """A trained model that no gate has passed yet.

    Attributes:
        model_text: The model, as `model.Model.text` writes it.
        metrics: Those of the record before it, and what it learned from, with its deciles; JSON-able.
        params_hash: The hash of the parameters that shaped it.
    """

    model_text: str
    metrics: Metrics
    params_hash: str


def challengers(
    history: History, due: Sequence[date], parameters: Parameters
) -> Iterator[tuple[date, Challenger | None]]:
    """Train the challenger of each due date, in their order; None where there is too little history.

    Args:
        history: What is loaded; for each due date only what was known before it is used.
        due: Due dates in order of time.
        parameters: What shapes the models; the history was labelled with the same.
    """
    walked = walk(history, max(due), parameters)
    calibrations = _Calibrations(history, walked, parameters)
    board = Scoreboard.of(
        _record(history, walked, calibrations, parameters),
        history.closes,
        parameters.horizon,
        parameters.stride,
        parameters.cost,
    )
    rows = Sorted.of(history.rows)
    steps = {step.due: step for step in walked.steps}
    for one in due:
        yield one, _challenger(steps[one], calibrations, board, rows, parameters) if one in steps else None


def _challenger(
    step: Step, calibrations: "_Calibrations", board: Scoreboard, rows: Sorted, parameters: Parameters
) -> Challenger:
    model = Model(step.fit.text, {horizon: calibrations.at(step, horizon) for horizon in parameters.horizons})
    learned = {
        "train_rows": step.fit.rows,
        "train_end": cutoff(step.due, parameters).isoformat(),
        "deciles": rows.deciles(step.learned),
    }
    return Challenger(model.text(), {**board.metrics(step.start), **learned}, parameters.params_hash())


class _Calibrations:
    """The calibration of each step and horizon: of what the steps before it had scored, and was known by then."""

    def __init__(self, history: History, walked: Walk, parameters: Parameters) -> None:
        self.parameters = parameters
        scored = walked.scored
        self.cell = cells(scored["standing"].to_numpy(), matrix(scored, ["vol_ratio"])[:, 0])
        self.ts = scored["ts"].to_numpy()
        self.outcomes = {h: outcome[walked.place] for h, outcome in history.outcomes.items()}
        # pairs of market and session, of which the rows of one are alike
        self.session: Ints = scored.select(pl.struct("market", "ts").rank("dense"))["market"].to_numpy()

    def at(self, step: Step, horizon: int) -> Calibration:
        """What was known on a due date."""
        outcome = self.outcomes[horizon]
        early = (outcome["known_at"] < cutoff(step.due, self.parameters)) & outcome["z"].is_not_null()
        known = early.fill_null(False).to_numpy() & (self.ts < np.datetime64(step.start))
        label = outcome["label"].to_physical().to_numpy()[known].astype(np.int64)
        sessions = len(np.unique(self.session[known]))
        prior = self.parameters.prior_sessions * (len(label) / sessions if sessions else 1.0)
        z = outcome["z"].to_numpy()[known]
        return calibrate(self.cell[known], label, z, prior, self.parameters.calibration_penalty)


def _record(history: History, walked: Walk, calibrations: _Calibrations, parameters: Parameters) -> pl.DataFrame:
    """The record: what each step said in its month, and what followed."""
    outcome = calibrations.outcomes[parameters.horizon]
    chance = np.empty((len(walked.place), len(CLASSES)))
    starts = np.searchsorted(calibrations.ts, [np.datetime64(step.start) for step in walked.steps])
    for step, first, end in zip(walked.steps, starts, [*starts[1:], len(chance)], strict=False):
        calibration = calibrations.at(step, parameters.horizon)
        chance[first:end] = calibration.probabilities(calibrations.cell[first:end])
    return walked.scored.with_columns(
        outcome["known_at"],
        outcome["forward_return"],
        outcome["label"],
        *(pl.Series(f"p_{label.lower()}", chance[:, i]) for i, label in enumerate(CLASSES)),
    )
