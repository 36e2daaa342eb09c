"""A real daemon and webserver over a throw-away server, asked as the UI asks.

What belongs here: starting both, launching a backfill by GraphQL, waiting for its end.
Kept elsewhere: what is measured with them (`bookkeeping.py`, `backfill.py`, `market_day.py`).
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boursomatic_assets.orchestration.instance import CONFIG, ensure_dagster_home

ASSETS = ("instruments", "price_bars", "features", "model_versions", "recommendations", "track_record")
LAUNCH = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status } ... on PythonError { message } } }"""
NEWEST = """{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { id } } } }"""
RUNS = """query ($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    ... on Runs { results { runId status startTime endTime assetSelection { path } } } } }"""


class Daemon:
    """A webserver on loopback, with a daemon beside it."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.address, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return next(iter(found["data"].values()))

    def backfill(self, keys: list[str], assets: tuple[str, ...] = ASSETS) -> tuple[float, list[dict[str, Any]]]:
        """Launch a backfill from the assets' page and wait for it: seconds, and its runs."""
        began = time.perf_counter()
        params = {"partitionNames": keys, "assetSelection": [{"path": [name]} for name in assets]}
        launched = self.ask(LAUNCH, params=params | {"fromFailure": False})
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        identifier = launched["backfillId"]
        while (status := self.ask(STATUS, id=identifier)["status"]) in ("REQUESTED", "IN_PROGRESS"):
            time.sleep(0.2)
        seconds = time.perf_counter() - began
        assert status == "COMPLETED_SUCCESS", status
        runs = self.ask(RUNS, id=identifier)["results"]
        assert {run["status"] for run in runs} == {"SUCCESS"}
        return seconds, runs

    def newest_backfill(self) -> str:
        """The identifier of the backfill that was launched last."""
        return str(self.ask(NEWEST)["results"][0]["id"])


@contextlib.contextmanager
def daemon() -> Iterator[Daemon]:
    """Both processes, on the server of BOURSOMATIC_HOME; ended afterwards."""
    os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    workspace = str(CONFIG.parent / "workspace.yaml")
    commands = (
        [programs / "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", workspace],
        [programs / "dagster-daemon", "run", "-w", workspace],
    )
    log = Path(os.environ["DAGSTER_HOME"], "bench.log").open("wb")  # noqa: SIM115 - open as long as they run
    started = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
    try:
        found = Daemon(port)
        while True:
            with contextlib.suppress(OSError):
                found.ask("{ version }")
                break
            time.sleep(0.5)
        yield found
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=60)
        log.close()
