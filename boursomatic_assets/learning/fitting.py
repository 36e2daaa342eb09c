"""Fitting: a booster, and the ridge regression that it is held against, on the same rows.

The result is a pure function of the rows and the parameters: threads do not change a byte of it.
"""

import re
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.parameters import Parameters


@dataclass(frozen=True)
class Fit:
    """What was fitted on some rows.

    Attributes:
        text: The booster in LightGBM's text format.
        ridge: The weights of the ridge regression.
        rows: How many rows there were.
    """

    text: str
    ridge: Floats
    rows: int

    @property
    def booster(self) -> lgb.Booster:
        """The booster, read from its text."""
        return lgb.Booster(model_str=self.text)


def fit(values: Floats, ranks: Floats, target: Floats, parameters: Parameters) -> Fit:
    """Fit both on the same rows.

    Args:
        values: Rows x the features of `parameters`, NaN where one is missing.
        ranks: Rows x its ranked features, -0.5 to 0.5.
        target: The rank of each row's forward return, -0.5 to 0.5.
        parameters: What shapes the booster.
    """
    given = parameters.booster()
    data = lgb.Dataset(values, label=target, feature_name=list(parameters.features), params=given)
    text = lgb.train(given, data, num_boost_round=parameters.rounds).model_to_string()
    # The text repeats its parameters; this one does not shape the trees, so it must not change the bytes.
    text = re.sub(r"\[num_threads: \d+\]\n", "", text)
    return Fit(text, _ridge(ranks, target, parameters.ridge), len(target))


def _ridge(ranks: Floats, target: Floats, penalty: float) -> Floats:
    """The weights of least squares with an L2 penalty for each row (Hoerl and Kennard 1970)."""
    # Not by a matrix product, which may round differently with other threads.
    squares = np.einsum("ij,ik->jk", ranks, ranks) + penalty * len(target) * np.eye(ranks.shape[1])
    weights: Floats = np.linalg.solve(squares, np.einsum("ij,i->j", ranks, target))
    return weights
