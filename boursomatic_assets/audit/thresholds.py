"""Thresholds: the conditions that decided on a recommendation, each with its number and its limit.

What belongs here: what a condition is, and which were asked, in their order, until the first that was not met.
Kept elsewhere: the conditions themselves (`advice/profiles.py`), those of a recipe (`recipes.py`, `former/`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boursomatic_assets.registry.decisions import Decision


@dataclass(frozen=True)
class Condition:
    """A condition of a profile on an instrument.

    Attributes:
        name: What is asked.
        value: What it is of the instrument, or of its version.
        limit: What it is to be.
        failures: The conditions of `profiles.decide_labels` that are one of its failures.
    """

    name: str
    value: Any
    limit: Any
    failures: tuple[str, ...]


def describe_thresholds(
    conditions: Sequence[Condition], failed: str | None, decision: Decision | None
) -> list[dict[str, Any]]:
    """The conditions that decided: condition, value, limit and met, until the first that is not met.

    Args:
        conditions: All of a profile, in their order.
        failed: The one that failed, as `profiles.decide_labels` names it.
        decision: The decision about models in force; without a champion nothing else is asked.
    """
    if decision is None or decision.champion is None:
        reason = decision.reason if decision else "no version was decided about"
        return [{"condition": "champion", "value": None, "limit": reason, "met": False}]
    found = []
    for one in conditions:
        met = failed not in one.failures
        found.append({"condition": one.name, "value": one.value, "limit": one.limit, "met": met})
        if not met:
            break
    return found
