"""The execution of one run in a process that executes others before and after it.

What belongs here: whether a run that was delivered is still to be begun, its execution, and what must not be left
in the process. Kept elsewhere: what a worker requires of itself (`orchestration/workers/requirements.py`).

A broker delivers at least once: a run that goes on elsewhere, is over, or has waited for too long declines.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._cli.api import _execute_run_command_body
from dagster._core.storage.dagster_run import DagsterRun
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value

from boursomatic_assets import absorbed, database
from boursomatic_assets.database import replica, waiting
from boursomatic_assets.database.server_time import ClockError
from boursomatic_assets.tables.claims import holding

TO_BEGIN = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)

_log = logging.getLogger(__name__)


def execute(message: dict[str, Any], refuse: Callable[[DagsterRun], str | None]) -> None:
    """Execute a stored run in this process, unless it is not to be begun any more, which is logged.

    Args:
        message: What dagster-celery sends of it.
        refuse: Says why this process cannot execute it; the run fails with that, as one whose process was lost.
    """
    run_id = unpack_value(message, as_type=ExecuteRunArgs).run_id
    with dg.DagsterInstance.get() as instance, _left_as_found():
        run = instance.get_run_by_id(run_id)
        if run is None or run.status not in TO_BEGIN:
            _log.warning(
                "run %s is not begun here: it is %s", run_id, run.status.value.lower() if run else "deleted"
            )
        elif waited := _waited_too_long(instance, run):
            instance.report_run_failed(
                run, f"it waited in a queue for {waited:.0f} s, longer than a run may take to begin"
            )
        elif reason := refuse(run):
            instance.report_run_failed(run, reason)
        else:
            _execute(instance, run)


def _execute(instance: dg.DagsterInstance, run: DagsterRun) -> None:
    try:
        with holding.held(run.run_id, alone=True):
            _execute_run_command_body(run.run_id, instance, lambda _: None, set_exit_code_on_failure=True)
            if not _is_over(instance, run.run_id):
                holding.leave(run.run_id)
    except holding.ClaimedError as error:
        _log.warning("run %s is not begun here: %s", run.run_id, error)
    except (database.DatabaseError, ClockError) as error:
        instance.report_run_failed(run, f"it cannot be claimed: {error}")


def _waited_too_long(instance: dg.DagsterInstance, run: DagsterRun) -> float:
    """For how many seconds a run has waited to begin, if that is longer than it may; 0 if not."""
    launched = instance.get_run_stats(run.run_id).launch_time
    waited = time.time() - launched if launched else 0.0
    return waited if waited >= instance.run_monitoring_start_timeout_seconds else 0.0


def _is_over(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether Dagster knows that a run is over; where that cannot be stored, its claim says that it is gone."""
    try:
        run = instance.get_run_by_id(run_id)
    except Exception as error:
        absorbed.record(error, f"the end of run {run_id[:8]} is left to the daemon")
        return False
    return run is None or run.is_finished


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Leave no connection, no answer to a signal, and no impatience behind."""
    answer = signal.getsignal(signal.SIGTERM)
    waiting.begin_anew()
    replica.begin_anew()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, answer)
        database.disconnect()
