"""Runs of the command line, stored as the webserver stores those of the UI.

What belongs here: a run with the origin that the pages ask for, and its execution in this process. It is no patch
for speed: it is the same on every version of Dagster and with `BOURSOMATIC_STOCK_DAGSTER=1`.
Kept elsewhere: which runs there are (`cli/launching.py`), where the workspace's file is (`instance.py`).

Dagster's own `execute_in_process` stores neither where a job comes from nor which assets were chosen: such a run
is missing on the home page and on its job's page, and cannot be executed again there.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution import compute_logs
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.snap import snapshot_from_execution_plan
from dagster._core.workspace.load import location_origins_from_yaml_paths

REPOSITORY, ATTRIBUTE = "__repository__", "defs"
"""What Dagster calls the repository of a module's definitions, and what the module calls them."""

INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""With this the command line shows its own lines alone; the run is stored without it."""


def create_run(
    job: dg.JobDefinition,
    assets: frozenset[dg.AssetKey],
    run_id: str,
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    workspace: Path,
) -> dg.DagsterRun:
    """Store a run of some assets of a job and of all their checks, as a page would launch it.

    Args:
        job: The whole job, as the workspace's definitions have it.
        assets: What the run computes.
        run_id: The run's id, a new UUID.
        instance: The instance that stores it.
        tags: The run's own tags; those of the job are added.
        workspace: The file that names the code location.
    """
    chosen = job.get_subset(asset_selection=assets)
    reference = instance.get_ref() if instance.is_persistent else None
    plan = create_execution_plan(InMemoryJob(chosen), run_config={}, instance_ref=reference)
    return instance.create_run(
        job_name=job.name,
        run_id=run_id,
        run_config={},
        status=None,
        tags={**chosen.run_tags, **tags},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=snapshot_from_execution_plan(plan, chosen.get_job_snapshot_id()),
        job_snapshot=chosen.get_job_snapshot(),
        parent_job_snapshot=chosen.get_parent_job_snapshot(),
        asset_selection=assets,
        asset_check_selection=None,
        resolved_op_selection=None,
        op_selection=None,
        asset_graph=chosen.asset_layer.asset_graph,
        **_origins(job.name, workspace),
    )


def execute(job: dg.JobDefinition, run: dg.DagsterRun, instance: dg.DagsterInstance) -> Iterator[dg.DagsterEvent]:
    """Execute a stored run in this process, and yield its events; nothing is raised for a step that fails."""
    with _helpers_apart():
        yield from execute_run_iterator(InMemoryJob(job), run._replace(run_config=QUIET), instance)


@contextmanager
def _helpers_apart() -> Iterator[None]:
    """Start the processes that mirror a step's output in groups of their own.

    A terminal sends Ctrl-C to the whole group of the command, and they would answer it with tracebacks.
    """
    names = vars(compute_logs)
    theirs = names["subprocess"]
    names["subprocess"] = SimpleNamespace(Popen=partial(theirs.Popen, process_group=0))
    try:
        yield
    finally:
        names["subprocess"] = theirs


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether an event says that a step was interrupted; the run ends after it."""
    error = event.step_failure_data.error if event.is_step_failure else None
    while error and error.cls_name not in INTERRUPTS:
        error = error.cause
    return error is not None


def mark_cancelled(run_id: str, instance: dg.DagsterInstance) -> None:
    """Say of a run that goes no further that it was cancelled, if it was stored and is not over."""
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_canceling(run)
        instance.report_run_canceled(run)


def _origins(job: str, workspace: Path) -> dict[str, Any]:
    """Where the pages and a process find a job's code, as arguments of `create_run`."""
    (location,) = location_origins_from_yaml_paths([str(workspace)])
    module = str(location.loadable_target_origin.module_name)
    code = RepositoryPythonOrigin(
        sys.executable,
        ModuleCodePointer(module, ATTRIBUTE, str(Path.cwd())),
        entry_point=DEFAULT_DAGSTER_ENTRY_POINT,
    )
    return {
        "remote_job_origin": RemoteJobOrigin(RemoteRepositoryOrigin(location, REPOSITORY), job),
        "job_code_origin": JobPythonOrigin(job, code),
    }
