"""The worker's process and its children, of which each executes one run after another.

What belongs here: what a child does with a message, what it loads, and the end of a worker that is unfit.
Kept elsewhere: what makes it unfit (`requirements.py`), how a run is executed
(`dagster_patches/queue/execution.py`).

A child loads the code once, not for each run, and is replaced after a run that made it larger than it may be. The
process in front loads none of it: what is forked must have no threads, and polars, LightGBM and numpy start some.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import CPendingDeprecationWarning, WorkerShutdown
from celery.worker.control import control_command

from boursomatic_assets.broker import looking
from boursomatic_assets.code_version import code_version

EXECUTE, END = "execute_job", "boursomatic_end"
"""What dagster-celery calls a run's message, and the message by which a child ends its worker."""

SECONDS_TO_LOAD = 300
"""How long a child may take to load the code."""

NOT_DONE = 1
"""The exit code of a worker that ended itself."""

_log = logging.getLogger(__name__)


class ExecuteRun(Task):  # type: ignore[misc] # Celery has no types
    """Executes the run of a message, in a child."""

    name = EXECUTE

    def run(self, execute_job_args_packed: dict[str, Any]) -> None:
        """Execute it; nothing is raised for a run that fails."""
        from boursomatic_assets.orchestration.dagster_patches.queue import execution

        execution.execute(execute_job_args_packed, self._refusal)

    def _refusal(self, run: Any) -> str | None:
        """Why this worker does not execute a run; such a worker is ended, since it would take others as well."""
        from boursomatic_assets.orchestration.dagster_patches import tags
        from boursomatic_assets.orchestration.workers import requirements

        me = f"the worker {self.request.hostname} refuses:"
        try:
            requirements.require_fit()
            requirements.require_same_code(run.tags.get(tags.CODE))
        except requirements.UnfitError as error:
            self.app.control.broadcast(END, arguments={"reason": str(error)}, destination=[self.request.hostname])
            return f"{me} {error}"
        return None


@control_command(name=END)  # type: ignore[untyped-decorator]
def end(_state: Any, reason: str) -> None:
    """End this worker: what it executes goes on to its end, and others take what waits."""
    _log.error("this worker ends: %s", reason)
    raise WorkerShutdown(NOT_DONE)


def work(app: Celery, load: Callable[[], object], concurrency: int, queues: Sequence[str], megabytes: int) -> int:
    """Work until a signal comes; a second one ends at once.

    Args:
        app: The application, whose broker answers.
        load: Loads in a child what runs need.
        concurrency: How many runs are executed at once.
        queues: The queues that are served.
        megabytes: The size from which a child is replaced after its run.

    Returns:
        The exit code.
    """
    signals.setup_logging.connect(_set_up_logging)
    signals.worker_process_init.connect(lambda **_: load(), weak=False)
    looking.answer(code_version())
    app.register_task(ExecuteRun())
    app.conf.worker_proc_alive_timeout = SECONDS_TO_LOAD
    app.set_current()
    worker = app.Worker(
        hostname=looking.own_name(),
        pool="prefork",
        concurrency=concurrency,
        queues=list(queues),
        max_memory_per_child=megabytes * 1024,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _set_up_logging(**_: Any) -> None:
    """Let a worker write warnings, each in one line: a broker that is away has no traceback."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(processName)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # of what is set otherwise here


class _OneLine(logging.Formatter):
    """Leaves out the tracebacks of Celery, which say nothing about the platform."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        if record.name.startswith(("celery", "kombu", "amqp")):
            record = logging.makeLogRecord(
                {**vars(record), "exc_info": None, "exc_text": None, "stack_info": None}
            )
        return super().format(record).strip()


def describe(concurrency: int, queues: Sequence[str]) -> str:
    """A worker that begins, in a sentence."""
    served = ", ".join(queues)
    return f"worker {looking.own_name()}: {concurrency} at once, queues {served}, code {code_version()}"
