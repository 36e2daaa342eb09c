"""Which assets of a backfill share a run: those of one stage.

What belongs here: policies by stage. Kept elsewhere: which stages there are (`assets/policies.py`).

Dagster puts assets into one run if their policies are equal and their partitions are the same. Two assets whose
runs must be apart therefore need policies that differ, and Dagster's own differ in the size of a run alone: limits
such as 100,001 and 100,002 would say so, and an asset's page would show them. Here a policy has a stage as well.
The class is known by name to every process of the instance, since `storage.py` imports it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg
from dagster._serdes import whitelist_for_serdes

from boursomatic_assets.orchestration.dagster_patches import guard

NO_LIMIT = 100_000
"""Partitions of a run if there is no limit, where a policy must have one: more than there will be in a century."""


class _Fields(NamedTuple):
    max_partitions_per_run: int | None
    stage: str


@whitelist_for_serdes
class StagePolicy(_Fields, dg.BackfillPolicy):  # type: ignore[misc] # both are tuples, which Python allows
    """A backfill policy of one stage: equal to those of the same stage and limit only."""

    def __new__(cls, max_partitions_per_run: int | None, stage: str) -> "StagePolicy":
        """A policy with a limit of a run's partitions, or None for no limit."""
        return tuple.__new__(cls, (max_partitions_per_run, stage))


def stage_policies(stages: Sequence[str], limit: int | None) -> tuple[dg.BackfillPolicy, ...]:
    """A policy for each stage, with a limit of a run's partitions; None is no limit.

    Without patches they are Dagster's own, with limits that differ by one.
    """
    if guard.enabled():
        return tuple(StagePolicy(limit, stage) for stage in stages)
    return tuple(dg.BackfillPolicy.multi_run((limit or NO_LIMIT) + place) for place, _ in enumerate(stages))
