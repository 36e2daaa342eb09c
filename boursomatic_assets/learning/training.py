"""Training: the challengers of due dates, each with its model and its metrics.

What belongs here: what a version consists of: boosters, curves, metrics of the record, evidence, deciles.
Kept elsewhere: the walk-forward (`walk.py`), what a metric is (`evaluation/`), whether a version is used
(`gate.py`), where its bytes are kept (`registry/model_files.py`).

A challenger is a pure function of what was known before its due date and of the parameters: row order and threads
do not change a byte of it. Its own boosters are not measured on months that they learned from: the record has the
scores of each month by the boosters of its time.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
import polars as pl

from boursomatic_assets.arrays import SESSIONS_PER_YEAR
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.calibration.curves import NO_SKILL, Curves, fit_curves
from boursomatic_assets.learning.calibration.record import NO_ROWS, CellSums, MarketRecord
from boursomatic_assets.learning.calibration.zones import measure_zones
from boursomatic_assets.learning.drift import SortedFeatures
from boursomatic_assets.learning.evaluation.evidence import EvidenceRecord
from boursomatic_assets.learning.evaluation.metrics import Metrics, SessionMetrics
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.model import POOLED, Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import Step, WalkForward, label_cutoff, walk_forward


@dataclass(frozen=True)
class Challenger:
    """A trained model, before the gate's decision.

    Attributes:
        model_text: The model, as `model.Model.to_json` writes it.
        metrics: Those of the record before it, its evidence and zones by horizon, size, end and deciles of its
            training set; JSON-able.
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
    return measure_challengers(history, walk_forward(history, max(due), parameters), due, parameters)


def measure_challengers(
    history: History, walked: WalkForward, due: Sequence[date], parameters: Parameters
) -> Iterator[tuple[date, Challenger | None]]:
    """Yield what `train_challengers` does, from the boosters and scores of a walk-forward until the last date."""
    records = {horizon: _HorizonRecord.of(history, walked, horizon, parameters) for horizon in parameters.horizons}
    session_metrics = SessionMetrics.from_record(
        _out_of_sample_record(history, walked, records[parameters.horizon], parameters),
        history.closes,
        parameters.horizon,
        parameters.stride,
        parameters.cost,
    )
    sorted_features = SortedFeatures.from_rows(history.rows)
    steps = {step.due: step for step in walked.steps}
    for due_date in due:
        step = steps.get(due_date)
        if step is None:
            yield due_date, None
            continue
        metrics = {
            **session_metrics.metrics_before(step.start),
            **_training_set(step, sorted_features, parameters),
        }
        yield due_date, _challenger(step, records, metrics, parameters)


def _challenger(
    step: Step, records: "dict[int, _HorizonRecord]", metrics: Metrics, parameters: Parameters
) -> Challenger:
    cutoff = label_cutoff(step.due, parameters)
    model = Model(step.boosters, {horizon: record.curves(cutoff) for horizon, record in records.items()})
    by_horizon = {
        "evidence": {str(horizon): record.evidence.before(cutoff) for horizon, record in records.items()},
        "zones": {str(horizon): measure_zones(record.sums(cutoff)) for horizon, record in records.items()},
    }
    return Challenger(model.to_json(), {**metrics, **by_horizon}, parameters.params_hash())


def _training_set(step: Step, sorted_features: SortedFeatures, parameters: Parameters) -> dict[str, Any]:
    """Return the size, the end and the deciles of the training set of a step's newest boosters."""
    newest = step.quarters[-1]
    return {
        "train_rows": int(newest.training_mask.sum()),
        "train_end": label_cutoff(newest.due, parameters).isoformat(),
        "deciles": sorted_features.deciles(newest.training_mask),
    }


@dataclass(frozen=True)
class _HorizonRecord:
    """The record at one horizon: sums by market, of the rows that its profile may recommend, and the evidence."""

    by_market: dict[str, MarketRecord]
    evidence: EvidenceRecord
    parameters: Parameters

    @classmethod
    def of(cls, history: History, walked: WalkForward, horizon: int, parameters: Parameters) -> "_HorizonRecord":
        rows = walked.scores.hstack(history.labels[horizon][walked.row_indices])
        limit = parameters.volatility_limit(horizon)
        eligible = rows.filter(within_limit(limit)) if limit is not None else rows
        by_market = {
            name: MarketRecord.from_rows(of_market)
            for name in MARKETS
            if not (of_market := eligible.filter(market=name)).is_empty()
        }
        return cls(by_market, EvidenceRecord.from_rows(rows, horizon), parameters)

    def sums(self, cutoff: datetime) -> CellSums:
        """Return the sums of both markets."""
        return reduce(add, (record.before(cutoff) for record in self.by_market.values()), NO_ROWS)

    def curves(self, cutoff: datetime) -> dict[str, Curves]:
        """Return the curves of both markets, and of each, fitted on what was known before a cutoff."""
        sessions = (self.parameters.prior_sessions, self.parameters.market_prior_sessions)
        pooled = fit_curves(self.sums(cutoff), NO_SKILL, *sessions)
        known = {name: record.before(cutoff) for name, record in self.by_market.items()}
        apart = {name: fit_curves(sums, pooled, *sessions) for name, sums in known.items() if sums.sessions}
        return {POOLED: pooled, **apart}


def within_limit(limit: float) -> pl.Expr:
    """Return whether a row's volatility is known, and within an annual limit."""
    return (pl.col("vol_20d") * math.sqrt(SESSIONS_PER_YEAR) <= limit).fill_null(False)


def _out_of_sample_record(
    history: History, walked: WalkForward, record: _HorizonRecord, parameters: Parameters
) -> pl.DataFrame:
    """Return the record: the scores and probabilities of each step in its month, with the labels."""
    labels = history.labels[parameters.horizon][walked.row_indices]
    probability = np.empty((len(walked.row_indices), len(CLASSES)))
    ts, rank = walked.scores["ts"].to_numpy(), walked.scores["score_rank"].to_numpy()
    market = walked.scores["market"].to_numpy()
    starts = [int(np.searchsorted(ts, np.datetime64(step.start))) for step in walked.steps]
    for step, (first, end) in zip(walked.steps, pairwise([*starts, len(probability)]), strict=True):
        curves = record.curves(label_cutoff(step.due, parameters))
        for name in np.unique(market[first:end]):
            rows = first + np.flatnonzero(market[first:end] == name)
            probability[rows] = curves.get(name, curves[POOLED]).probabilities(rank[rows])
    return walked.scores.with_columns(
        labels["known_at"],
        labels["forward_return"],
        labels["label"],
        *(pl.Series(f"p_{label.lower()}", probability[:, i]) for i, label in enumerate(CLASSES)),
    )
