"""Waiting for upstream partitions that other runs of the same backfill write.

What belongs here: which partitions a step waits for, and when it gives up.
Kept elsewhere: which assets share a run (`assets/policies.py`), how many runs are active at once, so that waiting
runs leave room for those they wait for (`dagster.yaml`).

Dagster starts a run once its own sessions are materialized upstream. A look-back also needs earlier sessions, and
models need the other market: other runs of the backfill may still write those, or the daemon may not have
requested them yet.
"""

import time
from collections.abc import Set
from typing import TYPE_CHECKING

import dagster as dg

from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.backfill_progress import progress
from boursomatic_assets.orchestration.dagster_patches.steps import partitions_read

if TYPE_CHECKING:
    from boursomatic_assets.orchestration.dagster_patches.steps import Step

MAX_WAIT_SECONDS = 3600


def await_upstream(step: "Step", asset: str) -> None:
    """Wait until the step's backfill has materialized every partition of an asset that the step reads.

    Returns at once without a backfill, if the backfill does not target the asset, or if this run computes it.

    Raises:
        dagster.Failure: A partition failed, or is not materialized after an hour; the message names one.
    """
    key, run = dg.AssetKey(asset), step.dagster_run
    backfill = run.tags.get(tags.BACKFILL)
    if backfill is None or _computes(run, key):
        return
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    needed = partitions_read(step, asset)
    while missing := _missing_partitions(step.instance, backfill, key, needed):
        if time.monotonic() > deadline:
            raise dg.Failure(f"{_describe_missing(asset, missing)} not there after an hour: see what delays it")
        time.sleep(1)


def _missing_partitions(
    instance: dg.DagsterInstance, backfill: str, asset: dg.AssetKey, needed: Set[str]
) -> Set[str]:
    """The needed partitions that the backfill targets and has not materialized yet.

    Runs are read before materializations, so those of a run that ends in between are not missed.

    Raises:
        dagster.Failure: No run will materialize some of them any more; the message names one.
    """
    unfinished = any(_computes(run, asset) for run in _unfinished_runs(instance, backfill))
    backfill_progress = progress(instance, backfill, asset)
    if backfill_progress is None:
        return set()
    missing = needed & backfill_progress.target - backfill_progress.materialized
    if missing:
        missing -= instance.get_materialized_partitions(asset, after_cursor=backfill_progress.cursor)
    if missing and not unfinished and missing <= backfill_progress.settled:
        raise dg.Failure(
            f"{_describe_missing(asset.path[-1], missing)} missing: correct that, and run this again"
            " (a backfill without the missing partitions does not wait for them, and reads a gap there)"
        )
    return missing


def _unfinished_runs(instance: dg.DagsterInstance, backfill: str) -> list[dg.DagsterRun]:
    """Runs of a backfill that have not finished, or that the daemon will retry."""
    runs = instance.get_runs(dg.RunsFilter(tags={tags.BACKFILL: backfill}))
    retried = {run.parent_run_id for run in runs}
    return [
        run
        for run in runs
        if not run.is_finished or (run.tags.get(tags.WILL_RETRY) == "true" and run.run_id not in retried)
    ]


def _computes(run: dg.DagsterRun, asset: dg.AssetKey) -> bool:
    """Whether a run computes an asset; a run without a selection computes all assets of its job."""
    return run.asset_selection is None or asset in run.asset_selection


def _describe_missing(asset: str, missing: Set[str]) -> str:
    """The subject and verb of a message about missing partitions."""
    others = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
    return f"{asset} of {min(missing)}{others}"
