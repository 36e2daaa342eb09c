"""A model: the booster that scores rows, and by horizon the calibration that turns scores into probabilities.

What belongs here: both together, and how they are written as one text.
Kept elsewhere: fitting (`fitting.py`, `calibration.py`), predicting (`prediction.py`), the files
(`model_files.py`).
"""

import json
from dataclasses import dataclass
from functools import cached_property

import lightgbm as lgb

from boursomatic_assets.learning.calibration import Calibration


@dataclass(frozen=True)
class Model:
    """The booster and the calibrations of a version.

    Attributes:
        booster_text: In LightGBM's text format.
        calibrations: By horizon in sessions.
    """

    booster_text: str
    calibrations: dict[int, Calibration]

    @cached_property
    def booster(self) -> lgb.Booster:
        """The booster, ready to score."""
        return lgb.Booster(model_str=self.booster_text)

    def to_json(self) -> str:
        """Return the model as JSON: the same model gives the same bytes."""
        calibrations = {str(horizon): calibration.to_json() for horizon, calibration in self.calibrations.items()}
        return json.dumps(
            {"booster": self.booster_text, "calibrations": calibrations}, sort_keys=True, allow_nan=False
        )

    @classmethod
    def from_json(cls, text: str) -> "Model":
        """Read a text of `to_json`; only one that is known to be whole, see `model_files.py`.

        Raises:
            ValueError: The text is not a model of this kind.
        """
        try:
            fields = json.loads(text)
            calibrations = {
                int(h): Calibration.from_json(weights) for h, weights in fields["calibrations"].items()
            }
            return cls(fields["booster"], calibrations)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"not a model of this version of Boursomatic: {text[:40]!r}: let its due date be trained again"
            ) from error
