"""Runs of one backfill that read what others of it write.

What belongs here: waiting for those others. Kept elsewhere: which assets share a run (`assets/common.py`), how
many runs go on at once, so that those that wait leave room for those they wait for (`dagster.yaml`).

Dagster starts a run once the same sessions of the same market are there upstream. A look-back reaches further:
to other sessions, for models to the other market, which other runs of the same backfill may still be writing,
or which the daemon has not even asked for.
"""

import time
from collections.abc import Set

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES, DagsterRun
from dagster._core.storage.tags import BACKFILL_ID_TAG, WILL_RETRY_TAG

PATIENCE_SECONDS = 3600


def await_upstream(step: StepExecutionContext, asset: str) -> None:
    """Wait until this backfill has materialised every partition of an asset that a step looks back on.

    Nothing to wait for if there is no backfill, if it leaves the asset alone, or if this run computes it.

    Raises:
        dagster.Failure: naming a partition that failed, or that is not there after an hour.
    """
    key, mine = dg.AssetKey(asset), step.dagster_run
    backfill = mine.tags.get(BACKFILL_ID_TAG)
    if backfill is None or _computes(mine, key):
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    needed = set(step.asset_partitions_subset_for_input(asset).get_partition_keys())
    while missing := _missing(step.instance, backfill, key, needed):
        if time.monotonic() > deadline:
            raise dg.Failure(f"{_named(asset, missing)} not there after an hour: see what holds it")
        time.sleep(1)


def _missing(instance: dg.DagsterInstance, backfill: str, asset: dg.AssetKey, needed: Set[str]) -> Set[str]:
    """Those of the needed partitions that the backfill is still to materialise.

    Runs are looked at first: what they materialised by then is seen afterwards.

    Raises:
        dagster.Failure: naming one that no run will materialise any more.
    """
    unfinished = any(_computes(run, asset) for run in _unfinished(instance, backfill))
    data = _data(instance, backfill)
    if data is None:
        return set()
    missing = needed & _keys(data.target_subset, asset) - _keys(data.materialized_subset, asset)
    if missing:
        missing -= instance.event_log_storage.get_materialized_partitions(
            asset, after_cursor=data.latest_storage_id
        )
    settled = _keys(data.requested_subset, asset) | _keys(data.failed_and_downstream_subset, asset)
    if missing and not unfinished and missing <= settled:
        raise dg.Failure(
            f"{_named(asset.path[-1], missing)} missing: mend that, and run this again"
            " (a backfill that leaves the missing ones out does not wait for them, and sees a gap there)"
        )
    return missing


def _data(instance: dg.DagsterInstance, backfill: str) -> AssetBackfillData | None:
    found = instance.get_backfill(backfill)
    return found.asset_backfill_data if found else None


def _keys(subset: AssetGraphSubset, asset: dg.AssetKey) -> Set[str]:
    """An asset's partitions in a subset of the graph."""
    partitions = subset.partitions_subsets_by_asset_key.get(asset)
    return set(partitions.get_partition_keys()) if partitions else set()


def _unfinished(instance: dg.DagsterInstance, backfill: str) -> list[DagsterRun]:
    """Runs of a backfill that have not ended, or that the daemon will start again."""
    runs = instance.get_runs(dg.RunsFilter(tags={BACKFILL_ID_TAG: backfill}))
    retried = {run.parent_run_id for run in runs}
    return [
        run
        for run in runs
        if run.status in NOT_FINISHED_STATUSES
        or (run.tags.get(WILL_RETRY_TAG) == "true" and run.run_id not in retried)
    ]


def _computes(run: DagsterRun, asset: dg.AssetKey) -> bool:
    """Whether a run computes an asset; a run without a selection computes all of its job's."""
    return run.asset_selection is None or asset in run.asset_selection


def _named(asset: str, missing: Set[str]) -> str:
    others = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
    return f"{asset} of {min(missing)}{others}"
