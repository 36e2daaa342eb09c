"""What a worker's process does with one message: executes its run once, or says why not, and is as it was.

In this process, without a broker; with one: `test_worker.py`.
"""

import datetime as dt
import logging
import signal
import time
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from dagster._daemon.monitoring import run_monitoring
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import pack_value
from sqlalchemy import Engine
from worlds.frames import insert_model_version
from worlds.patched import only_patched
from worlds.platform import execute as sql
from worlds.platform import rows

from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.code_version import code_version
from boursomatic_assets.database import server_time, waiting
from boursomatic_assets.definitions import defs
from boursomatic_assets.orchestration.dagster_patches import command_runs, tags
from boursomatic_assets.orchestration.dagster_patches.queue import execution
from boursomatic_assets.orchestration.instance import WORKSPACE
from boursomatic_assets.orchestration.workers import requirements
from boursomatic_assets.tables.claims import holding, liveness

SESSION = "2024-01-03|US"
Message = dict[str, Any]


@pytest.fixture
def run(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> tuple[dg.DagsterRun, Message]:
    """A run that the daemon has launched, and the message of it."""
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_INSTRUMENTS", "5")
    job = defs.resolve_job_def("market_session")
    assets = frozenset({dg.AssetKey("instruments")})
    stored = command_runs.create_run(
        job, assets, str(uuid4()), dagster_instance, {tags.PARTITION: SESSION}, WORKSPACE
    )
    starting = dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, job.name)
    dagster_instance.report_dagster_event(starting, stored.run_id)
    assert stored.job_code_origin
    arguments = ExecuteRunArgs(stored.job_code_origin, stored.run_id, None)
    return stored, pack_value(arguments)  # type: ignore[return-value]


def fit(run: dg.DagsterRun) -> None:
    """Of a worker that executes everything."""


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status.value


def reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return failure.message


