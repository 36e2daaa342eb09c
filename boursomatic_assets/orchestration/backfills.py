"""Runs of one backfill that read what others of it write.

What belongs here: waiting for those others. Kept elsewhere: which assets share a run (`assets/policies.py`), how
many runs go on at once, so that those that wait leave room for those they wait for (`dagster.yaml`).

Dagster starts a run once the same sessions of the same market are there upstream. A look-back reaches further:
to other sessions, for models to the other market, which other runs of the same backfill may still be writing,
or which the daemon has not even asked for.
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
    """Wait until this backfill has materialised every partition of an asset that a step looks back on.

    Nothing to wait for if there is no backfill, if it leaves the asset alone, or if this run computes it.

    Raises:
        dagster.Failure: naming a partition that failed, or that is not there after an hour.
    """
    key, run = dg.AssetKey(asset), step.dagster_run
    backfill = run.tags.get(tags.BACKFILL)
    if backfill is None or _computes(run, key):
        return
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    needed = partitions_read(step, asset)
    while missing := _missing_partitions(step.instance, backfill, key, needed):
        if time.monotonic() > deadline:
            raise dg.Failure(f"{_describe_missing(asset, missing)} not there after an hour: see what holds it")
        time.sleep(1)


def _missing_partitions(
    instance: dg.DagsterInstance, backfill: str, asset: dg.AssetKey, needed: Set[str]
) -> Set[str]:
    """Those of the needed partitions that the backfill is still to materialise.

    Runs are looked at first: what they materialised by then is seen afterwards.

    Raises:
        dagster.Failure: naming one that no run will materialise any more.
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
            f"{_describe_missing(asset.path[-1], missing)} missing: mend that, and run this again"
            " (a backfill that leaves the missing ones out does not wait for them, and sees a gap there)"
        )
    return missing


def _unfinished_runs(instance: dg.DagsterInstance, backfill: str) -> list[dg.DagsterRun]:
    """Runs of a backfill that have not ended, or that the daemon will start again."""
    runs = instance.get_runs(dg.RunsFilter(tags={tags.BACKFILL: backfill}))
    retried = {run.parent_run_id for run in runs}
    return [
        run
        for run in runs
        if not run.is_finished or (run.tags.get(tags.WILL_RETRY) == "true" and run.run_id not in retried)
    ]


def _computes(run: dg.DagsterRun, asset: dg.AssetKey) -> bool:
    """Whether a run computes an asset; a run without a selection computes all of its job's."""
    return run.asset_selection is None or asset in run.asset_selection


def _describe_missing(asset: str, missing: Set[str]) -> str:
    count = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
    return f"{asset} of {min(missing)}{count}"
