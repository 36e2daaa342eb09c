"""Standing: what the record says of a model version: the evidence for it, and which labels are worth publishing.

What belongs here: the figures of `model_versions.metrics_json` that decide on labels.
Kept elsewhere: how they are computed (`learning/evaluation/evidence.py`, `learning/calibration/zones.py`), what a
profile asks for (`profiles.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boursomatic_assets.learning.calibration.zones import is_worth


@dataclass(frozen=True)
class Standing:
    """What is known of a version.

    Attributes:
        evidence_at: How many to one the record speaks for it, by horizon; 0 where nothing is known.
        worth_at: The labels of BUY and SELL that are worth publishing, by horizon.
    """

    evidence_at: Mapping[int, float]
    worth_at: Mapping[int, tuple[str, ...]]

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any]) -> "Standing":
        """Read the metrics of a version; one without evidence and zones, made by an earlier recipe, has none."""
        evidence = {int(h): float(found["value"]) for h, found in (metrics.get("evidence") or {}).items()}
        worth = {
            int(h): tuple(label for label in ("BUY", "SELL") if is_worth(zones, label))
            for h, zones in (metrics.get("zones") or {}).items()
        }
        return cls(evidence, worth)

    def evidence(self, horizon: int) -> float:
        """Return the evidence at a horizon."""
        return self.evidence_at.get(horizon, 0.0)

    def worth(self, horizon: int) -> tuple[str, ...]:
        """Return the labels that are worth publishing at a horizon."""
        return self.worth_at.get(horizon, ())
