"""The former model: one booster for both markets, and by horizon a calibration of its scores.

What belongs here: reading its text, and its scores, probabilities and expected returns.
Kept elsewhere: the model of now (`learning/model.py`), what is the same for both (`learning/prediction.py`).

A calibration is a multinomial regression on the rank of the score within its session and on the state of
volatility, the logarithm of `vol_ratio`. Both are binned into cells.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import lightgbm as lgb
import numpy as np
import polars as pl

from boursomatic_assets.arrays import KEY, Floats, Ints
from boursomatic_assets.learning.contributions import contributions
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.prediction import feature_matrix, score_ranks, score_rows

CALIBRATION_FEATURES = ("vol_20d", "vol_ratio")
"""What is needed of a row beside the features of the booster: its volatility, and the state of it."""

RANK_CELLS, VOLATILITY_CELLS = 50, 21
"""Cells by rank of the score, and by volatility state: -1 to 1 in steps of 0.1, clipped at both ends."""


def _design_matrix() -> Floats:
    """Return the inputs of the regression for each cell: 1, rank of the score, its square, volatility state."""
    rank = np.repeat((np.arange(RANK_CELLS) + 0.5) / RANK_CELLS - 0.5, VOLATILITY_CELLS)
    state = np.tile(np.linspace(-1, 1, VOLATILITY_CELLS), RANK_CELLS)
    return np.stack([np.ones(RANK_CELLS * VOLATILITY_CELLS), rank, rank * rank, state], axis=1)


_DESIGN = _design_matrix()


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration of one horizon.

    Attributes:
        weights: Of SELL and of BUY against HOLD, for the columns of the regression's inputs.
        means: Mean return of the rows of each of CLASSES, in volatilities over the horizon.
    """

    weights: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Calibration":
        """Read the weights and means as they are in a model's text."""
        return cls(tuple(tuple(row) for row in fields["weights"]), tuple(fields["means"]))

    def probabilities(self, cell: Ints) -> Floats:
        """Return the probability of each of CLASSES: rows x 3."""
        logits = np.einsum("ij,kj->ik", _DESIGN, np.array(self.weights))
        odds = np.exp(np.stack([logits[:, 0], np.zeros(len(_DESIGN)), logits[:, 1]], axis=1))
        return cast(Floats, (odds / (odds[:, [0]] + odds[:, [1]] + odds[:, [2]]))[cell])


@dataclass(frozen=True)
class FormerModel:
    """The booster, in LightGBM's text format, and the calibrations of a version by horizon in sessions."""

    booster_text: str
    calibrations: dict[int, Calibration]

    @cached_property
    def booster(self) -> lgb.Booster:
        """The booster, ready to score."""
        return lgb.Booster(model_str=self.booster_text)

    @cached_property
    def features(self) -> list[str]:
        """The features that the booster uses, in their order."""
        names: list[str] = self.booster.feature_name()
        return names

    @classmethod
    def from_json(cls, text: str) -> "FormerModel":
        """Read a text for which `is_former` is true; only one that is known to be whole.

        Raises:
            ValueError: The text is no such model after all.
        """
        try:
            fields = json.loads(text)
            calibrations = {int(h): Calibration.from_json(found) for h, found in fields["calibrations"].items()}
            return cls(fields["booster"], calibrations)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"not a model of Boursomatic: {text[:40]!r}: restore its file from a backup"
            ) from error

    def predict_probabilities(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return predictions of whole sessions, in the order of the rows.

        Args:
            rows: market, instrument_id, ts, CALIBRATION_FEATURES and the features of the booster.

        Returns:
            instrument_id, ts, market, score, score_rank; by horizon h p_sell_h, p_hold_h, p_buy_h and
            expected_return_pct_h: the sum over the labels of probability x the label's mean, in volatilities,
            times the row's own volatility.
        """
        score = score_rows(self.booster, feature_matrix(rows, self.features))
        rank = score_ranks(rows, score)
        cell = _cell_indices(rank, feature_matrix(rows, ["vol_ratio"])[:, 0])
        by_horizon = [
            column
            for horizon, calibration in self.calibrations.items()
            for column in _horizon_columns(horizon, calibration, cell, rows["vol_20d"].to_numpy())
        ]
        scores = (pl.Series("score", score), pl.Series("score_rank", rank))
        return rows.select(*KEY, "market").with_columns(*scores, *by_horizon)

    def predict(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what `predict_probabilities` does, and contributions: a struct of features."""
        added = contributions(self.booster, feature_matrix(rows, self.features))[:, 0, :]
        by_feature = pl.DataFrame({name: added[:, i].copy() for i, name in enumerate(self.features)})
        return self.predict_probabilities(rows).with_columns(by_feature.to_struct("contributions"))


def is_former(model_text: str) -> bool:
    """Return whether a model's text is of the former kind."""
    return model_text.startswith('{"booster":')


def _cell_indices(score_rank: Floats, vol_ratio: Floats) -> Ints:
    """Return the cell of each row; a missing `vol_ratio` counts as 1."""
    with np.errstate(divide="ignore"):
        state = np.clip(np.nan_to_num(np.log(vol_ratio), nan=0.0), -1, 1)
    column = np.rint((state + 1) * (VOLATILITY_CELLS - 1) / 2).astype(np.int64)
    row = np.minimum((score_rank * RANK_CELLS).astype(np.int64), RANK_CELLS - 1)
    return cast(Ints, row * VOLATILITY_CELLS + column)


def _horizon_columns(horizon: int, calibration: Calibration, cell: Ints, volatility: Floats) -> list[pl.Series]:
    """Return the probabilities and the expected return at one horizon."""
    probability = calibration.probabilities(cell)
    expected = sum(
        (probability[:, i] * mean for i, mean in enumerate(calibration.means)), start=np.zeros(len(cell))
    )
    percent = pl.Series(f"expected_return_pct_{horizon}", expected * volatility * math.sqrt(horizon) * 100)
    columns = [pl.Series(f"p_{label.lower()}_{horizon}", probability[:, i]) for i, label in enumerate(CLASSES)]
    return [*columns, percent.fill_nan(None)]
