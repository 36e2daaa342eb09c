"""Prediction: a model's probabilities, expected return and reasons for each row of features.

A row's numbers depend on that row and the model alone, to the last bit, whatever rows are beside it. How
reasons are counted is `contributions`; what becomes advice is decided in `signals`.
"""

from collections.abc import Mapping
from typing import cast

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.learning.contributions import contributions
from boursomatic_assets.learning.labels import KEY, LABELS

Floats = npt.NDArray[np.float64]


def probabilities(booster: lgb.Booster, features: pl.DataFrame) -> Floats:
    """Return the probability of each label, rows x LABELS; a null feature counts as missing."""
    if features.is_empty():
        return np.empty((0, len(LABELS)))
    # One thread: two runs side by side keep two cores busy, and LightGBM's threads would wait by spinning.
    return cast(Floats, booster.predict(_matrix(booster, features), num_threads=1))


def predict(booster: lgb.Booster, features: pl.DataFrame, mean_return_pct: Mapping[str, float]) -> pl.DataFrame:
    """Return what the model says about each row of features, in the order of the rows.

    Args:
        booster: A trained model; it names the features that it needs.
        features: instrument_id, ts and at least the features of the model.
        mean_return_pct: Mean realised forward return of each label in the training rows, in percent.

    Returns:
        instrument_id, ts, p_sell, p_hold, p_buy, expected_return_pct (the sum over the labels of probability
        x mean return) and contributions: a struct with one field for each feature, an array of what it adds
        to the raw score of each of LABELS.
    """
    chance = probabilities(booster, features)
    # Column by column: a matrix product may round a row differently beside other rows.
    means = [mean_return_pct[label] for label in LABELS]
    expected = sum((chance[:, i] * mean for i, mean in enumerate(means)), start=np.zeros(len(chance)))
    return features.select(KEY).with_columns(
        *(pl.Series(f"p_{label.lower()}", chance[:, i]) for i, label in enumerate(LABELS)),
        pl.Series("expected_return_pct", expected),
        _contributions(booster, features),
    )


def _matrix(booster: lgb.Booster, features: pl.DataFrame) -> Floats:
    """Return the model's features, rows x features, with NaN for null."""
    return features.select(booster.feature_name()).to_numpy(order="c")


def _contributions(booster: lgb.Booster, features: pl.DataFrame) -> pl.Series:
    """Return the contributions as a struct: by feature, an array of what it adds to each label."""
    shares = contributions(booster, _matrix(booster, features))
    columns = {name: np.ascontiguousarray(shares[:, :, i]) for i, name in enumerate(booster.feature_name())}
    schema = dict.fromkeys(columns, pl.Array(pl.Float64, len(LABELS)))
    return pl.DataFrame(columns, schema=schema).to_struct("contributions")
