"""Prediction: a model's probabilities, expected return and reasons for each row of features.

A row's numbers depend on that row and the model alone, to the last bit, whatever rows are beside it and
however many threads work. Which of them becomes advice is decided in `signals`.
"""

from collections.abc import Mapping
from typing import cast

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.learning.labels import KEY, LABELS

Floats = npt.NDArray[np.float64]

THREADS = 2


def probabilities(booster: lgb.Booster, features: pl.DataFrame, num_threads: int = THREADS) -> Floats:
    """Return the probability of each label, rows x LABELS; a null feature counts as missing."""
    if features.is_empty():
        return np.empty((0, len(LABELS)))
    return cast(Floats, booster.predict(_matrix(booster, features), num_threads=num_threads))


def predict(
    booster: lgb.Booster,
    features: pl.DataFrame,
    mean_return_pct: Mapping[str, float],
    num_threads: int = THREADS,
) -> pl.DataFrame:
    """Return what the model says about each row of features, in the order of the rows.

    Args:
        booster: A trained model; it names the features that it needs.
        features: instrument_id, ts and at least the features of the model.
        mean_return_pct: Mean realised forward return of each label in the training rows, in percent.
        num_threads: Threads used.

    Returns:
        instrument_id, ts, p_sell, p_hold, p_buy, expected_return_pct (the sum over the labels of probability
        x mean return) and contributions: a struct with one field for each feature, an array of what it adds
        to the raw score of each of LABELS.
    """
    chance = probabilities(booster, features, num_threads)
    # Column by column: a matrix product may round a row differently beside other rows.
    means = [mean_return_pct[label] for label in LABELS]
    expected = sum((chance[:, i] * mean for i, mean in enumerate(means)), start=np.zeros(len(chance)))
    return features.select(KEY).with_columns(
        *(pl.Series(f"p_{label.lower()}", chance[:, i]) for i, label in enumerate(LABELS)),
        pl.Series("expected_return_pct", expected),
        _contributions(booster, features, num_threads),
    )


def _matrix(booster: lgb.Booster, features: pl.DataFrame) -> Floats:
    """Return the model's features, rows x features, with NaN for null."""
    return features.select(booster.feature_name()).to_numpy(order="c")


def _contributions(booster: lgb.Booster, features: pl.DataFrame, num_threads: int) -> pl.Series:
    """Return LightGBM's own SHAP values: with the bias, which is left out, they sum to the raw score."""
    names = booster.feature_name()
    shape = (features.height, len(LABELS), len(names) + 1)
    shares = np.empty(shape)
    if not features.is_empty():
        flat = booster.predict(_matrix(booster, features), pred_contrib=True, num_threads=num_threads)
        shares = cast(Floats, flat).reshape(shape)
    columns = {name: np.ascontiguousarray(shares[:, :, i]) for i, name in enumerate(names)}
    schema = {name: pl.Array(pl.Float64, len(LABELS)) for name in names}
    return pl.DataFrame(columns, schema=schema).to_struct("contributions")
