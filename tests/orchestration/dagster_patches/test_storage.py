"""Dagster's own storage: on our PostgreSQL for every process that knows DAGSTER_HOME, without a secret."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from conftest import Admin
from dagster._core.instance.ref import InstanceRef

from boursomatic_assets import database as db
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.storage import BoursomaticStorage
from boursomatic_assets.orchestration.instance import CONFIG, ensure_dagster_home
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS


@dg.op
def nothing() -> None: ...


@dg.job(executor_def=dg.in_process_executor)
def nothing_much() -> None:
    nothing()


def count(table: str) -> int:
    with db.connect(db.dagster_url()) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    return int(row[0]) if row else 0


def test_runs_and_events_are_stored_in_postgres(dagster_instance: dg.DagsterInstance) -> None:
    result = nothing_much.execute_in_process(instance=dagster_instance)
    assert dagster_instance.get_run_by_id(result.run_id).is_success  # type: ignore[union-attr]
    assert count("runs") == 1
    assert count("event_logs") >= 5


def test_files_are_kept_in_dagsters_home(dagster_instance: dg.DagsterInstance) -> None:
    nothing_much.execute_in_process(instance=dagster_instance)
    folder = Path(os.environ["DAGSTER_HOME"])
    assert Path(dagster_instance.storage_directory()).is_relative_to(folder)
    assert not list(folder.rglob("*.db"))


def test_another_process_needs_dagster_home_alone(home: Path) -> None:
    environment = os.environ | {"DAGSTER_HOME": str(ensure_dagster_home())}
    command = [sys.executable, "-m", "dagster", "instance", "info"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "StagedRunStorage" in told
    with db.connect(db.dagster_url()) as connection:
        assert connection.info.host == str((home / "postgres" / "socket").resolve())
        assert connection.execute("SELECT to_regclass('runs') IS NOT NULL").fetchone() == (True,)


def test_without_dagster_home_the_checkout_is_enough(dagster_instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Dagster then reads the settings in the current folder, and keeps its files in a temporary one."""
    ref = InstanceRef.from_dir(str(tmp_path), config_dir=str(CONFIG.parent))
    with dg.DagsterInstance.from_ref(ref) as instance:
        nothing_much.execute_in_process(instance=instance)
    assert count("runs") == 1


def test_processes_that_start_at_once_make_the_tables_once(
    admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = admin.create()
    monkeypatch.setenv("DAGSTER_DATABASE_URL", admin.address(name))
    monkeypatch.setenv("DAGSTER_HOME", str(ensure_dagster_home()))
    command = [sys.executable, "-c", "from dagster import DagsterInstance; DagsterInstance.get().run_storage"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * 2
    assert count("runs") == 0
    admin.drop(name)


def test_no_description_of_the_instance_holds_a_secret(
    dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = f"{dagster_instance.info_str()} {dagster_instance.get_ref()}"
    for word in ("passfile", "postgresql", os.environ["DAGSTER_DATABASE_URL"]):
        assert word not in shown


def test_a_database_out_of_reach_is_said_in_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", "postgresql://ann:s3cret@127.0.0.1:1/dagster")
    with pytest.raises(db.DatabaseError, match=r"^the server at 127.0.0.1:1 does not answer"):
        BoursomaticStorage.from_config_value(None, {})


def test_telemetry_is_off_and_lost_runs_come_to_an_end(dagster_instance: dg.DagsterInstance) -> None:
    assert dagster_instance.telemetry_enabled is False
    assert dagster_instance.run_monitoring_enabled
    assert dagster_instance.run_monitoring_max_runtime_seconds > 0
    assert dagster_instance.run_retries_max_retries in (1, 2)
    queue = dagster_instance.get_concurrency_config().run_queue_config
    assert queue and queue.max_concurrent_runs == 6
    assert {limit["key"]: limit["limit"] for limit in queue.tag_concurrency_limits}[tags.COMPUTES] == 2


def test_dagsters_home_reads_the_settings_of_the_checkout(home: Path) -> None:
    folder = ensure_dagster_home()
    assert folder == home / "dagster"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "dagster.yaml").resolve() == CONFIG
    assert ensure_dagster_home() == folder


def test_a_checkout_that_moved_is_followed(home: Path) -> None:
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").symlink_to(home / "old checkout" / "dagster.yaml")
    assert (ensure_dagster_home() / "dagster.yaml").resolve() == CONFIG


def test_settings_that_somebody_wrote_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert ensure_dagster_home() == tmp_path
    assert (tmp_path / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_a_range_of_all_partitions_appears_at_once(dagster_instance: dg.DagsterInstance) -> None:
    """A daemon that saw the half of a range would ask for what is downstream in hundreds of runs."""
    assert dagster_instance._get_event_batch_size() > MARKET_SESSIONS.get_num_partitions()
    assert int(os.environ["ASSET_BACKFILL_CURSOR_OFFSET"]) > MARKET_SESSIONS.get_num_partitions()
