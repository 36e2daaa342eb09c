"""Dagster's own run launcher, which knows here whether the process of a run lives.

What belongs here: the class that `dagster.yaml` names. The daemon asks it of each run that goes on.
Kept elsewhere: how a process shows that it lives (`tables/claims/`), where a run claims itself
(`storages/run_storage.py`, and `io_manager.py` where that is not in force).

Dagster's default launcher cannot say: a run whose machine died is "started" until its time is up, and counts in
every limit. It is no patch for speed, and the same on every version of Dagster.
"""

from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun

from boursomatic_assets import database
from boursomatic_assets.tables.claims import liveness


class ClaimedRunLauncher(DefaultRunLauncher):
    """Starts runs as Dagster does, and says of each whether it lives."""

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
