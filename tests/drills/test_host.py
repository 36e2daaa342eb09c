"""The host dies: a run's process, the daemon, the webserver, or all of `boursomatic dev`.

Promise: after `boursomatic dev` is started again the queue moves within a minute, nothing is "started" for ever,
and what a backfill asked for is retried and done.

The short twin is `tests/end_to_end/test_webserver.py`, where `dev` and its daemon are killed, and
`tests/end_to_end/test_dead_runs.py`, where a run is.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from worlds import ui
from worlds.place import FIRST, Place, place
from worlds.ui import ask, eventually_gone, members

from boursomatic_assets.calendars.markets import MARKETS

pytestmark = [pytest.mark.drill, pytest.mark.slow]

BACKFILL = """mutation { answer: launchPartitionBackfill(backfillParams: {
    assetSelection: [{path: ["instruments"]}, {path: ["price_bars"]}, {path: ["features"]}],
    partitionNames: %s}) {
    __typename ... on LaunchBackfillSuccess { id: backfillId } ... on PythonError { message } } }"""
STATUS = "{ partitionBackfillOrError(backfillId: %s) { ... on PartitionBackfill { status } } }"
RUNS = "SELECT status, run_id FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
RUN_PROCESS = "spawn_main"
SESSIONS = 60
COMPUTED = "SELECT count(DISTINCT ts) FROM features f JOIN instruments i ON i.id = f.instrument_id"


@contextmanager
def dev(here: Place, log: Path) -> "Iterator[tuple[int, subprocess.Popen[bytes]]]":
    """A running `boursomatic dev` and its port; its whole session is killed with the context."""
    with ui.dev(log, environment=here.environment) as (port, process):
        try:
            yield port, process
        finally:
            kill(*members(process.pid))


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(pid, signal.SIGKILL)


def asked(port: int, query: str) -> Any:
    status, body = ask(port, query)
    assert status == 200, body
    return json.loads(body)["data"]


def sessions() -> list[str]:
    days = [day for day in map(str, MARKETS["US"].sessions().tolist()) if day >= FIRST][:SESSIONS]
    return [f"{day}|US" for day in days]


def eventually(seen: Any, seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
    return found


@pytest.mark.parametrize("what", ["run", "daemon", "webserver", "all"])
def test_after_a_new_start_everything_that_was_asked_for_is_done(tmp_path: Path, what: str) -> None:
    with place(tmp_path / "home", BOURSOMATIC_SIMULATED_INSTRUMENTS="300") as here:  # so that a run takes a while
        with dev(here, tmp_path / "first") as (port, process):
            answer = asked(port, BACKFILL % json.dumps(sessions()))["answer"]
            assert answer["__typename"] == "LaunchBackfillSuccess", answer
            eventually(lambda: here.rows("SELECT run_id FROM run_claims"), 120, "no run begins")
            victims = {pid: line for pid, line in members(process.pid).items() if is_victim(what, line)}
            assert victims, members(process.pid)
            kill(*victims)
            if what == "run":
                await_end(here, port, answer["id"])
                return
            assert process.wait(60) in (1, -signal.SIGKILL)
            if what == "all":
                assert eventually_gone(process.pid, 5) == {}
        waiting = here.rows(RUNS, "dagster")
        with dev(here, tmp_path / "second") as (port, _):
            began = time.monotonic()
            ids = {run for _, run in waiting}
            eventually(
                lambda: not ids or {(state, run) for state, run in here.rows(RUNS, "dagster")} != set(waiting),
                60,
                "the queue does not move",
            )
            assert time.monotonic() - began < 60
            await_end(here, port, answer["id"])


def is_victim(what: str, line: str) -> bool:
    """Whether a command line is one of those that are to be killed."""
    words = {"run": RUN_PROCESS, "daemon": "dagster-daemon", "webserver": "dagster-webserver", "all": ""}
    return words[what] in line


def await_end(here: Place, port: int, backfill: str) -> None:
    """Wait for the end of a backfill: all of it is done, and no run goes on."""
    done = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED", "COMPLETED")
    query = STATUS % json.dumps(backfill)
    status = eventually(
        lambda: (found := asked(port, query)["partitionBackfillOrError"]["status"]) in done and found,
        400,
        "the backfill does not end",
    )
    assert status == "COMPLETED_SUCCESS"
    assert here.rows(RUNS, "dagster") == []
    assert here.rows(COMPUTED)[0][0] == SESSIONS
