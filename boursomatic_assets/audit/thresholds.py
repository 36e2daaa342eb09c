"""Thresholds: the conditions of a profile that decided on a recommendation, each with its number and its limit.

What belongs here: which conditions were asked, in their order, until the first that was not met.
Kept elsewhere: the conditions themselves (`advice/profiles.py`).
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from boursomatic_assets.advice.profiles import BOLDEST_FIRST, RiskProfile
from boursomatic_assets.registry.decisions import Decision


def describe_thresholds(
    profile: RiskProfile, decided: pl.DataFrame, probabilities: Mapping[str, float], decision: Decision | None
) -> list[dict[str, Any]]:
    """The conditions that decided: condition, value, limit and met.

    Args:
        profile: The profile.
        decided: What all profiles decided about the instrument, as `signals.decide` returns it.
        probabilities: Of sell, hold and buy at the profile's horizon.
        decision: The decision about models in force; without a champion nothing else is asked.
    """
    if decision is None or decision.champion is None:
        reason = decision.reason if decision else "no version was decided about"
        return [{"condition": "champion", "value": None, "limit": reason, "met": False}]
    own = decided.row(by_predicate=pl.col("profile") == profile.name, named=True)
    direction = own["direction"]
    asked: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
        "direction": (direction, None, ("equally_likely",)),
        "probability": (probabilities.get(str(direction).lower()), profile.minimum_confidence, ("unlikely",)),
        "volatility": (own["volatility"], profile.volatility_limit, ("volatility_unknown", "volatile")),
        "bolder profile": (_bolder_label(profile, decided), direction, ("bolder_disagrees",)),
        "position": (own["position"], profile.positions, ("positions_taken",)),
    }
    if profile is BOLDEST_FIRST[0]:
        del asked["bolder profile"]
    found = []
    for condition, (value, limit, failures) in asked.items():
        met = own["failed_condition"] not in failures
        found.append({"condition": condition, "value": value, "limit": limit, "met": met})
        if not met:
            break
    return found


def _bolder_label(profile: RiskProfile, decided: pl.DataFrame) -> str | None:
    """What the next bolder profile recommends; None of the boldest."""
    place = BOLDEST_FIRST.index(profile)
    if place == 0:
        return None
    label: str = decided.row(by_predicate=pl.col("profile") == BOLDEST_FIRST[place - 1].name, named=True)["label"]
    return label
