"""Workers: a Redis server, and workers with homes of their own, beside a place whose server they reach over TCP.

What belongs here: starting and ending them, runs that are launched to them, and what is seen of those. Kept
elsewhere: the place (`place.py`), the daemon with its UI (`ui.py`).
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded.cluster import find_cluster
from boursomatic_assets.orchestration.instance import CONFIG, WORKSPACE
from worlds.place import PROGRAM, Place
from worlds.ui import free_port

Seen = TypeVar("Seen")

_numbers = itertools.count(1)

REDIS = shutil.which("redis-server")
PASSWORD, CORE = "s3cret-of@the:broker/%'é", "s3cret-of"
"""The broker's password, and the part of it that is written alike in any encoding."""

needs_redis = pytest.mark.skipif(
    REDIS is None, reason="redis-server is not installed: apt-get install redis-server"
)

LAUNCH = """
import json, sys, uuid
import dagster as dg
from boursomatic_assets.cli.common import make_dagster_home
from boursomatic_assets.definitions import defs
from boursomatic_assets.orchestration.dagster_patches import command_runs
from boursomatic_assets.orchestration.instance import WORKSPACE
make_dagster_home()
with dg.DagsterInstance.get() as instance:
    for assets, tags in json.loads(sys.argv[1]):
        chosen, job = frozenset(map(dg.AssetKey, assets)), defs.resolve_job_def("market_session")
        run = command_runs.create_run(job, chosen, str(uuid.uuid4()), instance, tags, WORKSPACE)
        instance.launch_run(run.run_id, None)
        print(run.run_id)
"""


TERMINATE = """
import sys
import dagster as dg
from boursomatic_assets.cli.common import make_dagster_home
make_dagster_home()
with dg.DagsterInstance.get() as instance:
    assert instance.run_coordinator.cancel_run(sys.argv[1])
"""


@dataclass
class Redis:
    """A Redis server that keeps nothing on a disk: restarted, it is empty."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Its address, with its password."""
        return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert REDIS
        words = [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
        words += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        eventually(self.listens, 20, "Redis does not listen")

    def listens(self) -> bool:
        """Whether it takes connections."""
        with contextlib.closing(socket.socket()) as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Kill it, with all that it keeps."""
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """A running Redis server."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Redis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Worker:
    """A worker in a process group of its own, with its own home, and a log."""

    name: str
    home: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        """What it has written."""
        return self.log.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to its children, as to a whole machine."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self) -> int:
        """Let it end what it executes, and end; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(60)
        finally:
            self.send(signal.SIGKILL)


def listen_on_loopback(here: Place) -> None:
    """Let the place's server listen on TCP too, and let commands reach it so, as those of other machines do.

    The port is the same for all embedded servers, so each has an address of its own.
    """
    address = f"127.{os.getpid() % 250 + 1}.{next(_numbers)}.1"
    with here.connected() as connection:
        connection.execute(f"ALTER SYSTEM SET listen_addresses = '{address}'".encode())
    with (find_cluster(here.home).data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 127.0.0.0/8 scram-sha-256\n")
    here.stop_server()
    server = embedded.ensure_running(here.home)
    here.settings["DATABASE_URL"] = (
        f"postgresql://{server.user}@{address}:{server.port}/boursomatic?passfile={server.passfile}"
    )


def environment_of(here: Place, home: Path, **settings: str) -> dict[str, str]:
    """The environment of another machine: its home has the same models, since there is one store."""
    home.mkdir(parents=True, exist_ok=True)
    (here.home / "models").mkdir(exist_ok=True)
    if not (home / "models").exists():
        (home / "models").symlink_to(here.home / "models")
    return {**here.environment, "BOURSOMATIC_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), **settings}


@contextmanager
def worker(
    here: Place, name: str, *options: str, program: tuple[str, ...] = ("-c", PROGRAM), **settings: str
) -> Iterator[Worker]:
    """A worker beside a place, once it has begun; of one process, if no options say otherwise."""
    home, log = here.home.parent / name, here.home.parent / f"{name}.log"
    words = [sys.executable, *program, "worker", *(options or ("--concurrency", "1"))]
    with log.open("w") as output:
        process = subprocess.Popen(
            words, env=environment_of(here, home, **settings), stdout=output, stderr=output,
            start_new_session=True, cwd=here.home.parent,
        )  # fmt: skip
    started = Worker(name, home, process, log)
    try:
        eventually(lambda: process.poll() is not None or ", code " in started.said, 60, f"{name} does not begin")
        assert process.poll() is None, started.said
        yield started
    finally:
        started.send(signal.SIGCONT)
        started.send(signal.SIGKILL)
        process.wait(60)


@contextmanager
def daemon(here: Place, **settings: str) -> Iterator[Path]:
    """Dagster's daemon of a place, with its log."""
    log = here.home.parent / "daemon.log"
    (here.home / "dagster").mkdir(mode=0o700, exist_ok=True)
    if not (here.home / "dagster" / "dagster.yaml").exists():
        (here.home / "dagster" / "dagster.yaml").symlink_to(CONFIG)
    program = Path(sys.executable).with_name("dagster-daemon")
    given = environment_of(here, here.home, **settings)
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "run", "-w", WORKSPACE], env=given, stdout=output, stderr=output,
            start_new_session=True, cwd=here.home,
        )  # fmt: skip
    try:
        yield log
    finally:
        process.terminate()
        process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def asked(assets: str, market: str, first: str, last: str, **tags: str) -> tuple[list[str], dict[str, str]]:
    """A run of some assets over a range, to be launched."""
    ends = {"start": first, "end": last}
    keys = {f"dagster/asset_partition_range_{end}": f"{day}|{market}" for end, day in ends.items()}
    return assets.split(","), keys | tags


def launch(here: Place, *runs: tuple[list[str], dict[str, str]]) -> list[str]:
    """Launch runs as the daemon does; their ids."""
    result = here.run(json.dumps(runs), program=("-c", LAUNCH))
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def terminate(here: Place, run: str) -> None:
    """End a run as the UI does."""
    result = here.run(run, program=("-c", TERMINATE))
    assert result.returncode == 0, result.stderr


def status(here: Place, run: str) -> str:
    """What Dagster says of a run."""
    return str(here.rows(f"SELECT status FROM runs WHERE run_id = '{run}'", "dagster")[0][0])


def events(here: Place, run: str) -> str:
    """All that Dagster has stored of a run's events."""
    return "\n".join(
        row[0] for row in here.rows(f"SELECT event FROM event_logs WHERE run_id = '{run}'", "dagster")
    )


def process_of(here: Place, run: str) -> int:
    """The process that executed a run, as Dagster knows it."""
    found = re.search(r"Started process for run \(pid: (\d+)\)", events(here, run))
    assert found
    return int(found[1])


def ended(here: Place, run: str, seconds: float = 120) -> str:
    """The status of a run once it is over."""
    over = ("SUCCESS", "FAILURE", "CANCELED")
    return eventually(lambda: (now := status(here, run)) in over and now, seconds, f"run {run} does not end") or ""


def eventually(look: Callable[[], Seen], seconds: float, what: str) -> Seen:
    """What is seen, once it is."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return seen


def claims(here: Place) -> list[tuple[Any, ...]]:
    """The run, the machine and the process of each claim."""
    return here.rows("SELECT run_id, host, pid FROM run_claims")
