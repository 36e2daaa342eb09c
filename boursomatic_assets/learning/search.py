"""Search: other parameters of the booster, tried on the record before a cutoff.

What belongs here: the search space, and the objective of a trial.
Kept elsewhere: the record (`walk.py`), what a rank IC is (`evaluation/`), the parameters in force
(`parameters.py`), which change only when a person edits them.

The best of many trials is optimistic: some of its lead is luck, on the very rows that it was chosen by. Judge it
by its record after the cutoff, which no trial uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from boursomatic_assets.learning.evaluation.metrics import PROBABILITY_COLUMNS, SessionMetrics
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import label_rows
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import midnight, walk_forward

SEARCH_SPACE = {
    "leaves": (4, 16),
    "depth": (2, 4),
    "rounds": (40, 200),
    "learning_rate": (0.02, 0.1),
    "minimum_rows_in_leaf": (50, 400),
    "feature_share": (0.3, 1.0),
}
"""The bounds of each parameter that is searched; the learning rate is searched by its logarithm."""

DIGITS = 3
"""Decimals of a share, so that a trial's parameters can be written down."""


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        parameters: The best ones before the cutoff: the present ones, if no trial was better.
        trials: trial, rank_ic and the parameters that are searched; the present ones are the first row.
        comparison: The present and the found parameters: rank_ic_before and rank_ic_after the cutoff, null
            where there is no record.
    """

    parameters: Parameters
    trials: pl.DataFrame
    comparison: pl.DataFrame


def search_parameters(
    history: History, cutoff: date, parameters: Parameters, trials: int = 20, seed: int = 1
) -> SearchResult:
    """Look for parameters with a higher mean rank IC in the record of what was known before a cutoff.

    The trials are chosen by tree-structured Parzen estimators (Bergstra et al. 2011, "Algorithms for
    hyper-parameter optimization"), the present parameters first. The same rows, parameters and seed give the
    same trials, whatever the history holds from the cutoff on.

    Args:
        history: The loaded history; the trials use what was known before the cutoff.
        cutoff: Only rows, closes and labels before this date are used.
        parameters: The present ones, which the history was labelled with.
        trials: The number of trials, the present parameters included.
        seed: The seed of the choice of trials.

    Raises:
        RuntimeError: optuna is not installed.
        ValueError: there is no record before the cutoff.
    """
    optuna = import_optuna()
    past = history_before(history, cutoff)
    present = mean_rank_ic(past, parameters)
    if present is None:
        raise ValueError(f"nothing was scored and known before {cutoff}: load more history, or search until later")
    results: list[tuple[float, Parameters]] = []

    def objective(trial: Any) -> float:
        candidate = _suggest_parameters(trial, parameters)
        ic = present if candidate == parameters else mean_rank_ic(past, candidate) or 0.0
        results.append((ic, candidate))
        return ic

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(searched_values(parameters))
    study.optimize(objective, n_trials=trials)
    best, found = max(results, key=lambda result: result[0])  # of equal ones the first
    rows = [{"trial": n, "rank_ic": ic, **searched_values(values)} for n, (ic, values) in enumerate(results)]
    comparison = _compare({"present": (present, parameters), "found": (best, found)}, history, cutoff)
    return SearchResult(found, pl.DataFrame(rows), comparison)


def _compare(results: Mapping[str, tuple[float, Parameters]], history: History, cutoff: date) -> pl.DataFrame:
    """Return the rank IC of named parameters before and after the cutoff."""
    rows = [
        {"parameters": name, "rank_ic_before": ic, "rank_ic_after": mean_rank_ic(history, values, cutoff)}
        for name, (ic, values) in results.items()
    ]
    return pl.DataFrame(rows, schema_overrides={"rank_ic_after": pl.Float64})


def searched_values(parameters: Parameters) -> dict[str, int | float]:
    """Return the values of the parameters that are searched."""
    return {name: getattr(parameters, name) for name in SEARCH_SPACE}


def import_optuna() -> Any:
    """Return optuna, or raise an error that says how to install it."""
    try:
        import optuna
    except ImportError as error:
        raise RuntimeError("the search needs optuna, which is not installed: run `pip install optuna`") from error
    return optuna


def history_before(history: History, cutoff: date) -> History:
    """Return the history that was known before a cutoff, as if nothing later were loaded."""
    in_time = pl.col("ts") < midnight(cutoff)
    rows, closes = history.rows.filter(in_time), history.closes.filter(in_time)
    return History(rows, {h: label_rows(rows, closes, h) for h in history.labels}, closes)


def mean_rank_ic(history: History, parameters: Parameters, since: date = date.min) -> float | None:
    """Return the mean rank IC of the record of a walk-forward from a date on, None without one.

    A session in which all scores are equal counts as 0, so that all parameters are judged by the same sessions:
    those that the ridge regression ranks.
    """
    last = history.rows["ts"].max()
    walked = walk_forward(history, last.date() if isinstance(last, datetime) else since, parameters)
    labels = history.labels[parameters.horizon][walked.row_indices].select("known_at", "forward_return", "label")
    no_probabilities = (pl.lit(None, pl.Float64).alias(name) for name in PROBABILITY_COLUMNS)
    record = walked.scores.hstack(labels).with_columns(*no_probabilities).filter(pl.col("ts") >= midnight(since))
    session_metrics = SessionMetrics.from_record(
        record, history.closes, parameters.horizon, parameters.stride, parameters.cost
    )
    by_date = session_metrics.sessions.drop_nulls("rank_ic_ridge").group_by("ts", maintain_order=True)
    mean = by_date.agg(pl.col("rank_ic_score").fill_null(0.0).mean())["rank_ic_score"].mean()
    return mean if isinstance(mean, float) else None


def _suggest_parameters(trial: Any, parameters: Parameters) -> Parameters:
    """Return the parameters of a trial."""
    values: dict[str, Any] = {}
    for name, present in searched_values(parameters).items():
        low, high = SEARCH_SPACE[name]
        if isinstance(present, int):
            values[name] = trial.suggest_int(name, low, high)
        else:
            share = trial.suggest_float(name, low, high, log=name == "learning_rate")
            values[name] = present if share == present else round(share, DIGITS)
    return replace(parameters, **values)
