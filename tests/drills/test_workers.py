"""Workers on machines of their own die, stop, and lose their broker: nothing is lost, nothing is written twice.

Each worker has a home of its own and reaches PostgreSQL over TCP. Short twins are
`tests/orchestration/workers/test_worker.py` and `tests/broker/test_app.py`; what a process does with one message
is in `tests/orchestration/workers/test_execution.py`.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from worlds import failpoints, workers
from worlds.place import FIRST, LAST, Place, place
from worlds.workers import eventually

from boursomatic_assets.orchestration.instance import CONFIG
from boursomatic_assets.tables.claims.holding import CONNECTIONS

pytestmark = [workers.needs_redis, pytest.mark.database, pytest.mark.drill, pytest.mark.slow]

TABLES = "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"
MONTH = ("--from", FIRST, "--to", "2023-01-31", "--market", "US", "--assets", "price_bars,features")
BARS, COPY, START = "instruments,price_bars", "copy COPY price_bars", "event DagsterEventType.RUN_START"
OF_BARS = """SELECT r.run_id FROM runs r JOIN run_tags t USING (run_id)
    WHERE t.key = 'boursomatic/computes' AND t.value LIKE '%price_bars%'"""
UNENDED = "SELECT run_id, status FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
WAITING = r"""SELECT substring(application_name FROM 'process (\d+) of')::int FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND wait_event = 'advisory' AND application_name LIKE 'boursomatic (process%'"""
START_SECONDS = 60
"""How long a run may take to begin, in the drill that waits for the end of it: 400 in `dagster.yaml`."""


@contextmanager
def made(folder: Path) -> Iterator[tuple[Place, workers.Redis]]:
    """A place whose runs go through a broker."""
    folder.chmod(0o711)
    with workers.redis(folder / "redis") as redis, place(folder / "home") as here:
        workers.listen_on_loopback(here)
        here.settings["BOURSOMATIC_BROKER"] = redis.address
        yield here, redis


@contextmanager
def held_worker(here: Place, name: str, point: str = COPY) -> Iterator[tuple[workers.Worker, Path]]:
    """A worker whose run holds at a point, in the middle of COPY, until its folder has a file `go on`."""
    folder = here.home.parent / f"{name} held"
    folder.mkdir()
    tests = os.pathsep.join(map(str, (failpoints.TESTS, failpoints.TESTS.parent)))
    program = (*failpoints.PROGRAM, str(folder), point)
    with workers.worker(here, name, program=program, PYTHONPATH=tests) as worker:
        yield worker, folder


def handed_over(here: Place, *words: str) -> "subprocess.Popen[str]":
    """`boursomatic backfill --queue`, as it begins."""
    return here.start("backfill", "--queue", *words)


def done(process: "subprocess.Popen[str]", seconds: float) -> str:
    """What a command says that ends well within some seconds."""
    output, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, output + errors
    return output


def digests_of_one_machine(here: Place, *words: str) -> dict[str, str]:
    """What the tables hold after the same backfill in one process, in the same database, emptied before."""
    empty(here)
    here.done("backfill", *words)
    return here.digests()


def empty(here: Place) -> None:
    """Remove all rows."""
    with here.connected() as connection:
        ((tables,),) = connection.execute(TABLES)
        connection.execute(f"TRUNCATE {tables.replace('alembic_version, ', '')}".encode())


@pytest.mark.parametrize("point", [COPY, START])
def test_a_worker_that_is_killed_is_replaced_within_a_minute(tmp_path: Path, point: str) -> None:
    """In the middle of COPY, and after it has claimed a run of which Dagster does not know yet that it began."""
    with made(tmp_path) as (here, _), workers.daemon(here):
        with held_worker(here, "killed", point) as (killed, folder):
            backfill = handed_over(here, *MONTH)
            eventually((folder / "reached").exists, 120, killed.said)
            with workers.worker(here, "other") as other:
                ((run, _, _),) = workers.claims(here)
                killed.send(signal.SIGKILL)
                began = time.monotonic()
                eventually(lambda: workers.status(here, run) == "FAILURE", 60, "nobody sees that it is gone")
                eventually(
                    lambda: len(here.rows(OF_BARS, "dagster")) == 2, 60 - (time.monotonic() - began), "no retry"
                )
                eventually(lambda: workers.claims(here), 60 - (time.monotonic() - began), "it is not begun again")
                output = done(backfill, 180 - (time.monotonic() - began))
                assert "price_bars 21 of 21" in output
                assert "is gone" in workers.events(here, run)
                assert other.end() == 0
        assert here.digests() == digests_of_one_machine(here, *MONTH)


def test_a_worker_that_stops_and_wakes_after_its_retry_is_refused_and_named(tmp_path: Path) -> None:
    with made(tmp_path) as (here, _), workers.daemon(here), held_worker(here, "stopped") as (stopped, folder):
        backfill = handed_over(here, *MONTH)
        eventually((folder / "reached").exists, 120, stopped.said)
        ((run, _, _),) = workers.claims(here)
        stopped.send(signal.SIGSTOP)
        with workers.worker(here, "other"):
            done(backfill, 400)
            assert workers.status(here, run) == "FAILURE"
            there = here.digests()
            (folder / "go on").touch()
            stopped.send(signal.SIGCONT)
            eventually(lambda: f"run {run} was given up" in stopped.said, 60, stopped.said)
            assert here.digests() == there
            assert workers.status(here, run) == "FAILURE"
        assert there == digests_of_one_machine(here, *MONTH)


def test_a_broker_that_dies_and_comes_back_empty_loses_nothing(tmp_path: Path) -> None:
    """What waits in it is launched again once its time to begin is over; what Dagster holds back waits there."""
    with made(tmp_path) as (here, redis):
        stated = yaml.safe_load(CONFIG.read_text())
        stated["run_monitoring"]["start_timeout_seconds"] = START_SECONDS
        (here.home / "dagster").mkdir(exist_ok=True)
        (here.home / "dagster" / "dagster.yaml").unlink(missing_ok=True)  # a link to the project's
        (here.home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(stated))
        week = ("2023-01-03", "2023-01-06")
        (lost,) = workers.launch(here, workers.asked(BARS, "EURONEXT", *week))
        with workers.daemon(here), workers.worker(here, "one", "--concurrency", "2", "--queues", "US"):
            backfill = handed_over(here, *MONTH)
            eventually(lambda: workers.claims(here), 120, "no run begins")
            redis.kill()
            time.sleep(30)
            assert re.search("broker: +the broker at .* does not answer", here.done("status"))
            redis.start()
            with workers.worker(here, "two", "--concurrency", "1"):
                done(backfill, 300)
                assert workers.ended(here, lost) == "FAILURE"
                again = f"SELECT run_id FROM run_tags WHERE key = 'dagster/parent_run_id' AND value = '{lost}'"
                ((retry,),) = eventually(lambda: here.rows(again, "dagster"), 120, "it is not launched again")
                assert workers.ended(here, retry, 300) == "SUCCESS"


def test_a_run_that_is_ended_in_the_ui_ends_and_its_process_takes_the_next(tmp_path: Path) -> None:
    with made(tmp_path) as (here, _), held_worker(here, "busy") as (busy, folder):
        first, second = workers.launch(
            here, *(workers.asked(BARS, "US", FIRST, day) for day in (FIRST, "2023-01-04"))
        )
        eventually((folder / "reached").exists, 120, busy.said)
        ((run, _, pid),) = workers.claims(here)
        shown = here.done("status")
        assert re.search(rf"worker: .* 1 of 1 at work, .*: {run[:8]} instruments, price_bars since", shown), shown
        workers.terminate(here, run)
        assert workers.ended(here, run) == "CANCELED"
        other = second if run == first else first
        assert workers.ended(here, other) == "SUCCESS"
        assert f"(pid: {pid})" in workers.events(here, other)
        assert busy.end() == 0


def test_a_process_that_became_too_large_is_replaced_after_its_run(tmp_path: Path) -> None:
    """The code alone is larger than 100 megabytes."""
    with (
        made(tmp_path) as (here, _),
        workers.worker(here, "small", "--concurrency", "1", "--memory", "100") as small,
    ):
        runs = workers.launch(here, *(workers.asked(BARS, market, FIRST, FIRST) for market in ("US", "EURONEXT")))
        assert [workers.ended(here, run) for run in runs] == ["SUCCESS"] * 2, small.said
        assert len({workers.process_of(here, run) for run in runs}) == 2


def test_eight_workers_share_the_server_and_one_trains(tmp_path: Path) -> None:
    """Runs have ten connections each at most; whoever waits for a version that another trains sleeps."""
    with made(tmp_path) as (here, _), ExitStack() as stack:
        here.settings["BOURSOMATIC_SIMULATED_INSTRUMENTS"] = "40"  # so that training takes a while
        here.done("backfill", "--from", FIRST, "--to", LAST, "--assets", "price_bars,features")
        for number in range(8):
            stack.enter_context(workers.worker(here, f"worker {number}"))
        days = ("2024-01-02", "2024-01-10", "2024-02-01", "2024-02-09")
        asked = [
            workers.asked("model_versions", market, day, day) for market in ("US", "EURONEXT") for day in days
        ]
        runs = workers.launch(here, *asked)
        most = longest = 0
        busiest, deadline = 0.0, time.monotonic() + 600
        while unended := here.rows(UNENDED, "dagster"):
            assert time.monotonic() < deadline, unended
            waiting = {pid: cpu_seconds(pid) for (pid,) in here.rows(WAITING)}
            most = max(
                most, here.rows("SELECT count(*) FROM pg_stat_activity WHERE client_port IS NOT NULL")[0][0]
            )
            time.sleep(0.5)
            still = {pid for (pid,) in here.rows(WAITING)} & waiting.keys()
            longest = max(longest, len(still))
            busiest = max([busiest, *(cpu_seconds(pid) - waiting[pid] for pid in still)])
        assert {workers.status(here, run) for run in runs} == {"SUCCESS"}
        assert most <= len(runs) * CONNECTIONS
        assert longest >= 3, "they did not meet"
        assert busiest < 0.25, "who waits is busy"
        assert here.rows("SELECT as_of FROM model_versions GROUP BY 1 HAVING count(*) > 1") == []
        note(f"connections at most {most}; {longest} waited at once, the busiest for {busiest:.2f} s of 0.5")


def note(line: str) -> None:
    """Say what was measured, for whoever looks on with `pytest -s`."""
    sys.stdout.write(f"{line}\n")


def cpu_seconds(pid: int) -> float:
    """How long a process has computed; 0 if it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@pytest.mark.parametrize(
    ("start", "end"),
    [pytest.param(FIRST, LAST, id="14 months"), pytest.param("2015-01-02", "2024-12-31", id="ten years")],
)
def test_two_workers_compute_what_one_does(tmp_path: Path, start: str, end: str) -> None:
    with made(tmp_path) as (here, _):
        here.settings["BOURSOMATIC_START"] = start
        seconds = []
        for names in (("one",), ("first", "second")):
            with workers.daemon(here), ExitStack() as stack:
                for name in names:
                    stack.enter_context(workers.worker(here, name))
                began = time.monotonic()
                done(handed_over(here, "--from", start, "--to", end), 3600)
                seconds.append(time.monotonic() - began)
            digests = here.digests()
            if len(names) == 1:
                of_one = digests
                empty(here)
        assert digests == of_one
        note(f"one worker {seconds[0]:.0f} s, two workers {seconds[1]:.0f} s")
