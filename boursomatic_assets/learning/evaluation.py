"""Evaluation: how good a model's probabilities were, on rows that it was not trained on.

Each metric is a few lines of numpy; its definition is its docstring, and docs/models.md lists them. Whether a
model is good enough to be used is decided in `gate`.
"""

from typing import Any, cast

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import KEY, LABELS
from boursomatic_assets.learning.prediction import Floats, probabilities
from boursomatic_assets.learning.splits import Window

Classes = npt.NDArray[np.uint8]
"""Positions in LABELS, one for each row."""

Metrics = dict[str, Any]
"""Finite numbers, ISO dates, null, and one level of the same by label: it is stored as JSON."""

SESSIONS_PER_YEAR = 252


def score(booster: lgb.Booster, history: History, window: Window, horizon: int) -> Metrics:
    """Return a model's metrics on a validation window.

    Args:
        booster: The model, with its own features.
        history: The labelled rows and the closes of the window; others are ignored.
        window: The sessions to judge it on.
        horizon: Bars that the portfolio holds a pick for.
    """
    rows = window.select(history.rows)
    chance = probabilities(booster, rows)
    chosen = chance.argmax(axis=1).astype(np.uint8)
    classes = class_numbers(rows)
    sides = rows.select(*KEY, side=pl.Series(chosen.astype(np.int8) - 1))
    closes = history.closes.filter(pl.col("ts").is_between(window.start, window.cutoff, closed="left"))
    returns = portfolio_returns(sides, closes, horizon)
    return {
        **classification(classes, chosen),
        "log_loss": log_loss(classes, chance),
        "sharpe": sharpe(returns),
        "max_drawdown": max_drawdown(returns),
        "label_share": shares(classes),
        "predicted_share": shares(chosen),
        **extent(rows, "valid"),
    }


def class_numbers(rows: pl.DataFrame) -> Classes:
    """Return the label of each row as its position in LABELS."""
    return cast(Classes, rows["label"].to_physical().to_numpy())


def extent(rows: pl.DataFrame, name: str) -> Metrics:
    """Return how many rows and sessions there are, and the first and last session in ISO form."""
    sessions = rows["ts"].unique().sort()
    return {
        f"{name}_rows": rows.height,
        f"{name}_sessions": len(sessions),
        f"{name}_start": sessions[0].isoformat(),
        f"{name}_end": sessions[-1].isoformat(),
    }


def shares(classes: Classes) -> dict[str, float]:
    """Return the share of the rows that each label has."""
    counts = np.bincount(classes, minlength=len(LABELS)) / len(classes)
    return dict(zip(LABELS, counts.tolist(), strict=True))


def classification(actual: Classes, chosen: Classes) -> dict[str, float]:
    """Return accuracy, and precision, recall and F1 as plain means over the three labels (macro).

    A label that was never chosen has precision 0, one that never happened has recall 0, as in scikit-learn
    with `zero_division=0`.
    """
    size = len(LABELS)
    pairs = np.bincount(actual.astype(np.intp) * size + chosen, minlength=size * size).reshape(size, size)
    right = pairs.diagonal()
    precision = right / np.maximum(pairs.sum(axis=0), 1)
    recall = right / np.maximum(pairs.sum(axis=1), 1)
    f1 = 2 * right / np.maximum(pairs.sum(axis=0) + pairs.sum(axis=1), 1)
    return {
        "accuracy": float(right.sum() / len(actual)),
        "precision": float(precision.mean()),
        "recall": float(recall.mean()),
        "f1": float(f1.mean()),
    }


def log_loss(actual: Classes, chance: Floats) -> float:
    """Return the mean of -ln(probability given to what happened), in nats; a zero counts as 2.2e-16."""
    given = chance[np.arange(len(actual)), actual]
    return float(-np.log(np.maximum(given, np.finfo(np.float64).eps)).mean())


def portfolio_returns(sides: pl.DataFrame, closes: pl.DataFrame, horizon: int) -> Floats:
    """Return the daily returns of a staggered portfolio, without costs.

    Each session opens 1/horizon of the book at the close: equal amounts of every pick, long the BUY and short
    the SELL. Each pick is held for `horizon` bars of its instrument and then closed. Amounts are shares of a
    book of constant size: nothing is rebalanced in between and gains are not reinvested. The first return is
    that of the session after the first opening; on a session of one market only, that market's picks earn it.

    Args:
        sides: instrument_id, ts and side: 1 for long, -1 for short, 0 for no pick.
        closes: instrument_id, ts, c: sorted, and up to the end of every pick's horizon.
        horizon: Bars that a pick is held for.
    """
    picks = sides.filter(pl.col("side") != 0)
    weight = pl.col("side") / (pl.len().over("ts") * horizon)
    book = closes.join(picks.select(*KEY, weight=weight), on=KEY, how="left", maintain_order="left")
    units = pl.col("weight") / pl.col("c")
    # Added one by one: sum_horizontal adds in an order that varies, so the last bit of a metric would too.
    held = sum((units.shift(k).fill_null(0) for k in range(1, horizon + 1)), start=pl.lit(0.0))
    gain = (held * pl.col("c").diff()).over("instrument_id").fill_null(0)
    sessions, position = np.unique(book["ts"].to_numpy(), return_inverse=True)
    daily = np.bincount(position, weights=book.select(gain=gain)["gain"].to_numpy())
    return cast(Floats, daily[sessions > sides["ts"].to_numpy().min()])


def sharpe(returns: Floats) -> float | None:
    """Return mean / standard deviation of daily returns x sqrt(252), or None for a book that never moved."""
    deviation = returns.std(ddof=1) if len(returns) > 1 else 0.0
    return float(returns.mean() / deviation * np.sqrt(SESSIONS_PER_YEAR)) if deviation > 0 else None


def max_drawdown(returns: Floats) -> float:
    """Return the deepest fall of the compounded book below its best value so far: 0.12 is a loss of 12 %."""
    value = np.cumprod(np.concatenate(([1.0], 1 + returns)))
    return float((1 - value / np.maximum.accumulate(value)).max())
