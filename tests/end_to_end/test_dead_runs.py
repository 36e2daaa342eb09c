"""A command line that is killed leaves a run that Dagster takes for started: it is seen, named and ended.

One that is interrupted ends its run itself.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from sqlalchemy import Engine
from worlds.commands import boursomatic
from worlds.patched import only_patched
from worlds.platform import execute, rows

from boursomatic_assets.orchestration import dead_runs
from boursomatic_assets.tables.claims import liveness

BACKFILL = ("backfill", "--assets", "price_bars", "--market", "US", "--from", "2019-01-02", "--to", "2020-12-31")
COMMAND = "import sys; sys.argv[0] = 'boursomatic'; from boursomatic_assets.cli import main; main()"


@pytest.fixture
def started(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> "Iterator[tuple[subprocess.Popen[bytes], dg.DagsterRun]]":
    """A backfill in a process of its own, and its run, once that goes on."""
    monkeypatch.setattr(liveness, "GONE_SECONDS", 1)
    environment = os.environ | {
        "BOURSOMATIC_SOURCE": "simulated",
        "BOURSOMATIC_SIMULATED_INSTRUMENTS": "10",
        "BOURSOMATIC_START": "2019-01-02",
    }
    words = [sys.executable, "-c", COMMAND, *BACKFILL]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            while not (run := going_on(dagster_instance)):
                assert process.poll() is None
                time.sleep(0.1)
            assert rows(migrated, "SELECT run_id FROM run_claims") == [{"run_id": run.run_id}]
            yield process, run
        finally:
            process.kill()


def going_on(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """The run that has started, if there is one; it is claimed before it is stored."""
    return next(iter(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))), None)


def kill(process: "subprocess.Popen[bytes]", instance: dg.DagsterInstance) -> liveness.DeadRun:
    """Kill it, and wait until it is seen."""
    process.kill()
    process.wait()
    while not (found := dead_runs.find(instance)):
        time.sleep(0.1)
    return found[0][1]


def test_a_killed_run_is_named_and_ended(
    started: "tuple[subprocess.Popen[bytes], dg.DagsterRun]",
    dagster_instance: dg.DagsterInstance,
    migrated: Engine,
) -> None:
    """By the daemon, which asks the launcher, and by hand."""
    (process, run), launcher = started, dagster_instance.run_launcher
    assert "started" in boursomatic("runs").stdout
    assert boursomatic("runs", "end-dead").stdout == "no run is dead\n"
    assert launcher.supports_check_run_worker_health
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    found = kill(process, dagster_instance)
    assert str(found).startswith(f"process {process.pid} of {os.uname().nodename} is gone")
    for command in ("runs", "status", "doctor"):
        shown = boursomatic(command)
        assert run.run_id[:8] in shown.stdout
        assert str(found) in shown.stdout
        assert shown.exit_code == (command == "doctor")
    health = launcher.check_run_worker_health(run)
    assert (health.status, health.msg) == (WorkerStatus.FAILED, str(found))
    assert rows(migrated, "SELECT run_id, epoch FROM run_claims") == [{"run_id": run.run_id, "epoch": 1}]
    assert boursomatic("runs", "end-dead").stdout == f"{run.run_id[:8]} is ended: {found}\n"
    ended = dagster_instance.get_run_by_id(run.run_id)
    assert ended
    assert ended.status == dg.DagsterRunStatus.FAILURE
    (failure,) = dagster_instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert str(found) in failure.message
    assert boursomatic("runs").stdout == "no run goes on\n"


@only_patched
@pytest.mark.usefixtures("absorbed_errors")  # its transaction is ended, begun again, and refused
def test_a_run_that_is_ended_from_outside_writes_no_more(
    started: "tuple[subprocess.Popen[bytes], dg.DagsterRun]",
    dagster_instance: dg.DagsterInstance,
    migrated: Engine,
) -> None:
    process, run = started
    dagster_instance.report_run_failed(run, "ended by hand")
    assert process.wait() != 0
    assert rows(migrated, "SELECT * FROM price_bars LIMIT 1") == []
    ended = dagster_instance.get_run_by_id(run.run_id)
    assert ended
    assert ended.status == dg.DagsterRunStatus.FAILURE


def command_lines() -> Iterator[str]:
    """Those of all processes, with a NUL between words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            yield path.read_text()


def test_ctrl_c_of_a_terminal_ends_the_whole_group_without_a_traceback(
    started: "tuple[subprocess.Popen[bytes], dg.DagsterRun]", dagster_instance: dg.DagsterInstance
) -> None:
    process, run = started
    while not any(f"watch_orphans.py\0{process.pid}\0" in line for line in command_lines()):
        assert process.poll() is None, "Dagster starts no helpers any more"
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1].decode()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "stopped: 0 of 1 runs are done" in said
    ended = dagster_instance.get_run_by_id(run.run_id)
    assert ended
    assert ended.status == dg.DagsterRunStatus.CANCELED
    assert boursomatic("runs").stdout == "no run goes on\n"


def test_without_runs_there_is_none_to_end(migrated: Engine, dagster_instance: dg.DagsterInstance) -> None:
    assert boursomatic("runs").stdout == "no run goes on\n"
    assert boursomatic("runs", "end-dead").stdout == "no run is dead\n"


def test_the_claim_of_a_run_that_is_over_already_is_given_up_too(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a second Ctrl-C leaves one."""
    monkeypatch.setattr(liveness, "GONE_SECONDS", 0)
    execute(
        migrated,
        "INSERT INTO run_claims (id, run_id, host, pid, seen_at)"
        " VALUES (gen_random_uuid(), 'over', 'here', 1, now() - interval '1 hour')",
    )
    assert boursomatic("runs", "end-dead").stdout.startswith("over is ended: process 1 of here is gone")
    assert boursomatic("runs", "end-dead").stdout == "no run is dead\n"
