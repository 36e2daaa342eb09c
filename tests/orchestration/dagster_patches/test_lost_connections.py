"""Dagster's storages while the database goes away: nothing is stored twice, and no connection is left open."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import psycopg2  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from dagster._core.events import DagsterEvent
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from sqlalchemy import Engine

from boursomatic_assets import database as db
from boursomatic_assets.orchestration.dagster_patches import guard
from boursomatic_assets.tables.claims.holding import GivenUpError

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
STOCK = pytest.mark.parametrize("stock", [False, True], ids=["patched", "stock"])


def counted(query: str) -> int:
    with db.connect(db.dagster_url()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


@pytest.fixture
def instance(dagster_instance: dg.DagsterInstance, stock: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An instance, with the platform's storages or with Dagster's own."""
    monkeypatch.setattr(guard, "enabled", lambda: not stock)
    with dg.DagsterInstance.get() as opened:
        yield opened


def entry(message: str) -> EventLogEntry:
    return EventLogEntry(
        error_info=None, level=20, user_message=message, run_id=RUN, timestamp=time.time(), dagster_event=None
    )


@contextmanager
def lost_after(storage: Any, beginning: str) -> Iterator[list[str]]:
    """The connection is lost once, after a statement that begins so, and before Dagster knows of its end."""
    lost, engine = list[str](), storage._engine

    def lose(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.strip().startswith(beginning) and not lost:
            lost.append(statement)
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    sa.event.listen(engine, "after_cursor_execute", lose)
    yield lost
    sa.event.remove(engine, "after_cursor_execute", lose)
    assert len(lost) == 1


@STOCK
def test_an_event_is_stored_once_though_its_answer_was_lost(
    instance: dg.DagsterInstance, absorbed_errors: list[str]
) -> None:
    with lost_after(instance.event_log_storage, "INSERT INTO event_logs "):
        instance.event_log_storage.store_event(entry("a line"))
    assert counted("SELECT count(*) FROM event_logs") == 1
    assert len(absorbed_errors) == 1
    assert absorbed_errors[0].startswith("done again, after ")


@STOCK
@pytest.mark.parametrize("table", ["runs", "run_tags"])
def test_a_run_is_stored_once_and_whole_though_its_answer_was_lost(
    instance: dg.DagsterInstance, absorbed_errors: list[str], table: str
) -> None:
    with lost_after(instance.run_storage, f"INSERT INTO {table} "):
        instance.add_run(dg.DagsterRun(job_name="nothing", run_id=RUN, tags={"market": "US"}))
    assert instance.get_run_ids(dg.RunsFilter(tags={"market": "US"})) == [RUN]
    assert len(absorbed_errors) == 1


@STOCK
@pytest.mark.parametrize("table", ["bulk_actions", "backfill_tags"])
def test_a_backfill_is_stored_once_and_whole_though_its_answer_was_lost(
    instance: dg.DagsterInstance, absorbed_errors: list[str], table: str
) -> None:
    asked = PartitionBackfill(
        "asked", BulkActionStatus.REQUESTED, from_failure=False, tags={"by": "ann"}, backfill_timestamp=1.0
    )
    with lost_after(instance.run_storage, f"INSERT INTO {table} "):
        instance.add_backfill(asked)
    found = instance.get_backfills(BulkActionsFilter(tags={"by": "ann"}))
    assert [backfill.backfill_id for backfill in found] == ["asked"]
    assert len(absorbed_errors) == 1


@pytest.mark.parametrize("stock", [False])
@pytest.mark.parametrize("beginning", ["WITH began AS", "INSERT INTO event_logs"])
def test_the_end_of_a_run_is_stored_though_an_answer_was_lost(
    migrated: Engine, instance: dg.DagsterInstance, absorbed_errors: list[str], beginning: str
) -> None:
    instance.add_run(dg.DagsterRun(job_name="nothing", run_id=RUN, status=dg.DagsterRunStatus.STARTED))
    with lost_after(instance.event_log_storage, beginning):
        instance.report_run_failed(instance.get_run_by_id(RUN))  # type: ignore[arg-type]
    assert instance.get_run_by_id(RUN).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
    assert counted("SELECT count(*) FROM event_logs WHERE dagster_event_type = 'PIPELINE_FAILURE'") == 1
    assert len(absorbed_errors) == 1


@STOCK
def test_instances_that_are_over_leave_no_connection(instance: dg.DagsterInstance) -> None:
    """A sensor opens one for each look."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    before = counted(query)
    gc.disable()  # which would close them, some time
    try:
        for _ in range(4):
            with dg.DagsterInstance.get() as opened:
                opened.get_runs()
                opened.all_instigator_state()
                opened.fetch_materializations(dg.AssetKey("bars"), limit=1)
    finally:
        gc.enable()
    assert counted(query) <= before + 1


def test_a_run_that_was_ended_while_it_waited_to_begin_does_not_begin(
    migrated: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    run = dg.DagsterRun(job_name="nothing", run_id=RUN, status=dg.DagsterRunStatus.FAILURE)
    dagster_instance.add_run(run)
    begins = DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name="nothing")
    with pytest.raises(GivenUpError, match="was ended from outside before it began"):
        dagster_instance.run_storage.handle_run_event(RUN, begins)
    assert dagster_instance.get_run_by_id(RUN).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
    with migrated.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM run_claims")) == 0
