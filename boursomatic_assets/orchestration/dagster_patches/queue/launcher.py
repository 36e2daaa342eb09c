"""The launcher that hands runs to workers: dagster-celery's own, with the platform's queues and health.

What belongs here: a run's message, with its queue, its priority and the version of the code that launched it.
Kept elsewhere: the queues (`broker/app.py`, `places.py`), which launcher is chosen
(`dagster_patches/launcher.py`).
"""

from celery import Signature
from dagster._core.launcher import LaunchRunContext
from dagster._core.storage.dagster_run import DagsterRun
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, pack_value
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_RUN_PRIORITY_TAG, DAGSTER_CELERY_TASK_ID_TAG

from boursomatic_assets import broker
from boursomatic_assets.code_version import code_version
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.launcher import Claimed
from boursomatic_assets.orchestration.dagster_patches.queue import places


class QueueRunLauncher(Claimed, CeleryRunLauncher):
    """Puts each run into the queue of its market, which workers serve."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the application that workers open too."""
        super().__init__(default_queue=broker.OTHER, inst_data=inst_data)
        self.celery = broker.open_app()
        self._code = code_version()

    @property
    def supports_resume_run(self) -> bool:
        """A run is begun again as a whole: what it had not committed is not there."""
        return False

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Nothing: the reason is in the run's health, and the broker may be what is away."""
        return None

    def launch_run(self, context: LaunchRunContext) -> None:
        """Send the message of a run, without a description of this machine's instance: a worker has its own.

        Raises:
            BrokerError: The broker does not answer.
        """
        run = context.dagster_run
        if run.job_code_origin is None:
            raise ValueError(
                f"run {run.run_id} does not say where its code is: launch it from the UI or a schedule"
            )
        packed = pack_value(ExecuteRunArgs(run.job_code_origin, run.run_id, instance_ref=None))
        message = self.celery.signature(
            TASK_EXECUTE_JOB_NAME, kwargs={"execute_job_args_packed": packed}, immutable=True
        )
        self._launch_celery_task_run(run, message, TASK_EXECUTE_JOB_NAME)

    def terminate(self, run_id: str) -> bool:
        """Ask the worker that executes a run to end it; False if it is over, or no worker was given it.

        Dagster must know that somebody asked: else the end is that of a lost process, and the run begins again.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        with broker.errors_in_words():
            return super().terminate(run_id)

    def _launch_celery_task_run(self, run: DagsterRun, task_signature: Signature, routing_key: str) -> None:
        """Send it with its queue and its priority."""
        self._instance.add_run_tags(run.run_id, {tags.CODE: self._code})
        priority = broker.priority_of(backfill=tags.BACKFILL in run.tags)
        place = {tags.QUEUE: places.queue_of(run), DAGSTER_CELERY_RUN_PRIORITY_TAG: str(priority)}
        with broker.errors_in_words():
            super()._launch_celery_task_run(run.with_tags({**place, **run.tags}), task_signature, routing_key)
