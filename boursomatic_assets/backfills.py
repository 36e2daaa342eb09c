"""Runs of one backfill that read what others of it write.

What belongs here: waiting for those others. Kept elsewhere: which assets share a run (`assets/common.py`).

Dagster starts a run once the same sessions of the same market are there upstream. A look-back reaches further:
to other sessions, for models to the other market, which other runs of the same backfill may still be writing.
"""

import time

import dagster as dg
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES, DagsterRun
from dagster._core.storage.tags import BACKFILL_ID_TAG, WILL_RETRY_TAG

PATIENCE_SECONDS = 3600


def await_upstream(step: StepExecutionContext, asset: str) -> None:
    """Wait until the other runs of this backfill that compute an upstream asset have ended.

    Raises:
        dagster.Failure: one of them failed, so that what it should have written is not there, or none of
            them ended for an hour.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while unfinished := [run for run in _others(step, asset) if _is_unfinished(run)]:
        if time.monotonic() > deadline:
            raise dg.Failure(
                f"run {unfinished[0].run_id} is not done with {asset} after an hour: see what holds it"
            )
        time.sleep(1)
    for run in _others(step, asset):
        if run.status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
            raise dg.Failure(f"{asset} failed in run {run.run_id} of this backfill: mend that, and run this again")


def _others(step: StepExecutionContext, asset: str) -> list[DagsterRun]:
    """Runs of the same backfill that compute the asset, without those that were retried since.

    None if this run computes it as well: then it has what it needs, and the others may be waiting for it.
    """
    mine = step.dagster_run
    backfill = mine.tags.get(BACKFILL_ID_TAG)
    if backfill is None or _computes(mine, asset):
        return []
    runs = step.instance.get_runs(dg.RunsFilter(tags={BACKFILL_ID_TAG: backfill}))
    settled = {mine.run_id, *(run.parent_run_id for run in runs)}
    return [run for run in runs if run.run_id not in settled and _computes(run, asset)]


def _computes(run: DagsterRun, asset: str) -> bool:
    """Whether a run computes an asset; a run without a selection computes all of its job's."""
    return run.asset_selection is None or dg.AssetKey(asset) in run.asset_selection


def _is_unfinished(run: DagsterRun) -> bool:
    return run.status in NOT_FINISHED_STATUSES or run.tags.get(WILL_RETRY_TAG) == "true"
