"""Backfills of the command line, stored as the webserver stores those of the UI; the daemon carries them out.

What belongs here: storing one, and how far it is. Kept elsewhere: which assets and sessions (`cli/compute.py`),
how that is shown (`cli/running/queued.py`), how far one asset is (`backfill_progress.py`).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import dagster as dg
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import DagsterRun

from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.backfill_progress import progress

DONE = (BulkActionStatus.COMPLETED_SUCCESS, BulkActionStatus.COMPLETED)

DAEMON_SECONDS = 120
"""The daemon says that it lives each 30 seconds; silent for so long, it does not."""


@dataclass(frozen=True)
class State:
    """How far a backfill is.

    Attributes:
        over: Whether it is over.
        success: Whether all of it is done.
        partitions: How many partitions of each asset are done, and how many there are to do.
        runs: How many of its runs have each status.
        failed: The runs that failed and are not begun again.
    """

    over: bool
    success: bool
    partitions: dict[str, tuple[int, int]]
    runs: Counter[dg.DagsterRunStatus]
    failed: tuple[DagsterRun, ...]


def create_backfill(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    keys: Sequence[str],
    run_tags: Mapping[str, str],
) -> str:
    """Store a backfill of some partitions of some assets; return its id."""
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=str(uuid4())[:8],
        asset_graph=definitions.get_repository_def().asset_graph,
        partition_names=list(keys),
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        backfill_timestamp=time.time(),
        tags=run_tags,
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def read_state(instance: dg.DagsterInstance, backfill: str, assets: Sequence[str]) -> State:
    """How far a backfill is.

    Raises:
        RuntimeError: It was deleted.
    """
    found = instance.get_backfill(backfill)
    if found is None:
        raise RuntimeError(f"the backfill {backfill} was deleted")
    runs = list(instance.get_runs(dg.RunsFilter(tags={tags.BACKFILL: backfill})))
    begun_again = {run.parent_run_id for run in runs}
    counted = {asset: progress(instance, backfill, dg.AssetKey(asset)) for asset in assets}
    return State(
        over=found.status in BULK_ACTION_TERMINAL_STATUSES,
        success=found.status in DONE,
        partitions={
            asset: (len(far.materialized), len(far.target)) for asset, far in counted.items() if far and far.target
        },
        runs=Counter(run.status for run in runs),
        failed=tuple(run for run in runs if run.is_failure and run.run_id not in begun_again),
    )


def daemon_lives(instance: dg.DagsterInstance) -> bool:
    """Whether the daemon that carries backfills out has said lately that it lives."""
    heartbeat = instance.get_daemon_heartbeats().get("BACKFILL")
    return heartbeat is not None and time.time() - heartbeat.timestamp < DAEMON_SECONDS