def test_a_message_that_comes_again_is_declined(
    run: tuple[dg.DagsterRun, Message], dagster_instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis delivers again what is not confirmed in time."""
    stored, message = run
    execution.execute(message, fit)
    assert status(dagster_instance, stored) == "SUCCESS"
    events = len(dagster_instance.all_logs(stored.run_id))
    execution.execute(message, fit)
    assert len(dagster_instance.all_logs(stored.run_id)) == events
    assert f"run {stored.run_id} is not begun here: it is success" in caplog.text


def test_while_a_run_goes_on_elsewhere_its_message_is_declined(
    run: tuple[dg.DagsterRun, Message],
    dagster_instance: dg.DagsterInstance,
    migrated: Engine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Even before the other process has said that it has begun."""
    stored, message = run
    claim = "INSERT INTO run_claims (id, run_id, host, pid) VALUES (gen_random_uuid(), '{}', 'elsewhere', 7)"
    sql(migrated, claim.format(stored.run_id))
    execution.execute(message, fit)
    assert status(dagster_instance, stored) == "STARTING"
    assert "process 7 of elsewhere has claimed it" in caplog.text
    assert rows(migrated, "SELECT host, pid, epoch FROM run_claims") == [
        {"host": "elsewhere", "pid": 7, "epoch": 0}
    ]


def test_a_run_that_was_ended_while_it_waited_does_not_begin(
    run: tuple[dg.DagsterRun, Message], dagster_instance: dg.DagsterInstance, migrated: Engine
) -> None:
    stored, message = run
    dagster_instance.report_run_canceled(stored)
    execution.execute(message, fit)
    assert status(dagster_instance, stored) == "CANCELED"
    assert rows(migrated, "SELECT symbol FROM instruments") == []


def test_a_run_that_has_waited_for_too_long_does_not_begin(
    run: tuple[dg.DagsterRun, Message],
    dagster_instance: dg.DagsterInstance,
    migrated: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored, message = run
    late = time.time() + dagster_instance.run_monitoring_start_timeout_seconds
    monkeypatch.setattr(execution.time, "time", lambda: late)
    execution.execute(message, fit)
    assert reason(dagster_instance, stored).startswith("it waited in a queue for 4")
    assert rows(migrated, "SELECT symbol FROM instruments") == []
    found = dagster_instance.get_run_by_id(stored.run_id)
    assert found
    assert found.tags[tags.WILL_RETRY] == "true"


def test_a_worker_that_refuses_computes_nothing_and_says_why(
    run: tuple[dg.DagsterRun, Message], dagster_instance: dg.DagsterInstance, migrated: Engine
) -> None:
    stored, message = run
    execution.execute(message, lambda _: "the worker 1@there refuses: it has no store")
    assert reason(dagster_instance, stored) == "the worker 1@there refuses: it has no store"
    assert rows(migrated, "SELECT symbol FROM instruments") == []
    found = dagster_instance.get_run_by_id(stored.run_id)
    assert found
    assert found.tags[tags.WILL_RETRY] == "true"


OWN_LOCKS = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""Other tests have locks in other databases of the same server."""


def test_a_run_whose_end_is_not_stored_leaves_its_claim_as_a_dead_one(
    run: tuple[dg.DagsterRun, Message], migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own would end now; this one lives on, and would seem to execute it for ever."""
    stored, message = run
    monkeypatch.setattr(execution, "_execute_run_command_body", lambda *_, **__: 1)
    execution.execute(message, fit)
    assert rows(migrated, "SELECT run_id FROM run_claims") == [{"run_id": stored.run_id}]
    assert rows(migrated, OWN_LOCKS) == []
    assert holding._held == {}


@only_patched
def test_a_run_whose_worker_died_before_it_started_fails_at_the_next_look(
    run: tuple[dg.DagsterRun, Message], dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, message = run

    def look(*_: object, **__: object) -> int:
        (record,) = dagster_instance.get_run_records(dg.RunsFilter(run_ids=[stored.run_id]))
        run_monitoring.monitor_starting_run(dagster_instance, record, logging.getLogger())
        return 1

    monkeypatch.setattr(liveness, "GONE_SECONDS", 0)
    monkeypatch.setattr(execution, "_execute_run_command_body", look)
    execution.execute(message, fit)
    assert status(dagster_instance, stored) == "STARTING", "it lived when the daemon looked"
    look()
    assert status(dagster_instance, stored) == "FAILURE"
    assert "is gone" in reason(dagster_instance, stored)


def test_a_run_that_cannot_be_claimed_fails_with_the_reason(
    run: tuple[dg.DagsterRun, Message], dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, message = run
    monkeypatch.setattr(server_time, "utc_now", lambda: utc_now() + dt.timedelta(days=2))
    execution.execute(message, fit)
    assert reason(dagster_instance, stored).startswith("it cannot be claimed: the clock of this machine is 2 days")


def test_the_process_is_as_it_was(run: tuple[dg.DagsterRun, Message], monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster leaves SIGTERM as it found Ctrl-C, which a worker's process ignores: it could not be ended."""
    monkeypatch.setattr(waiting._Patience, "gave_up", True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        execution.execute(run[1], fit)
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGINT, before[0])
    assert not waiting.gave_up()
    assert holding._held == {}


def test_a_worker_of_another_schema_is_unfit(migrated: Engine) -> None:
    requirements.require_fit()
    sql(migrated, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(requirements.UnfitError, match=r"^the database is at revision 0001 but this code needs"):
        requirements.require_fit()


def test_a_worker_without_the_store_is_unfit(migrated: Engine) -> None:
    insert_model_version(migrated)
    requirements.require_fit()
    sql(migrated, f"UPDATE model_versions SET model_path = '{'0' * 64}.json'")
    with pytest.raises(
        requirements.UnfitError, match=r"is missing, .* set BOURSOMATIC_STORE here as on the machines"
    ):
        requirements.require_fit()


def test_a_worker_of_other_code_says_which() -> None:
    requirements.require_same_code(None)
    requirements.require_same_code(code_version())
    with pytest.raises(requirements.UnfitError) as refused:
        requirements.require_same_code("0.1.0+other")
    said = str(refused.value)
    assert said == (
        f"it was launched by code 0.1.0+other, and this is {code_version()}: install the same on all machines"
    )


def test_the_version_of_the_code_has_a_digest_of_its_files() -> None:
    assert len(code_version().partition("+")[2]) == 12
