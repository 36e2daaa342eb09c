"""The walk-forward: on each due date a booster is fitted on known labels, and scores the month that follows.

What belongs here: due dates, the labels that each may learn from, and the record of out-of-sample scores.
Kept elsewhere: how a booster is fitted (`fitting.py`), how a version is trained (`training.py`), metrics of the
record (`evaluation/`).

A label is used on a due date only if its horizon ended more than `embargo` sessions before it: the purge and the
embargo of Lopez de Prado, Advances in Financial Machine Learning, chapter 7. So no price of a scored session, and
none of the sessions just before it, is in any label that its booster learned from.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import Floats, Masks
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.learning.fitting import Fit, fit_models
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import feature_matrix, score_ranks, score_rows

CONCURRENT_FITS = 2
"""Boosters fitted at the same time, each by one thread: the result is the same, and memory stays bounded."""


def due_dates(first: date, last: date) -> list[date]:
    """Return the first session of each month, of either market, between two dates, both included."""
    months: dict[tuple[int, int], date] = {}
    for session in all_sessions().tolist():
        months.setdefault((session.year, session.month), session)
    return [session for session in months.values() if first <= session <= last]


def midnight(session: date) -> datetime:
    """Return the first instant of a date."""
    return datetime.combine(session, time())


def label_cutoff(due: date, parameters: Parameters) -> datetime:
    """Return the moment before which a label must be known to be used on a due date."""
    sessions = all_sessions()
    index = int(np.searchsorted(sessions, np.datetime64(due)))
    return midnight(sessions[max(index - parameters.embargo, 0)].item())


@dataclass(frozen=True)
class Step:
    """A due date, what was fitted on it, and which rows of the history were the training set."""

    due: date
    fit: Fit
    training_mask: Masks

    @property
    def start(self) -> datetime:
        """The first instant of the due date."""
        return midnight(self.due)


@dataclass(frozen=True)
class WalkForward:
    """The steps until some date, and the record of their scores.

    Attributes:
        steps: In order of time.
        row_indices: The rows of the history that are in the record, in order.
        scores: market, instrument_id, ts, vol_ratio, score, score_rank, and the scores of the baselines: reversal
            (-ret_20d), momentum (ret_120d) and ridge; one row for each of `row_indices`.
    """

    steps: list[Step]
    row_indices: npt.NDArray[np.intp]
    scores: pl.DataFrame


def walk_forward(history: History, last: date, parameters: Parameters) -> WalkForward:
    """Fit a step on each due date up to `last` that has enough history, and score with each until the next.

    A step uses nothing that was not known before it, and no other step.
    """
    values, ranks = feature_matrix(history.rows, parameters.features), _centred_ranks(history.rows, parameters)
    target = _return_ranks(history, parameters)
    ts, market = history.rows["ts"].to_numpy(), history.rows["market"].to_numpy()
    known_at = history.labels[parameters.horizon]["known_at"].to_numpy()

    def fit_step(due: date) -> Step | None:
        usable = (known_at < np.datetime64(label_cutoff(due, parameters))) & ~np.isnan(target)
        sessions = max((len(np.unique(ts[usable & (market == name)])) for name in MARKETS), default=0)
        if usable.sum() < parameters.minimum_training_rows or sessions < parameters.minimum_training_sessions:
            return None
        return Step(due, fit_models(values[usable], ranks[usable], target[usable], parameters), usable)

    due = due_dates(history.rows["ts"].min().date(), last) if history.rows.height else []  # type: ignore[union-attr]
    with ThreadPoolExecutor(CONCURRENT_FITS) as pool:
        steps = [step for step in pool.map(fit_step, due) if step]
    return _score_steps(history, steps, values, ranks)


def _score_steps(history: History, steps: list[Step], values: Floats, ranks: Floats) -> WalkForward:
    """Let each step score the sessions from its due date to the next one."""
    ts = history.rows["ts"].to_numpy()
    starts = [np.datetime64(step.start) for step in steps]
    bounds = np.searchsorted(ts, np.array([*starts, np.datetime64("9999-01-01")]))
    row_indices = np.arange(bounds[0], len(ts))
    score, ridge = np.empty(len(ts)), np.empty(len(ts))
    for step, first, end in zip(steps, bounds, bounds[1:], strict=False):
        month = slice(first, end)
        score[month] = score_rows(step.fit.booster, values[month])
        ridge[month] = np.einsum("ij,j->i", ranks[month], step.fit.ridge_weights)
    rows = history.rows[row_indices].select(
        "market",
        "instrument_id",
        "ts",
        "vol_ratio",
        reversal=-pl.col("ret_20d"),
        momentum=pl.col("ret_120d"),
        score=score[row_indices],
        ridge=ridge[row_indices],
    )
    return WalkForward(steps, row_indices, rows.with_columns(score_rank=score_ranks(rows, score[row_indices])))


def _centred_ranks(rows: pl.DataFrame, parameters: Parameters) -> Floats:
    """Return the ranked features as ranks around zero; a missing one counts as the middle."""
    return cast(Floats, np.nan_to_num(feature_matrix(rows, [f"{name}_rank" for name in parameters.ranked]) - 0.5))


def _return_ranks(history: History, parameters: Parameters) -> Floats:
    """Return the rank of each row's forward return within its market's session, -0.5 to 0.5; NaN if unknown."""
    forward_return = pl.col("forward_return")
    rank = ((forward_return.rank() - 0.5) / forward_return.count() - 0.5).over("market", "ts")
    rows = history.rows.select("market", "ts").with_columns(history.labels[parameters.horizon]["forward_return"])
    return rows.select(rank)["forward_return"].to_numpy()
