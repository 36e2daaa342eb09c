"""`boursomatic runs`: what goes on, and what is dead.

What belongs here: the commands and what they show. Kept elsewhere: which runs are dead
(`orchestration/dead_runs.py`).
"""

import click

from boursomatic_assets.cli.common import make_dagster_home, one_line_errors, require_current_schema


@click.group(invoke_without_command=True)
@click.pass_context
@one_line_errors
def runs(context: click.Context) -> None:
    """Runs that go on, each with its process, and those whose process is dead."""
    if context.invoked_subcommand:
        return
    require_current_schema()
    make_dagster_home()
    import dagster as dg

    from boursomatic_assets.cli.views.text import as_lines
    from boursomatic_assets.orchestration import dead_runs
    from boursomatic_assets.orchestration.dagster_patches import tags

    with dg.DagsterInstance.get() as instance:
        dead = {run.run_id: found for run, found in dead_runs.find(instance)}
        going_on = dead_runs.going_on(instance)
    rows = [
        {
            "run": run.run_id[:8],
            "sessions": run.tags.get("boursomatic/sessions") or run.tags.get(tags.PARTITION, ""),
            "computes": run.tags.get(tags.COMPUTES, run.job_name),
            "state": str(dead.get(run.run_id, "")) or run.status.value.lower(),
        }
        for run in going_on
    ]
    click.echo(as_lines(rows) if rows else "no run goes on")


@runs.command("end-dead")
@one_line_errors
def end_dead() -> None:
    """End the runs whose process is dead, as failed.

    The daemon does so within a minute. What they had not committed is rolled back, and a process that wakes later
    cannot write.
    """
    require_current_schema()
    make_dagster_home()
    import dagster as dg

    from boursomatic_assets.orchestration import dead_runs

    with dg.DagsterInstance.get() as instance:
        ended = dead_runs.end(instance)
    for run_id, found in ended.items():
        click.echo(f"{run_id[:8]} is ended: {found}")
    if not ended:
        click.echo("no run is dead")
