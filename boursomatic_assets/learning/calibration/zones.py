"""Zones: what the ends of a session's scores were worth on the record, beside the rest.

What belongs here: hits and mean relative returns of the highest tenth, the lowest tenth and the middle, and
whether a label is worth publishing. Kept elsewhere: probabilities (`curves.py`), who is recommended
(`advice/profiles.py`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.calibration.record import RANK_CELLS, CellSums
from boursomatic_assets.learning.labels import BASE_RATE

ENTRY = 0.1
"""The share of a session's scores, from either end, in which a BUY or a SELL begins."""

_END = round(ENTRY * RANK_CELLS)
"""Cells of an end."""

Zones = dict[str, dict[str, Any]]
"""By label: rows, hit_rate, relative_return (a fraction), and of BUY and SELL `worth`; null without rows."""


def measure_zones(record: CellSums) -> Zones:
    """Return what each label would have been worth on the rows of a record.

    BUY is the highest ENTRY of the scores, SELL the lowest, HOLD the rest. `hit_rate` is the share of the zone's
    rows whose label happened. A BUY is `worth` publishing if it was right more often than BASE_RATE and returned
    more than the rest; a SELL if it was right more often, and returned less.
    """
    cells = np.arange(RANK_CELLS)
    members = {"BUY": cells >= RANK_CELLS - _END, "SELL": cells < _END}
    members["HOLD"] = ~(members["BUY"] | members["SELL"])
    hits = {"BUY": record.better, "SELL": record.worse, "HOLD": record.rows - record.better - record.worse}
    zones: Zones = {}
    for label, zone in members.items():
        rows = float(record.rows[zone].sum())
        zones[label] = {
            "rows": int(rows),
            "hit_rate": _mean(hits[label][zone], rows),
            "relative_return": _mean(record.relative_return[zone], rows),
        }
    rest = zones["HOLD"]["relative_return"]
    for label, sign in (("BUY", 1.0), ("SELL", -1.0)):
        rate, mean = zones[label]["hit_rate"], zones[label]["relative_return"]
        known = rate is not None and rest is not None
        zones[label]["worth"] = bool(known and rate > BASE_RATE and sign * (mean - rest) > 0)
    return zones


def is_worth(zones: Mapping[str, Mapping[str, Any]], label: str) -> bool:
    """Return whether a label is worth publishing."""
    return bool(zones[label].get("worth"))


def _mean(sums: Floats, rows: float) -> float | None:
    return float(sums.sum() / rows) if rows else None
