"""Dead runs: those that are not over for Dagster, though their process does not live.

What belongs here: finding them, and ending them by hand. Kept elsewhere: how a process shows that it lives
(`tables/claims/`), the daemon that ends them by itself (`dagster_patches/launcher.py`).
"""

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.tables.claims import liveness
from boursomatic_assets.tables.claims.liveness import DeadRun

GOING_ON = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def going_on(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that are not over for Dagster, the newest first."""
    return list(instance.get_runs(dg.RunsFilter(statuses=GOING_ON)))


def find(instance: dg.DagsterInstance) -> list[tuple[dg.DagsterRun, DeadRun]]:
    """The dead runs with what is known of their process, the oldest first."""
    with database.engine().connect() as connection:
        dead = liveness.dead_runs(connection)
    if not dead:
        return []
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=list(dead), statuses=GOING_ON))}
    return [(runs[run_id], found) for run_id, found in dead.items() if run_id in runs]


def end_all(instance: dg.DagsterInstance, reason: str) -> int:
    """End whatever went on in another place, of which this one is a copy: no process of it lives here.

    Returns:
        How many runs failed by it.
    """
    liveness.give_up_all()
    runs = going_on(instance)
    for run in runs:
        instance.report_run_failed(run, f"{reason}. What it had not committed is not there")
    return len(runs)


def end(instance: dg.DagsterInstance) -> dict[str, DeadRun]:
    """Give the dead runs up, and let those that are not over fail with the reason; the daemon may retry them.

    A process that is killed as it ends leaves the claim of a run that is over already: it is given up too.
    """
    with database.engine().connect() as connection:
        dead = liveness.dead_runs(connection)
    runs = {run.run_id: run for run in going_on(instance)}
    ended = {run_id: found for run_id, found in dead.items() if run_id in runs or not found.given_up}
    for run_id, found in ended.items():
        liveness.give_up(run_id)
        if run := runs.get(run_id):
            instance.report_run_failed(run, f"{found}. What it had not committed is rolled back")
    return ended
