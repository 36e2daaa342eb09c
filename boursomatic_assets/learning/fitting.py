"""Fitting: a booster, and the ridge regression that is its baseline, on the same rows.

What belongs here: one fit, a pure function of its rows and parameters; threads do not change a byte of it.
Kept elsewhere: which rows a due date may use (`walk.py`).
"""

import re
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.parameters import Parameters


@dataclass(frozen=True)
class Fit:
    """Booster and ridge regression of the same training rows.

    Attributes:
        booster_text: The booster in LightGBM's text format.
        ridge_weights: The weights of the ridge regression.
        training_rows: The number of training rows.
    """

    booster_text: str
    ridge_weights: Floats
    training_rows: int

    @property
    def booster(self) -> lgb.Booster:
        """The booster, parsed from its text."""
        return lgb.Booster(model_str=self.booster_text)


def fit_models(values: Floats, ranks: Floats, target: Floats, parameters: Parameters) -> Fit:
    """Fit the booster and the ridge regression on the same rows.

    Args:
        values: Rows x the features of `parameters`, NaN where one is missing.
        ranks: Rows x its ranked features, -0.5 to 0.5.
        target: The rank of each row's forward return, -0.5 to 0.5.
        parameters: Those of the booster and the ridge regression.
    """
    lightgbm_parameters = parameters.booster_parameters()
    data = lgb.Dataset(values, label=target, feature_name=list(parameters.features), params=lightgbm_parameters)
    text = lgb.train(lightgbm_parameters, data, num_boost_round=parameters.rounds).model_to_string()
    # The text repeats its parameters; this one does not shape the trees, so it must not change the bytes.
    text = re.sub(r"\[num_threads: \d+\]\n", "", text)
    return Fit(text, _fit_ridge(ranks, target, parameters.ridge), len(target))


def _fit_ridge(ranks: Floats, target: Floats, penalty: float) -> Floats:
    """Return the weights of least squares with an L2 penalty for each row (Hoerl and Kennard 1970)."""
    # Not by a matrix product, which may round differently with other threads.
    squares = np.einsum("ij,ik->jk", ranks, ranks) + penalty * len(target) * np.eye(ranks.shape[1])
    weights: Floats = np.linalg.solve(squares, np.einsum("ij,i->j", ranks, target))
    return weights
