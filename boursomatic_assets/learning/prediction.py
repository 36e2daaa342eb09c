"""Prediction: a model's score, probabilities, expected returns and contributions for each row of features.

What belongs here: the use of a model, and the rank of a score within its session.
Kept elsewhere: how contributions are computed (`contributions.py`), recommendations (`advice/signals.py`).

A score and its contributions depend on their row and the model alone, to the last bit; a probability also on the
rank of the score within its market's session, so rows come in whole sessions.
"""

import math
from collections.abc import Sequence
from typing import cast

import lightgbm as lgb
import numpy as np
import polars as pl

from boursomatic_assets.arrays import KEY, Floats, Ints
from boursomatic_assets.learning.calibration import Calibration, cell_indices
from boursomatic_assets.learning.contributions import contributions
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.model import Model

CALIBRATION_FEATURES = ("vol_20d", "vol_ratio")
"""What is needed of a row beside the features of the model: its volatility, and the state of it."""


def feature_matrix(rows: pl.DataFrame, features: Sequence[str]) -> Floats:
    """Return features as rows x features, with NaN for null."""
    return rows.select(pl.col(features).cast(pl.Float64)).to_numpy(order="c")


def score_rows(booster: lgb.Booster, values: Floats) -> Floats:
    """Return the score of each row: the expected rank, -0.5 to 0.5, of its forward return."""
    if not len(values):
        return np.empty(0)
    # One thread: two runs side by side keep two cores busy, and LightGBM's threads would wait by spinning.
    return cast(Floats, booster.predict(values, num_threads=1))


def score_ranks(rows: pl.DataFrame, score: Floats) -> Floats:
    """Return the rank of each score within its market's session, (rank - 0.5) / count; equal scores share one."""
    rank = (pl.col("score").rank() - 0.5) / pl.len()
    return rows.select("market", "ts", score=score).select(rank.over("market", "ts"))["score"].to_numpy()


def predict(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the predictions of a model for each row of features, in the order of the rows.

    Args:
        model: Its booster names the features that it needs.
        rows: As `predict_probabilities` takes them.

    Returns:
        The columns of `predict_probabilities`, and contributions: a struct of the contribution of each feature to
        the score.
    """
    names = model.booster.feature_name()
    added = contributions(model.booster, feature_matrix(rows, names))[:, 0, :]
    by_feature = pl.DataFrame({name: np.ascontiguousarray(added[:, i]) for i, name in enumerate(names)})
    return predict_probabilities(model, rows).with_columns(by_feature.to_struct("contributions"))


def predict_probabilities(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """Return what `predict` returns but for the contributions, which take most of its time.

    Args:
        model: Its booster names the features that it needs.
        rows: market, instrument_id, ts, CALIBRATION_FEATURES and the features of the model, of whole sessions.

    Returns:
        instrument_id, ts, market, score; by horizon h p_sell_h, p_hold_h, p_buy_h and expected_return_pct_h (the
        sum over the labels of probability x the label's mean, in volatilities, times the row's own volatility).
    """
    score = score_rows(model.booster, feature_matrix(rows, model.booster.feature_name()))
    cell = cell_indices(score_ranks(rows, score), feature_matrix(rows, ["vol_ratio"])[:, 0])
    by_horizon = [
        column
        for horizon, calibration in model.calibrations.items()
        for column in _horizon_columns(horizon, calibration, cell, rows["vol_20d"].to_numpy())
    ]
    return rows.select(*KEY, "market").with_columns(pl.Series("score", score), *by_horizon)


def _horizon_columns(horizon: int, calibration: Calibration, cell: Ints, volatility: Floats) -> list[pl.Series]:
    """Return the probabilities and the expected return at one horizon."""
    probability = calibration.probabilities(cell)
    expected = sum(
        (probability[:, i] * mean for i, mean in enumerate(calibration.means)), start=np.zeros(len(cell))
    )
    percent = pl.Series(f"expected_return_pct_{horizon}", expected * volatility * math.sqrt(horizon) * 100)
    columns = [pl.Series(f"p_{label.lower()}_{horizon}", probability[:, i]) for i, label in enumerate(CLASSES)]
    return [*columns, percent.fill_nan(None)]
