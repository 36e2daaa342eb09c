"""The event log: a range's events are one per partition, written together."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.stats import StepEventStatus
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import Engine, event

from boursomatic_assets import database as db
from boursomatic_assets.orchestration.dagster_patches.storages import event_log
from boursomatic_assets.orchestration.dagster_patches.storages.event_log import BatchedEventLog
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

BARS, NUMBERS = dg.AssetKey("bars"), dg.AssetKey("numbers")
PER_PARTITION = "SELECT asset_key, partition, count(*) FROM event_logs WHERE dagster_event_type = %s GROUP BY 1, 2"


def assets(*, broken: bool = False) -> list[dg.AssetsDefinition]:
    """Two assets over sessions, one upon the other; the second can break."""

    @dg.asset(partitions_def=MARKET_SESSIONS, backfill_policy=dg.BackfillPolicy.single_run())
    def bars() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"rows": 1})

    @dg.asset(partitions_def=MARKET_SESSIONS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[bars])
    def numbers() -> None:
        assert not broken, "as asked for"

    return [bars, numbers]


def run(instance: dg.DagsterInstance, start: str, end: str, *, broken: bool = False) -> dg.ExecuteInProcessResult:
    tags = {"dagster/asset_partition_range_start": f"{start}|US", "dagster/asset_partition_range_end": f"{end}|US"}
    return dg.materialize(assets(broken=broken), instance=instance, tags=tags, raise_on_error=False)


def keys(start: str, end: str) -> list[str]:
    return [key for key in MARKET_SESSIONS.get_partition_keys() if f"{start}|" <= key < f"{end}~" and "|US" in key]


def stored(kind: dg.DagsterEventType) -> dict[tuple[str, str], int]:
    """How many events of a kind there are for each asset and partition."""
    with db.connect(db.dagster_url()) as connection:
        found = connection.execute(PER_PARTITION.encode(), [kind.value]).fetchall()
    return {(asset, partition): count for asset, partition, count in found}


def statuses(instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: list[str]) -> list[Any]:
    found = instance.get_status_by_partition(asset, partitions, MARKET_SESSIONS)
    assert found is not None
    return [found[partition] for partition in partitions]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The statements that any engine executes meanwhile, by their first three words."""
    count: Counter[str] = Counter()

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        count[" ".join(statement.split()[:3])] += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "kind", [dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION]
)
def test_a_range_has_one_event_per_partition_and_asset(
    dagster_instance: dg.DagsterInstance, kind: dg.DagsterEventType
) -> None:
    assert run(dagster_instance, "2024-06-03", "2024-06-28").success
    expected = {
        (asset.to_string(), key): 1 for asset in (BARS, NUMBERS) for key in keys("2024-06-03", "2024-06-28")
    }
    assert len(expected) == 2 * 20
    assert stored(kind) == expected


def test_a_longer_range_takes_no_more_statements(dagster_instance: dg.DagsterInstance) -> None:
    run(dagster_instance, "2024-06-03", "2024-06-04")
    with counted() as short:
        run(dagster_instance, "2024-06-03", "2024-06-05")
    with counted() as long:
        run(dagster_instance, "2024-01-02", "2024-06-28")
    assert short["INSERT INTO event_logs"] > 5
    assert long["INSERT INTO event_logs"] == short["INSERT INTO event_logs"]
    assert long.total() <= short.total() + 5


def test_the_partitions_of_a_range_are_known_as_materialised(dagster_instance: dg.DagsterInstance) -> None:
    run(dagster_instance, "2024-06-10", "2024-06-12")
    done = keys("2024-06-10", "2024-06-12")
    for asset in (BARS, NUMBERS):
        assert dagster_instance.get_materialized_partitions(asset) == set(done)
        assert statuses(dagster_instance, asset, done) == [AssetPartitionStatus.MATERIALIZED] * 3
        latest = dagster_instance.get_latest_materialization_event(asset)
        assert latest and latest.asset_materialization
        assert latest.asset_materialization.partition == "2024-06-12|US"


