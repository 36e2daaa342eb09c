"""Fitting: a booster, and the ridge regression that is its baseline.

What belongs here: one fit, a pure function of its rows and parameters; threads do not change a byte of it.
Kept elsewhere: which rows a due date may use (`walk.py`).
"""

import re

import lightgbm as lgb
import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.parameters import Parameters


def fit_booster(values: Floats, target: Floats, parameters: Parameters) -> str:
    """Fit a booster; return it in LightGBM's text format.

    Args:
        values: Rows x the features of `parameters`, NaN where one is missing.
        target: The rank of each row's forward return, -0.5 to 0.5.
        parameters: Those of the booster.
    """
    lightgbm_parameters = parameters.booster_parameters()
    data = lgb.Dataset(values, label=target, feature_name=list(parameters.features), params=lightgbm_parameters)
    text: str = lgb.train(lightgbm_parameters, data, num_boost_round=parameters.rounds).model_to_string()
    # The text repeats its parameters; this one does not shape the trees, so it must not change the bytes.
    return re.sub(r"\[num_threads: \d+\]\n", "", text)


def fit_ridge(ranks: Floats, target: Floats, penalty: float) -> Floats:
    """Return the weights of least squares with an L2 penalty for each row (Hoerl and Kennard 1970).

    Args:
        ranks: Rows x ranked features, -0.5 to 0.5.
        target: The rank of each row's forward return, -0.5 to 0.5.
        penalty: L2 penalty of each weight, per row.
    """
    # Not by a matrix product, which may round differently with other threads.
    squares = np.einsum("ij,ik->jk", ranks, ranks) + penalty * len(target) * np.eye(ranks.shape[1])
    weights: Floats = np.linalg.solve(squares, np.einsum("ij,i->j", ranks, target))
    return weights
