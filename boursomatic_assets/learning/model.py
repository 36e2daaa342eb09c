"""A model: the booster that scores rows, and by horizon the calibration that makes probabilities of scores.

What belongs here: the two together, and how they are written as one text.
Kept elsewhere: fitting (`training`, `calibration`), using (`prediction`), the bytes on a disk (`model_files`).
"""

import json
from dataclasses import dataclass
from functools import cached_property

import lightgbm as lgb

from boursomatic_assets.learning.calibration import Calibration


@dataclass(frozen=True)
class Model:
    """What a version says about rows.

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

    def text(self) -> str:
        """Return the model as JSON: the same model gives the same bytes."""
        kept = {str(horizon): calibration.as_json() for horizon, calibration in self.calibrations.items()}
        return json.dumps({"booster": self.booster_text, "calibrations": kept}, sort_keys=True, allow_nan=False)

    @classmethod
    def read(cls, text: str) -> "Model":
        """Read back what `text` gave; only a text that is known to be whole, see `model_files`.

        Raises:
            ValueError: The text is not a model of this kind.
        """
        try:
            kept = json.loads(text)
            calibrations = {int(h): Calibration.of_json(one) for h, one in kept["calibrations"].items()}
            return cls(kept["booster"], calibrations)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"not a model of this version of Boursomatic: {text[:40]!r}: let its due date be trained again"
            ) from error
