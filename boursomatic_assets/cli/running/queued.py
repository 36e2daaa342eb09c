"""A backfill that the daemon carries out: handed over, and shown until it is over.

What belongs here: what a person sees of it meanwhile, and its end. Kept elsewhere: storing and reading it
(`orchestration/dagster_patches/command_backfills.py`), which runs there are without a queue (`launching.py`).

Its runs are those of a backfill from the UI: on this machine, or on workers where a broker is set.
"""

import time
from collections.abc import Sequence

import click
import dagster as dg

from boursomatic_assets.cli.running import interrupts
from boursomatic_assets.cli.running.progress import ProgressLines
from boursomatic_assets.cli.running.progress import shown as progress_lines
from boursomatic_assets.orchestration.dagster_patches import command_backfills
from boursomatic_assets.orchestration.dagster_patches.command_backfills import State

LOOK_SECONDS = 2.0

ABSENT = "warning: no daemon lives, which would begin its runs: start `boursomatic dev`, or the daemon's service"

GOES_ON_ALONE = "stopped looking: what was handed over goes on, and its page in the UI cancels it"

WAITS = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
GOES_ON = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


def hand_over(
    definitions: dg.Definitions, assets: Sequence[str], keys: Sequence[str], tags: dict[str, str]
) -> None:
    """Let the daemon carry out a backfill, and show how far it is, until it is over.

    Raises:
        RuntimeError: It is over, and not all of it is done.
        SystemExit: Ctrl-C ends the looking; the backfill goes on.
    """
    began = time.monotonic()
    with (
        dg.DagsterInstance.get() as instance,
        progress_lines() as lines,
        interrupts.stoppable(lambda: GOES_ON_ALONE, lines.stream),
    ):
        backfill = command_backfills.create_backfill(definitions, instance, assets, keys, tags)
        lines.show(f"backfill {backfill}: {len(keys):,} partitions of {', '.join(assets)}")
        if not command_backfills.daemon_lives(instance):
            lines.show(ABSENT)
        state = _watch(instance, backfill, assets, lines)
    click.echo(f"backfill {backfill}: {describe(state)}, {time.monotonic() - began:,.1f} s")
    if not state.success:
        raise RuntimeError(_failure(backfill, state))


def _watch(instance: dg.DagsterInstance, backfill: str, assets: Sequence[str], lines: ProgressLines) -> State:
    last = ""
    while not (state := command_backfills.read_state(instance, backfill, assets)).over:
        if (line := describe(state)) != last:
            lines.show(f"        {line}")
        last = line
        time.sleep(LOOK_SECONDS)
    lines.clear()
    return state


def describe(state: State) -> str:
    """How far a backfill is, in a line."""
    parts = [f"{asset} {done:,} of {of:,}" for asset, (done, of) in state.partitions.items()]
    words = {
        "wait": sum(state.runs[status] for status in WAITS),
        "go on": sum(state.runs[status] for status in GOES_ON),
        "done": state.runs[dg.DagsterRunStatus.SUCCESS],
        "failed": state.runs[dg.DagsterRunStatus.FAILURE],
    }
    counts = ", ".join(f"{count:,} {word}" for word, count in words.items() if count)
    return "; ".join([", ".join(parts) or "not begun", f"runs: {counts or 'none yet'}"])


def _failure(backfill: str, state: State) -> str:
    named = ", ".join(run.run_id[:8] for run in state.failed[:5])
    return f"not all of the backfill {backfill} is done" + (
        f": see the runs {named} in the UI" if named else ", it was cancelled, or its daemon failed: see the UI"
    )
