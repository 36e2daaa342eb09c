"""Runs of one backfill wait for those that write what they read, and never for each other."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.test_utils import create_run_for_test

from boursomatic_assets import backfills
from boursomatic_assets.backfills import await_upstream

STATUS = dg.DagsterRunStatus


def run_of(
    instance: dg.DagsterInstance, assets: str, status: STATUS, *, backfill: str = "b", **more: Any
) -> DagsterRun:
    """A run of a backfill."""
    tags = {"dagster/backfill": backfill}
    selection = frozenset(dg.AssetKey(asset) for asset in assets.split())
    return create_run_for_test(
        instance,
        job_name="job",
        status=status,
        tags=tags | more.pop("tags", {}),
        asset_selection=selection,
        **more,
    )


def step_of(instance: dg.DagsterInstance, run: DagsterRun) -> Any:
    return SimpleNamespace(instance=instance, dagster_run=run)


def end(instance: dg.DagsterInstance, run: DagsterRun) -> None:
    instance.report_dagster_event(DagsterEvent("PIPELINE_SUCCESS", run.job_name), run.run_id)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "PATIENCE_SECONDS", 3)


def test_features_wait_for_the_bars_of_another_run(dagster_instance: dg.DagsterInstance) -> None:
    bars = run_of(dagster_instance, "price_bars", STATUS.STARTED)
    mine = run_of(dagster_instance, "features", STATUS.STARTED)
    threading.Timer(1.2, end, (dagster_instance, bars)).start()
    began = time.monotonic()
    await_upstream(step_of(dagster_instance, mine), "price_bars")
    assert time.monotonic() - began > 1


def test_a_run_that_never_ends_is_named(dagster_instance: dg.DagsterInstance) -> None:
    bars = run_of(dagster_instance, "price_bars", STATUS.STARTING)
    mine = run_of(dagster_instance, "features", STATUS.STARTED)
    with pytest.raises(dg.Failure, match=bars.run_id):
        await_upstream(step_of(dagster_instance, mine), "price_bars")


@pytest.mark.parametrize("status", [STATUS.FAILURE, STATUS.CANCELED])
def test_nothing_is_computed_from_what_another_run_failed_to_write(
    dagster_instance: dg.DagsterInstance, status: STATUS
) -> None:
    features = run_of(dagster_instance, "features", status)
    mine = run_of(dagster_instance, "model_versions", STATUS.STARTED)
    with pytest.raises(dg.Failure, match=features.run_id):
        await_upstream(step_of(dagster_instance, mine), "features")


def test_a_failed_run_that_was_retried_does_not_count(dagster_instance: dg.DagsterInstance) -> None:
    lost = run_of(dagster_instance, "features", STATUS.FAILURE, tags={"dagster/will_retry": "true"})
    family = {"parent_run_id": lost.run_id, "root_run_id": lost.run_id}
    run_of(dagster_instance, "features", STATUS.SUCCESS, **family)
    await_upstream(
        step_of(dagster_instance, run_of(dagster_instance, "model_versions", STATUS.STARTED)), "features"
    )


def test_other_backfills_and_single_runs_are_not_waited_for(dagster_instance: dg.DagsterInstance) -> None:
    run_of(dagster_instance, "price_bars", STATUS.STARTED, backfill="another")
    mine = run_of(dagster_instance, "features", STATUS.STARTED)
    await_upstream(step_of(dagster_instance, mine), "price_bars")
    alone = create_run_for_test(dagster_instance, job_name="job", status=STATUS.STARTED)
    await_upstream(step_of(dagster_instance, alone), "price_bars")


def test_two_ranges_that_compute_the_same_assets_do_not_wait_for_each_other(
    dagster_instance: dg.DagsterInstance,
) -> None:
    one, other = (run_of(dagster_instance, "instruments price_bars", STATUS.STARTED) for _ in range(2))
    for run in (one, other):
        await_upstream(step_of(dagster_instance, run), "instruments")
