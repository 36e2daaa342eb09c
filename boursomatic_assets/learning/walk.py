"""The walk forward: on each due date a booster is fitted on what was known, and scores the month that follows.

What belongs here: due dates, which labels each may learn from, and the record of scores that no model had learned
from. Kept elsewhere: how a booster is fitted (`fitting`), what a version is made of (`training`), how good the
record is (`evaluation`).

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
from boursomatic_assets.learning.fitting import Fit, fit
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import matrix, scores, standings

AT_ONCE = 2
"""Boosters fitted side by side, each by one thread: what is fitted is the same, and memory stays bounded."""


def due_dates(first: date, last: date) -> list[date]:
    """The first session of each month, of either market, between two dates, both included."""
    months: dict[tuple[int, int], date] = {}
    for session in all_sessions().tolist():
        months.setdefault((session.year, session.month), session)
    return [session for session in months.values() if first <= session <= last]


def midnight(session: date) -> datetime:
    """The first instant of a date."""
    return datetime.combine(session, time())


def cutoff(due: date, parameters: Parameters) -> datetime:
    """Only labels known before this moment are used on a due date."""
    sessions = all_sessions()
    place = int(np.searchsorted(sessions, np.datetime64(due)))
    return midnight(sessions[max(place - parameters.embargo, 0)].item())


@dataclass(frozen=True)
class Step:
    """A due date, what was fitted on it, and which rows of the history that was learned from."""

    due: date
    fit: Fit
    learned: Masks

    @property
    def start(self) -> datetime:
        """The first instant of the due date."""
        return midnight(self.due)


@dataclass(frozen=True)
class Walk:
    """The steps until some date, and the record of what they said.

    Attributes:
        steps: In order of time.
        place: The rows of the history that are in the record, in order.
        scored: market, instrument_id, ts, vol_ratio, score, standing, and the scores of what a model is to beat:
            reversal (less ret_20d), momentum (ret_120d) and ridge; one row for each of `place`.
    """

    steps: list[Step]
    place: npt.NDArray[np.intp]
    scored: pl.DataFrame


def walk(history: History, last: date, parameters: Parameters) -> Walk:
    """Walk through the due dates up to `last` for which there is enough history.

    A step depends on nothing that was not known before it, and on no other step.
    """
    values, ranks = matrix(history.rows, parameters.features), _ranks(history.rows, parameters)
    target = _target(history, parameters)
    ts, market = history.rows["ts"].to_numpy(), history.rows["market"].to_numpy()
    known_at = history.outcomes[parameters.horizon]["known_at"].to_numpy()

    def step(due: date) -> Step | None:
        usable = (known_at < np.datetime64(cutoff(due, parameters))) & ~np.isnan(target)
        sessions = max((len(np.unique(ts[usable & (market == name)])) for name in MARKETS), default=0)
        if usable.sum() < parameters.minimum_training_rows or sessions < parameters.minimum_training_sessions:
            return None
        return Step(due, fit(values[usable], ranks[usable], target[usable], parameters), usable)

    due = due_dates(history.rows["ts"].min().date(), last) if history.rows.height else []  # type: ignore[union-attr]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        steps = [found for found in pool.map(step, due) if found]
    return _scored(history, steps, values, ranks)


def _scored(history: History, steps: list[Step], values: Floats, ranks: Floats) -> Walk:
    """Let each step score the sessions from its due date to the next one."""
    ts = history.rows["ts"].to_numpy()
    starts = [np.datetime64(step.start) for step in steps]
    bounds = np.searchsorted(ts, np.array([*starts, np.datetime64("9999-01-01")]))
    place = np.arange(bounds[0], len(ts))
    score, ridge = np.empty(len(ts)), np.empty(len(ts))
    for step, first, end in zip(steps, bounds, bounds[1:], strict=False):
        month = slice(first, end)
        score[month] = scores(step.fit.booster, values[month])
        ridge[month] = np.einsum("ij,j->i", ranks[month], step.fit.ridge)
    rows = history.rows[place].select(
        "market",
        "instrument_id",
        "ts",
        "vol_ratio",
        reversal=-pl.col("ret_20d"),
        momentum=pl.col("ret_120d"),
        score=score[place],
        ridge=ridge[place],
    )
    return Walk(steps, place, rows.with_columns(standing=standings(rows, score[place])))


def _ranks(rows: pl.DataFrame, parameters: Parameters) -> Floats:
    """Ranks around zero; one that is missing counts as the middle."""
    return cast(Floats, np.nan_to_num(matrix(rows, [f"{name}_rank" for name in parameters.ranked]) - 0.5))


def _target(history: History, parameters: Parameters) -> Floats:
    """The rank of each row's forward return within its market's session, -0.5 to 0.5; NaN where it is unknown."""
    outcome = pl.col("forward_return")
    rank = ((outcome.rank() - 0.5) / outcome.count() - 0.5).over("market", "ts")
    rows = history.rows.select("market", "ts").with_columns(history.outcomes[parameters.horizon]["forward_return"])
    return rows.select(rank)["forward_return"].to_numpy()