def test_the_newest_session_of_a_range_was_materialised_last(dagster_instance: dg.DagsterInstance) -> None:
    """The UI shows what came last, by number or by time, as the asset's latest materialisation."""
    run(dagster_instance, "2024-01-02", "2024-06-28")
    records = dagster_instance.fetch_materializations(BARS, limit=1_000, ascending=True).records
    assert [record.partition_key for record in records] == keys("2024-01-02", "2024-06-28")
    assert [record.timestamp for record in records] == sorted(record.timestamp for record in records)


def test_each_materialisation_of_a_range_has_a_time_of_its_own_in_the_ui(
    dagster_instance: dg.DagsterInstance,
) -> None:
    """In whole milliseconds, as GraphQL has them: the UI shows one event of a time."""
    started = time.time()
    run(dagster_instance, "2024-01-02", "2024-06-28")
    records = dagster_instance.fetch_materializations(BARS, limit=1_000, ascending=True).records
    shown = [int(record.timestamp * 1_000) for record in records]
    assert len(shown) == len(keys("2024-01-02", "2024-06-28")) > 120
    assert all(earlier < later for earlier, later in pairwise(shown))
    assert started < records[-1].timestamp < time.time() + 0.001


def test_the_partitions_of_a_failed_range_are_known_as_failed(dagster_instance: dg.DagsterInstance) -> None:
    run(dagster_instance, "2024-06-10", "2024-06-12")
    assert not run(dagster_instance, "2024-06-12", "2024-06-14", broken=True).success
    week = keys("2024-06-10", "2024-06-14")
    done, failed = AssetPartitionStatus.MATERIALIZED, AssetPartitionStatus.FAILED
    assert statuses(dagster_instance, BARS, week) == [done] * 5
    assert statuses(dagster_instance, NUMBERS, week) == [done, done, failed, failed, failed]


def test_nothing_lies_between_a_failure_and_the_status_of_its_run(
    dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon reads failures, and retries runs that have failed: one that fails later it never sees again."""
    seen = list[int]()

    def look(connection: Any, run_id: str) -> None:
        seen.append(len(dagster_instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)))

    monkeypatch.setattr(event_log.check_results, "forget_what_never_began", look)
    assert not run(dagster_instance, "2024-06-10", "2024-06-10", broken=True).success
    assert seen == [0]


def test_events_keep_their_order(dagster_instance: dg.DagsterInstance) -> None:
    result = run(dagster_instance, "2024-06-10", "2024-06-12")
    logs = [
        entry.dagster_event_type for entry in dagster_instance.all_logs(result.run_id) if entry.dagster_event_type
    ]
    kinds = list(dict.fromkeys(logs))
    planned, made = (
        kinds.index(kind)
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION)
    )
    assert (
        planned < kinds.index(dg.DagsterEventType.RUN_START) < made < kinds.index(dg.DagsterEventType.RUN_SUCCESS)
    )


def test_the_project_uses_this_event_log(dagster_instance: dg.DagsterInstance) -> None:
    assert isinstance(dagster_instance.event_log_storage, BatchedEventLog)


def test_statistics_of_steps_are_dagsters_with_the_first_materializations(
    dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(dagster_instance, "2024-06-03", "2024-06-07")
    log = dagster_instance.event_log_storage
    theirs = PostgresEventLogStorage.get_step_stats_for_run(log, result.run_id)
    ours = log.get_step_stats_for_run(result.run_id)
    assert [vars(stats) for stats in ours] == [vars(stats) for stats in theirs]
    monkeypatch.setattr(event_log, "MATERIALIZATIONS_OF_STATS", 7)
    bars, numbers = log.get_step_stats_for_run(result.run_id)
    assert (len(bars.materialization_events), len(numbers.materialization_events)) == (5, 2)
    assert (bars.status, numbers.status) == (StepEventStatus.SUCCESS, StepEventStatus.SUCCESS)
    assert [stats.step_key for stats in log.get_step_stats_for_run(result.run_id, ["numbers"])] == ["numbers"]
