"""What is being computed: the markets of unfinished runs and backfills.

What belongs here: reading them from Dagster. Kept elsewhere: what is asked for (`refill.py`).
"""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.backfill_progress import open_partitions

BARS: Final = dg.AssetKey("price_bars")

UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def markets_in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Return the markets of which bars are being computed, or are asked for by a run or a backfill."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    keys = {key for run in runs if _computes_bars(run) for key in keys_of(run)}
    return {key.split("|")[-1] for key in keys | open_partitions(instance, BARS)}


def keys_of(run: dg.DagsterRun) -> Iterator[str]:
    """The partition of a run, or the first and the last of its range."""
    for tag in (tags.PARTITION, tags.RANGE_START, tags.RANGE_END):
        if tag in run.tags:
            yield run.tags[tag]


def _computes_bars(run: dg.DagsterRun) -> bool:
    """Whether a run computes daily bars; one without a selection computes all assets of its job."""
    return run.job_name == "market_session" if run.asset_selection is None else BARS in run.asset_selection
