"""A run whose process is gone is seen, and what was given up cannot write: with processes of their own."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from sqlalchemy import Engine, text
from worlds.platform import rows

from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.database import server_time
from boursomatic_assets.tables.claims import holding, liveness
from boursomatic_assets.tables.claims.holding import GivenUpError
from boursomatic_assets.tables.staging import transaction

Seen = TypeVar("Seen")

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"

HOLDS = f"""
import sys
from sqlalchemy import text
from boursomatic_assets.tables.claims import holding
from boursomatic_assets.tables.staging import transaction
holding.BEAT_SECONDS = 0.1
with holding.held({RUN!r}):
    print("held", flush=True)
    for line in sys.stdin:
        with transaction() as connection:
            connection.execute(text("INSERT INTO instruments (id, symbol, exchange)"
                " VALUES (gen_random_uuid(), :symbol, 'NYSE')"), {{"symbol": line.strip()}})
            print("written", flush=True)
            sys.stdin.readline()
        print("committed", flush=True)
"""


@contextmanager
def process_that_holds() -> "Iterator[subprocess.Popen[str]]":
    """A process with the claim of RUN; a line of input begins a transaction, the next one commits it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDS], text=True, **pipes) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def dead(engine: Engine) -> dict[str, liveness.DeadRun]:
    with engine.connect() as connection:
        return liveness.unended_runs(connection)


def wait_until(look: Callable[[], Seen], seconds: float = 20) -> Seen:
    ends = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < ends:
        time.sleep(0.05)
    return seen


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "GONE_SECONDS", 1)
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 2)
    monkeypatch.setattr(holding, "BEAT_SECONDS", 0.1)


def test_a_process_that_lives_is_not_dead_and_one_that_ends_leaves_nothing(migrated: Engine) -> None:
    with process_that_holds() as process:
        time.sleep(3)  # longer than either limit
        assert dead(migrated) == {}
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0
    assert rows(migrated, "SELECT * FROM run_claims") == []


def test_a_process_that_was_killed_is_gone(migrated: Engine) -> None:
    with process_that_holds() as process:
        process.kill()
        process.wait()
        (found,) = wait_until(lambda: dead(migrated)).values()
    assert (found.run_id, found.pid, found.locked) == (RUN, process.pid, False)
    assert str(found).startswith(f"process {process.pid} of {os.uname().nodename} is gone, last seen at 20")


def test_a_process_that_was_stopped_is_silent_and_writes_no_more(migrated: Engine) -> None:
    """In the middle of a transaction: it is rolled back, and no other begins."""
    with process_that_holds() as process:
        say(process, "BEFORE")
        assert hear(process) == "written"
        say(process, "commit")
        assert hear(process) == "committed"
        say(process, "AFTER")
        assert hear(process) == "written"
        process.send_signal(signal.SIGSTOP)
        (found,) = wait_until(lambda: dead(migrated)).values()
        assert found.locked
        assert "is silent" in str(found)
        liveness.give_up(RUN)
        assert dead(migrated) == {}
        process.send_signal(signal.SIGCONT)
        say(process, "commit")
        assert hear(process) == ""
        assert process.stderr
        assert "AdminShutdown" in process.stderr.read()
    assert rows(migrated, "SELECT symbol FROM instruments") == [{"symbol": "BEFORE"}]


def test_what_was_given_up_between_two_transactions_begins_none(migrated: Engine) -> None:
    with process_that_holds() as process:
        liveness.give_up(RUN)
        say(process, "AFTER")
        assert hear(process) == ""
        assert process.stderr
        assert f"GivenUpError: run {RUN} was given up" in process.stderr.read()
    assert rows(migrated, "SELECT symbol FROM instruments") == []


def test_a_lost_connection_is_made_again_and_the_run_goes_on(migrated: Engine) -> None:
    """As after a restart of the server, which ends all connections."""
    with process_that_holds() as process:
        with migrated.begin() as connection:
            ended = connection.scalars(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).all()
        assert True in ended
        time.sleep(3)
        assert dead(migrated) == {}
        say(process, "AFTER")
        assert hear(process) == "written"
        say(process, "commit")
        assert hear(process) == "committed"


def test_a_run_of_this_process_is_fenced_too(migrated: Engine) -> None:
    with holding.held(RUN):
        with transaction() as connection:
            connection.execute(text("SELECT 1"))
        liveness.give_up(RUN)
        with pytest.raises(GivenUpError, match="or it was ended from outside"), transaction():
            pytest.fail("it began")
    assert rows(migrated, "SELECT run_id, epoch FROM run_claims") == [{"run_id": RUN, "epoch": 1}]


@pytest.mark.parametrize(("ahead", "said"), [(1500, "1,500 days ahead of"), (-0.1, "144 minutes behind")])
def test_with_another_clock_than_the_databases_no_run_begins(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch, ahead: float, said: str
) -> None:
    monkeypatch.setattr(server_time, "utc_now", lambda: utc_now() + dt.timedelta(days=ahead))
    refused = pytest.raises(server_time.ClockError, match=f"^the clock of this machine is {said} the database's")
    with refused, holding.held(RUN):
        pytest.fail("it began")
    assert rows(migrated, "SELECT * FROM run_claims") == []


def test_a_run_without_a_claim_has_nothing_to_give_up(migrated: Engine) -> None:
    liveness.give_up(RUN)
    assert rows(migrated, "SELECT * FROM run_claims") == []
