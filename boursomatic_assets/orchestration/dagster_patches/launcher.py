"""The run launchers, which know here whether the process of a run lives.

What belongs here: the class that `dagster.yaml` names, and what both launchers know of a run's health. The daemon
asks it of each run that has started, and with `install` of each that is about to.
Kept elsewhere: the launcher that hands runs to workers (`queue/launcher.py`), how a process shows that it lives
(`tables/claims/`), where a run claims itself (`storages/run_storage.py`, and `io_manager.py` where that is not in
force).

Dagster's default launcher cannot say: a run whose machine died is "started" until its time is up, and counts in
every limit. It is no patch for speed, and the same on every version of Dagster.
"""

import logging
from collections.abc import Mapping
from typing import Any

from dagster import DagsterInstance
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, RunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun, RunRecord
from dagster._daemon.monitoring import run_monitoring
from dagster._serdes import ConfigurableClassData

from boursomatic_assets import database
from boursomatic_assets.settings import workers
from boursomatic_assets.tables.claims import liveness


class Claimed(RunLauncher):
    """Says of each run whether it lives, by its claim."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Let the daemon ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run lives; one that does not is given up, so that it cannot write later."""
        with database.engine().connect() as connection:
            dead = liveness.dead_runs(connection).get(run.run_id)
        if dead is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        liveness.give_up(run.run_id)
        return CheckRunHealthResult(WorkerStatus.FAILED, str(dead))


_monitor_starting_run = run_monitoring.monitor_starting_run


def install() -> None:
    """Let the daemon ask for the health of a run that is about to start; Dagster waits for its time to be up."""
    run_monitoring.monitor_starting_run = _end_dead_or_monitor


def _end_dead_or_monitor(instance: DagsterInstance, run_record: RunRecord, logger: logging.Logger) -> None:
    """End a run whose worker has died since it claimed it; look at any other as Dagster does."""
    run, launcher = run_record.dagster_run, instance.run_launcher
    if isinstance(launcher, Claimed):
        health = launcher.check_run_worker_health(run)
        now = instance.get_run_by_id(run.run_id)
        if health.status == WorkerStatus.FAILED and now and now.status == run.status:
            instance.report_run_failed(run, f"It was about to start: {health.msg}. Nothing of it is written.")
            return
    _monitor_starting_run(instance, run_record, logger)


class ClaimedRunLauncher(Claimed, DefaultRunLauncher):
    """Starts runs as Dagster does; where a broker is set, the launcher that hands them over takes its place."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Any:
        """Return the launcher that the setting chooses, since `dagster.yaml` cannot."""
        if workers.broker() is None:
            return cls(inst_data=inst_data, **config_value)
        from boursomatic_assets.orchestration.dagster_patches.queue.launcher import QueueRunLauncher

        return QueueRunLauncher(inst_data=inst_data)
