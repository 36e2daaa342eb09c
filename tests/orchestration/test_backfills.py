"""A run waits for upstream partitions that other runs of its backfill write; runs never wait for each other."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.events import DagsterEvent
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.test_utils import create_run_for_test
from worlds.patched import only_patched

from boursomatic_assets.orchestration import backfills
from boursomatic_assets.orchestration.backfills import await_upstream
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

pytestmark = only_patched  # else the daemon waits, and starts no run before

STATUS = dg.DagsterRunStatus
TARGET = {"2024-06-10|US", "2024-06-11|US", "2024-06-10|EURONEXT"}
BARS = dg.AssetKey("price_bars")


def bars_of(keys: set[str]) -> AssetGraphSubset:
    return AssetGraphSubset({BARS: MARKET_SESSIONS.subset_with_partition_keys(keys)} if keys else {})


def store_backfill(instance: dg.DagsterInstance, *, requested: set[str], failed: set[str]) -> None:
    """Store a backfill of bars as the daemon does after an iteration."""
    data = AssetBackfillData.empty(bars_of(TARGET), 1718000000.0, instance)
    data = data._replace(
        requested_subset=bars_of(requested), failed_and_downstream_subset=bars_of(failed), latest_storage_id=0
    )
    fields: dict[str, Any] = {"from_failure": False, "tags": {}, "backfill_timestamp": 1718000000.0}
    instance.add_backfill(PartitionBackfill("b", BulkActionStatus.REQUESTED, asset_backfill_data=data, **fields))


def run_of(instance: dg.DagsterInstance, assets: str, status: STATUS, **more: Any) -> DagsterRun:
    """A run of the backfill that computes some assets."""
    selection = frozenset(dg.AssetKey(asset) for asset in assets.split())
    tags = {"dagster/backfill": "b"} | more.pop("tags", {})
    return create_run_for_test(
        instance, job_name="job", status=status, tags=tags, asset_selection=selection, **more
    )


def step_of(run: DagsterRun, instance: dg.DagsterInstance, *needed: str) -> Any:
    """A step of a run that reads some partitions."""
    return SimpleNamespace(
        instance=instance,
        dagster_run=run,
        asset_partitions_subset_for_input=lambda asset: MARKET_SESSIONS.subset_with_partition_keys(needed),
    )


def materialize_and_finish(instance: dg.DagsterInstance, run: DagsterRun, keys: set[str]) -> None:
    """Materialize partitions, and finish a run."""
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(BARS, partition=key))
    instance.report_dagster_event(DagsterEvent("PIPELINE_SUCCESS", run.job_name), run.run_id)


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "MAX_WAIT_SECONDS", 2)


@pytest.fixture
def features_run(dagster_instance: dg.DagsterInstance) -> DagsterRun:
    return run_of(dagster_instance, "features", STATUS.STARTED)


def test_features_wait_for_the_bars_of_another_run(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=TARGET, failed=set())
    bars = run_of(dagster_instance, "price_bars", STATUS.STARTED)
    threading.Timer(0.5, materialize_and_finish, (dagster_instance, bars, TARGET)).start()
    began = time.monotonic()
    await_upstream(step_of(features_run, dagster_instance, *TARGET), "price_bars")
    assert time.monotonic() - began > 0.5


def test_partitions_that_are_not_requested_yet_are_waited_for(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=set(), failed=set())
    with pytest.raises(dg.Failure, match=r"price_bars of 2024-06-10\|US is not there after an hour"):
        await_upstream(step_of(features_run, dagster_instance, "2024-06-10|US"), "price_bars")


@pytest.mark.parametrize("status", [STATUS.FAILURE, STATUS.CANCELED])
def test_a_failed_upstream_run_fails_the_waiting_step(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun, status: STATUS
) -> None:
    store_backfill(dagster_instance, requested=TARGET, failed=set())
    run_of(dagster_instance, "price_bars", status)
    with pytest.raises(dg.Failure, match=r"price_bars of 2024-06-10\|US and 1 more are missing: correct that"):
        await_upstream(step_of(features_run, dagster_instance, "2024-06-10|US", "2024-06-11|US"), "price_bars")


def test_a_partition_whose_own_upstream_failed_is_missing(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=set(), failed={"2024-06-11|US"})
    with pytest.raises(dg.Failure, match=r"price_bars of 2024-06-11\|US is missing"):
        await_upstream(step_of(features_run, dagster_instance, "2024-06-11|US"), "price_bars")


def test_a_failed_session_outside_of_the_look_back_does_not_matter(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=TARGET, failed={"2024-06-11|US"})
    materialize_and_finish(
        dagster_instance, run_of(dagster_instance, "price_bars", STATUS.STARTED), TARGET - {"2024-06-11|US"}
    )
    await_upstream(step_of(features_run, dagster_instance, "2024-06-10|EURONEXT"), "price_bars")


def test_sessions_outside_of_the_backfill_are_not_waited_for(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=set(), failed=set())
    await_upstream(step_of(features_run, dagster_instance, "2024-06-07|US"), "price_bars")


def test_a_lost_run_that_is_retried_is_waited_for(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=TARGET, failed=TARGET)
    lost = run_of(dagster_instance, "price_bars", STATUS.FAILURE, tags={"dagster/will_retry": "true"})
    step = step_of(features_run, dagster_instance, *TARGET)
    with pytest.raises(dg.Failure, match="not there after an hour"):
        await_upstream(step, "price_bars")
    family = {"parent_run_id": lost.run_id, "root_run_id": lost.run_id}
    materialize_and_finish(
        dagster_instance, run_of(dagster_instance, "price_bars", STATUS.STARTED, **family), TARGET
    )
    await_upstream(step, "price_bars")


def test_single_runs_and_backfills_without_the_asset_wait_for_nothing(
    dagster_instance: dg.DagsterInstance, features_run: DagsterRun
) -> None:
    store_backfill(dagster_instance, requested=set(), failed=set())
    await_upstream(step_of(features_run, dagster_instance, *TARGET), "instruments")
    alone = create_run_for_test(dagster_instance, job_name="job", status=STATUS.STARTED)
    await_upstream(step_of(alone, dagster_instance, *TARGET), "price_bars")


def test_two_ranges_that_compute_the_same_assets_do_not_wait_for_each_other(
    dagster_instance: dg.DagsterInstance,
) -> None:
    store_backfill(dagster_instance, requested=TARGET, failed=set())
    for run in [run_of(dagster_instance, "instruments price_bars", STATUS.STARTED) for _ in range(2)]:
        await_upstream(step_of(run, dagster_instance, *TARGET), "price_bars")
