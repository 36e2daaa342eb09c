"""Training: the challengers of due dates, each with its model and its metrics.

What belongs here: what a version consists of: booster, calibrations, metrics of the record, deciles.
Kept elsewhere: the walk-forward (`walk.py`), what a metric is (`evaluation/`), whether a version is used
(`gate.py`), where its bytes are kept (`model_files.py`).

A challenger is a pure function of what was known before its due date and of the parameters: row order and threads
do not change a byte of it. Its own booster is not measured, since its future is unknown; its predecessors are,
each fitted the same way and measured on the month after its own due date.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Ints
from boursomatic_assets.learning.calibration import Calibration, calibrate, cell_indices
from boursomatic_assets.learning.drift import SortedFeatures
from boursomatic_assets.learning.evaluation.metrics import Metrics, SessionMetrics
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import feature_matrix
from boursomatic_assets.learning.walk import Step, WalkForward, label_cutoff, walk_forward


@dataclass(frozen=True)
class Challenger:
    """A trained model, before the gate's decision.

    Attributes:
        model_text: The model, as `model.Model.to_json` writes it.
        metrics: Those of the record before it, size, end and deciles of its training set; JSON-able.
        params_hash: The hash of the parameters that shaped it.
    """

    model_text: str
    metrics: Metrics
    params_hash: str


def train_challengers(
    history: History, due: Sequence[date], parameters: Parameters
) -> Iterator[tuple[date, Challenger | None]]:
    """Train the challenger of each due date, in their order; None where there is too little history.

    Args:
        history: The loaded history; for each due date only what was known before it is used.
        due: Due dates in order of time.
        parameters: Those of the models; the history was labelled with the same.
    """
    walked = walk_forward(history, max(due), parameters)
    calibrations = _Calibrations(history, walked, parameters)
    session_metrics = SessionMetrics.from_record(
        _out_of_sample_record(history, walked, calibrations, parameters),
        history.closes,
        parameters.horizon,
        parameters.stride,
        parameters.cost,
    )
    sorted_features = SortedFeatures.from_rows(history.rows)
    steps = {step.due: step for step in walked.steps}
    for due_date in due:
        step = steps.get(due_date)
        challenger = (
            _challenger(step, calibrations, session_metrics, sorted_features, parameters) if step else None
        )
        yield due_date, challenger


def _challenger(
    step: Step,
    calibrations: "_Calibrations",
    session_metrics: SessionMetrics,
    sorted_features: SortedFeatures,
    parameters: Parameters,
) -> Challenger:
    model = Model(
        step.fit.booster_text, {horizon: calibrations.at(step, horizon) for horizon in parameters.horizons}
    )
    training_set = {
        "train_rows": step.fit.training_rows,
        "train_end": label_cutoff(step.due, parameters).isoformat(),
        "deciles": sorted_features.deciles(step.training_mask),
    }
    return Challenger(
        model.to_json(), {**session_metrics.metrics_before(step.start), **training_set}, parameters.params_hash()
    )


class _Calibrations:
    """The calibration of each step and horizon, fitted on earlier scores whose label was known by then."""

    def __init__(self, history: History, walked: WalkForward, parameters: Parameters) -> None:
        self.parameters = parameters
        scores = walked.scores
        self.cell = cell_indices(scores["score_rank"].to_numpy(), feature_matrix(scores, ["vol_ratio"])[:, 0])
        self.ts = scores["ts"].to_numpy()
        self.labels = {horizon: labels[walked.row_indices] for horizon, labels in history.labels.items()}
        # The number of each pair of market and session.
        self.session: Ints = scores.select(pl.struct("market", "ts").rank("dense"))["market"].to_numpy()

    def at(self, step: Step, horizon: int) -> Calibration:
        """Return the calibration of a due date, from the labels that were known on it."""
        labels = self.labels[horizon]
        in_time = (labels["known_at"] < label_cutoff(step.due, self.parameters)) & labels["z"].is_not_null()
        known = in_time.fill_null(False).to_numpy() & (self.ts < np.datetime64(step.start))
        label = labels["label"].to_physical().to_numpy()[known].astype(np.int64)
        sessions = len(np.unique(self.session[known]))
        prior = self.parameters.prior_sessions * (len(label) / sessions if sessions else 1.0)
        z = labels["z"].to_numpy()[known]
        return calibrate(self.cell[known], label, z, prior, self.parameters.calibration_penalty)


def _out_of_sample_record(
    history: History, walked: WalkForward, calibrations: _Calibrations, parameters: Parameters
) -> pl.DataFrame:
    """Return the record: the scores and probabilities of each step in its month, with the labels."""
    labels = calibrations.labels[parameters.horizon]
    probability = np.empty((len(walked.row_indices), len(CLASSES)))
    starts = np.searchsorted(calibrations.ts, [np.datetime64(step.start) for step in walked.steps])
    for step, first, end in zip(walked.steps, starts, [*starts[1:], len(probability)], strict=False):
        calibration = calibrations.at(step, parameters.horizon)
        probability[first:end] = calibration.probabilities(calibrations.cell[first:end])
    return walked.scores.with_columns(
        labels["known_at"],
        labels["forward_return"],
        labels["label"],
        *(pl.Series(f"p_{label.lower()}", probability[:, i]) for i, label in enumerate(CLASSES)),
    )
