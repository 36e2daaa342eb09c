"""Search: other parameters of the booster, tried on the record before a cutoff.

What belongs here: what is varied, by how much, and what a trial is worth. Kept elsewhere: the record (`walk`),
what a rank IC is (`evaluation`), the parameters in force (`parameters`), which change only when a person edits
them.

The best of many trials is optimistic: some of its lead is luck, on the very rows that it was chosen by. What it
did after the cutoff, which no trial saw, is what to judge it by.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from boursomatic_assets.learning.evaluation.metrics import CHANCES, Scoreboard
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import label_rows
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import midnight, walk

SEARCHED = {
    "leaves": (4, 16),
    "depth": (2, 4),
    "rounds": (40, 200),
    "learning_rate": (0.02, 0.1),
    "minimum_rows_in_leaf": (50, 400),
    "feature_share": (0.3, 1.0),
}
"""What is searched, from the least to the most; of the learning rate its logarithm is."""

DIGITS = 3
"""Decimals of a share: what is tried is what can be written down."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        parameters: The best ones before the cutoff: the present ones, if no trial was better.
        trials: trial, rank_ic and the parameters that are searched; the present ones are the first row.
        judged: The present and the found parameters: rank_ic_before and rank_ic_after the cutoff, null
            where there is no record.
    """

    parameters: Parameters
    trials: pl.DataFrame
    judged: pl.DataFrame


def search(
    history: History, cutoff: date, parameters: Parameters, trials: int = 20, seed: int = 1
) -> SearchResult:
    """Look for parameters with a higher mean rank IC in the record of what was known before a cutoff.

    The trials are chosen by tree-structured Parzen estimators (Bergstra et al. 2011, "Algorithms for
    hyper-parameter optimization"), the present parameters first. The same rows, parameters and seed give the
    same trials, whatever the history holds from the cutoff on.

    Args:
        history: What is loaded; the trials see what was known before the cutoff.
        cutoff: Only rows, closes and outcomes before this date are used.
        parameters: The present ones, which the history was labelled with.
        trials: How many are tried, the present ones included.
        seed: Of the choice of trials.

    Raises:
        RuntimeError: optuna is not installed.
        ValueError: there is no record before the cutoff.
    """
    optuna = tuner()
    past = before(history, cutoff, parameters)
    present = rank_ic(past, parameters)
    if present is None:
        raise ValueError(f"nothing was scored and known before {cutoff}: load more history, or search until later")
    tried: list[tuple[float, Parameters]] = []

    def worth(trial: Any) -> float:
        one = _suggested(trial, parameters)
        ic = present if one == parameters else rank_ic(past, one) or 0.0
        tried.append((ic, one))
        return ic

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(search_space(parameters))
    study.optimize(worth, n_trials=trials)
    best, found = max(tried, key=lambda pair: pair[0])  # of equal ones the first
    rows = [{"trial": n, "rank_ic": ic, **search_space(one)} for n, (ic, one) in enumerate(tried)]
    judged = [
        {"parameters": name, "rank_ic_before": ic, "rank_ic_after": rank_ic(history, one, cutoff)}
        for name, ic, one in (("present", present, parameters), ("found", best, found))
    ]
    return SearchResult(
        found, pl.DataFrame(rows), pl.DataFrame(judged, schema_overrides={"rank_ic_after": pl.Float64})
    )


def search_space(parameters: Parameters) -> dict[str, int | float]:
    """Return the parameters that are searched."""
    return {name: getattr(parameters, name) for name in SEARCHED}


def tuner() -> Any:
    """Return optuna, or say how to get it."""
    try:
        import optuna
    except ImportError as error:
        raise RuntimeError("the search needs optuna, which is not installed: run `pip install optuna`") from error
    return optuna


def before(history: History, cutoff: date, parameters: Parameters) -> History:
    """Return what had been known before a cutoff, as if nothing later had been loaded."""
    early = pl.col("ts") < midnight(cutoff)
    rows, closes = history.rows.filter(early), history.closes.filter(early)
    threshold = parameters.label_threshold
    return History(rows, {h: label_rows(rows, closes, h, threshold) for h in history.outcomes}, closes)


def rank_ic(history: History, parameters: Parameters, since: date = date.min) -> float | None:
    """Return the mean rank IC of the walk's record from a date on, None without one.

    A session that the model puts in no order counts as 0, so that all parameters are judged by the same sessions:
    those that the ridge regression ranks.
    """
    last = history.rows["ts"].max()
    walked = walk(history, last.date() if isinstance(last, datetime) else since, parameters)
    outcome = history.outcomes[parameters.horizon][walked.place].select("known_at", "forward_return", "label")
    chances = (pl.lit(None, pl.Float64).alias(name) for name in CHANCES)
    record = walked.scored.hstack(outcome).with_columns(*chances).filter(pl.col("ts") >= midnight(since))
    board = Scoreboard.of(record, history.closes, parameters.horizon, parameters.stride, parameters.cost)
    ranked = board.sessions.drop_nulls("rank_ic_ridge").group_by("ts", maintain_order=True)
    mean = ranked.agg(pl.col("rank_ic_score").fill_null(0.0).mean())["rank_ic_score"].mean()
    return mean if isinstance(mean, float) else None


def _suggested(trial: Any, parameters: Parameters) -> Parameters:
    """The parameters of a trial."""
    values: dict[str, Any] = {}
    for name, now in search_space(parameters).items():
        least, most = SEARCHED[name]
        if isinstance(now, int):
            values[name] = trial.suggest_int(name, least, most)
        else:
            share = trial.suggest_float(name, least, most, log=name == "learning_rate")
            values[name] = now if share == now else round(share, DIGITS)
    return replace(parameters, **values)
