"""How many runs the daemon hands over: as many as workers have places for, in all and of each queue."""

import dataclasses
from uuid import uuid4

import dagster as dg
import pytest

from boursomatic_assets import broker
from boursomatic_assets.broker import looking
from boursomatic_assets.code_version import code_version
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.queue import coordinator, places

BROKER = "redis://:s3cret@127.0.0.1:1/0"


def a_worker(*queues: str, processes: int) -> looking.Worker:
    return looking.Worker("1@there", "there", tuple(range(processes)), queues or broker.EVERY_QUEUE, "code")


def limit(found: list[dict[str, object]], key: str, value: str) -> object:
    return next(one["limit"] for one in found if one["key"] == key and one.get("value") == value)


@pytest.mark.parametrize(
    ("of_run", "queue"),
    [
        ({tags.PARTITION: "2024-01-03|US"}, "US"),
        ({tags.RANGE_START: "2024-01-03|EURONEXT", tags.RANGE_END: "2024-02-29|EURONEXT"}, "EURONEXT"),
        ({tags.RANGE_START: "2024-01-03|EURONEXT", tags.RANGE_END: "2024-02-29|US"}, "OTHER"),
        ({}, "OTHER"),
    ],
)
def test_a_run_waits_in_the_queue_of_its_market(of_run: dict[str, str], queue: str) -> None:
    assert places.queue_of(dg.DagsterRun("job", str(uuid4()), tags=of_run)) == queue


def test_a_backfill_waits_behind_what_is_due_now(monkeypatch: pytest.MonkeyPatch) -> None:
    backfill = dg.DagsterRun("job", str(uuid4()), tags={tags.BACKFILL: "b"})
    assert places.tags_of(backfill) == {"dagster/priority": "-1"}
    assert places.tags_of(dg.DagsterRun("job", str(uuid4()))) == {}
    monkeypatch.setenv("BOURSOMATIC_BROKER", BROKER)
    assert places.tags_of(backfill) == {"dagster/priority": "-1", "dagster-celery/queue": "OTHER"}


def test_no_more_runs_are_handed_over_than_there_are_places() -> None:
    both, one = a_worker(processes=2), a_worker("US", processes=1)
    most, by_tag = places.limits([both, one], [])
    assert most == 3
    assert [limit(by_tag, tags.QUEUE, queue) for queue in broker.EVERY_QUEUE] == [3, 2, 2]
    assert places.limits([], [])[0] == 0


@pytest.mark.parametrize(("processes", "each"), [(2, 1), (3, 1), (4, 1), (6, 2), (12, 4)])
def test_a_kind_has_a_third_of_all_places(processes: int, each: int) -> None:
    """Of one backfill bars, features and advice wait for one another: none may take all places."""
    configured = [{"key": tags.COMPUTES, "limit": 2, "value": {"applyLimitPerUniqueValue": True}}]
    assert places.limits([a_worker(processes=processes)], configured)[1][0]["limit"] == each


@pytest.mark.database
def test_workers_of_other_code_have_no_places(
    dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = dataclasses.replace(a_worker(processes=2), code=code_version())
    monkeypatch.setattr(looking, "workers", lambda: [mine, a_worker(processes=5)])
    monkeypatch.setenv("BOURSOMATIC_BROKER", BROKER)
    assert dagster_instance.run_coordinator.get_run_queue_config().max_concurrent_runs == 2  # type: ignore[attr-defined]


@pytest.mark.database
def test_while_the_broker_is_away_what_waits_stays_in_dagsters_queue(
    dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    found = dagster_instance.run_coordinator
    assert isinstance(found, coordinator.PlacesRunCoordinator)
    assert found.get_run_queue_config().max_concurrent_runs == 6
    monkeypatch.setenv("BOURSOMATIC_BROKER", BROKER)
    assert found.get_run_queue_config().max_concurrent_runs == 0
    (said,) = absorbed_errors
    assert "no run is launched for now" in said
    assert "s3cret" not in said
