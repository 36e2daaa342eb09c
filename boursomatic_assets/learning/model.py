"""A model: the boosters that score rows, and the curves that turn scores into probabilities and returns.

What belongs here: both together, and how they are written as one text.
Kept elsewhere: fitting (`fitting.py`, `calibration/`), predicting (`prediction.py`), the files
(`registry/model_files.py`).
"""

import json
from dataclasses import dataclass
from functools import lru_cache

import lightgbm as lgb

from boursomatic_assets.learning.calibration.curves import Curves

POOLED = "pooled"
"""The name, among those of the markets, of the booster that was fitted on both."""

Boosters = dict[str, str]
"""Boosters of one quarter in LightGBM's text format: POOLED, and of each market that was fitted by itself."""


@dataclass(frozen=True)
class Model:
    """The boosters and the curves of a version.

    Attributes:
        quarters: The boosters of the last quarters, the newest last.
        curves: By horizon in sessions and market; POOLED stands for a market that has none.
    """

    quarters: tuple[Boosters, ...]
    curves: dict[int, dict[str, Curves]]

    @property
    def features(self) -> list[str]:
        """The features that the boosters use, in their order."""
        names: list[str] = parse_booster(self.quarters[-1][POOLED]).feature_name()
        return names

    def curves_of(self, horizon: int, market: str) -> Curves:
        """Return the curves of a horizon for a market."""
        by_market = self.curves[horizon]
        return by_market.get(market) or by_market[POOLED]

    def to_json(self) -> str:
        """Return the model as JSON: the same model gives the same bytes."""
        curves = {
            str(horizon): {market: curves.to_json() for market, curves in by_market.items()}
            for horizon, by_market in self.curves.items()
        }
        return json.dumps({"quarters": list(self.quarters), "curves": curves}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Model":
        """Read a text of `to_json`; only one that is known to be whole, see `registry/model_files.py`.

        Raises:
            ValueError: The text is not a model of this kind.
        """
        try:
            fields = json.loads(text)
            curves = {
                int(horizon): {market: Curves.from_json(curves) for market, curves in by_market.items()}
                for horizon, by_market in fields["curves"].items()
            }
            return cls(tuple(fields["quarters"]), curves)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(
                f"not a model of this version of Boursomatic: {text[:40]!r}: `boursomatic refresh --models` trains"
                " its due date again"
            ) from None


@lru_cache(maxsize=32)
def parse_booster(text: str) -> lgb.Booster:
    """Return the booster of a text, ready to score; versions of neighbouring months share most of theirs."""
    return lgb.Booster(model_str=text)
