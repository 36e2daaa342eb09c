"""The walk-forward: each quarter boosters are fitted on known labels, and the last of them score each month.

What belongs here: due dates, the labels that each may learn from, and the record of out-of-sample scores.
Kept elsewhere: how a booster is fitted (`fitting.py`), how a version is trained (`training.py`), metrics of the
record (`evaluation/`).

A label is used on a due date only if its horizon ended more than `embargo` sessions before it: the purge and the
embargo of Lopez de Prado, Advances in Financial Machine Learning, chapter 7. So no price of a scored session, and
none of the sessions just before it, is in any label that its boosters learned from.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import Floats, Masks
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.learning.fitting import fit_booster, fit_ridge
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.model import POOLED, Boosters
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import ensemble, feature_matrix, score_ranks, score_rows

CONCURRENT_FITS = 2
"""Boosters fitted at the same time, each by one thread: the result is the same, and memory stays bounded."""

MONTHS_PER_QUARTER = 3
"""Boosters are fitted in January, April, July and October, and before that as soon as there is enough history."""


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
class Quarter:
    """What was fitted on the first due date of a quarter, and on which rows of the history."""

    due: date
    boosters: Boosters
    ridge_weights: Floats
    training_mask: Masks


@dataclass(frozen=True)
class Step:
    """A due date, and the quarters whose boosters score the month from it on, the newest last."""

    due: date
    quarters: tuple[Quarter, ...]

    @property
    def start(self) -> datetime:
        """The first instant of the due date."""
        return midnight(self.due)

    @property
    def boosters(self) -> tuple[Boosters, ...]:
        """The boosters of the quarters."""
        return tuple(quarter.boosters for quarter in self.quarters)


@dataclass(frozen=True)
class WalkForward:
    """The steps until some date, and the record of their scores.

    Attributes:
        steps: In order of time.
        row_indices: The rows of the history that are in the record, in order.
        scores: market, instrument_id, ts, vol_20d, score, score_rank, and the scores of the baselines: reversal
            (-ret_20d), momentum (ret_120d) and ridge; one row for each of `row_indices`.
    """

    steps: list[Step]
    row_indices: npt.NDArray[np.intp]
    scores: pl.DataFrame


def walk_forward(history: History, last: date, parameters: Parameters) -> WalkForward:
    """Fit each quarter up to `last` that has enough history, and score each month with the last of them.

    A quarter uses nothing that was not known before its due date, and no other quarter.
    """
    values, ranked = feature_matrix(history.rows, parameters.features), _centred_ranks(history.rows, parameters)
    first = history.rows["ts"].min()
    if not isinstance(first, datetime):
        return _score_steps(history, [], values, ranked)
    dates = due_dates(first.date(), last)
    quarters = _fit_quarters(history, dates, values, ranked, parameters)
    steps = [
        Step(due, tuple(known[-parameters.boosters :]))
        for due in dates
        if (known := [quarter for quarter in quarters if quarter.due <= due])
    ]
    return _score_steps(history, steps, values, ranked)


def _fit_quarters(
    history: History, due: list[date], values: Floats, ranked: Floats, parameters: Parameters
) -> list[Quarter]:
    """Fit boosters on the first of some due dates that has enough history, and in each quarter from then on.

    There is a booster of both markets, and one of each that has enough history by itself.
    """
    labels = history.labels[parameters.horizon]
    target, known_at = labels["return_rank"].to_numpy() - 0.5, labels["known_at"].to_numpy()
    ts, market = history.rows["ts"].to_numpy(), history.rows["market"].to_numpy()

    def usable(due: date) -> Masks:
        return (known_at < np.datetime64(label_cutoff(due, parameters))) & ~np.isnan(target)

    def enough(rows: Masks) -> bool:
        sessions = max((len(np.unique(ts[rows & (market == name)])) for name in MARKETS), default=0)
        return bool(
            rows.sum() >= parameters.minimum_training_rows and sessions >= parameters.minimum_training_sessions
        )

    def fit(due: date) -> Quarter:
        rows = usable(due)
        of_market = {name: rows & (market == name) for name in MARKETS}
        apart = {name: own for name, own in of_market.items() if enough(own) and own.sum() < rows.sum()}
        boosters = {
            name: fit_booster(values[some], target[some], parameters)
            for name, some in {POOLED: rows, **apart}.items()
        }
        return Quarter(due, boosters, fit_ridge(ranked[rows], target[rows], parameters.ridge), rows)

    first = next((place for place, date in enumerate(due) if enough(usable(date))), len(due))
    dates = [date for date in due[first:] if date == due[first] or date.month % MONTHS_PER_QUARTER == 1]
    with ThreadPoolExecutor(CONCURRENT_FITS) as pool:
        return list(pool.map(fit, dates))


def _score_steps(history: History, steps: list[Step], values: Floats, ranked: Floats) -> WalkForward:
    """Let each step score the sessions from its due date to the next one."""
    ts, market = history.rows["ts"].to_numpy(), history.rows["market"].to_numpy()
    starts = [np.datetime64(step.start) for step in steps]
    bounds = np.searchsorted(ts, np.array([*starts, np.datetime64("9999-01-01")]))
    row_indices = np.arange(bounds[0], len(ts))
    score, ridge = np.empty(len(ts)), np.empty(len(ts))
    for step, (start, end) in zip(steps, pairwise(bounds), strict=True):
        month = slice(start, end)
        score[month] = ensemble(step.boosters, market[month], values[month], score_rows)
        ridge[month] = np.einsum("ij,j->i", ranked[month], step.quarters[-1].ridge_weights)
    rows = history.rows[row_indices].select(
        "market",
        "instrument_id",
        "ts",
        "vol_20d",
        reversal=-pl.col("ret_20d"),
        momentum=pl.col("ret_120d"),
        score=score[row_indices],
        ridge=ridge[row_indices],
    )
    return WalkForward(steps, row_indices, rows.with_columns(score_rank=score_ranks(rows, score[row_indices])))


def _centred_ranks(rows: pl.DataFrame, parameters: Parameters) -> Floats:
    """Return the ranked features as ranks around zero; a missing one counts as the middle."""
    return cast(Floats, np.nan_to_num(feature_matrix(rows, [f"{name}_rank" for name in parameters.ranked]) - 0.5))
