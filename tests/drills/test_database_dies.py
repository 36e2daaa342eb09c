"""The database dies, in each stage of each asset: the run goes on by itself, and ends as a calm one does.

The drill takes every kind of point of each asset; its short twin in `make test` takes one of each fault.
`BOURSOMATIC_DRILL_SEED` chooses other points.
"""

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from worlds.failpoints import Held, points
from worlds.forks import forking
from worlds.place import FIRST, Place, place

from boursomatic_assets.calendars.markets import MARKETS

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))
ASSETS = ("price_bars", "features", "model_versions", "recommendations", "track_record")
DAY, UNTIL = "2023-11-02", "2023-11-30"
"""A month on whose first session a version is due; the history before it is there."""


def end_backends(at: Place) -> None:
    """End every connection, as an administrator may."""
    with at.connected() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


def kill_a_backend(at: Place) -> None:
    """Kill one with SIGKILL, upon which the server ends all others and recovers."""
    with at.connected() as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row
    os.kill(row[0], 9)


FAULTS: dict[str, Callable[[Place], None]] = {
    "immediate stop": Place.stop_server,
    "server killed": Place.kill_server,
    "connections ended": end_backends,
    "backend killed": kill_a_backend,
}


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    """An empty home, whose commands are forked."""
    with place(tmp_path / "home", BOURSOMATIC_DATABASE_WAIT="120") as made, forking(made) as at:
        yield at


def kinds_of(trace: list[str]) -> dict[str, list[int]]:
    """The numbers of the points of each kind; a statement's kind is its first word."""
    kinds = defaultdict(list)
    for number, line in enumerate(trace, start=1):
        words = line.split()
        kinds[" ".join(words[1:4] if words[2] == "statement" else words[1:2])].append(number)
    return kinds


def dies(fault: str, at: Place, folder: Path, point: int | str, *words: str) -> str:
    """Hold a command at a point, let the database die, and let the command go on; returns the point."""
    held = Held(at, folder, point, *words)
    point_line = held.await_point()
    if point_line is None:  # the command had less to do this time
        return ""
    FAULTS[fault](at)
    ended = held.end()
    assert ended.returncode == 0, f"{fault} at {point_line}: {ended.stderr}"
    assert "Traceback" not in ended.stderr
    assert "[SQL" not in ended.stderr
    return point_line


def assert_nothing_is_left(at: Place) -> None:
    """Each run is over and has succeeded, no event is there twice, and nobody holds a lock or a claim."""
    assert {status for (status,) in at.rows("SELECT status FROM runs", "dagster")} == {"SUCCESS"}
    twice = (
        "SELECT dagster_event_type FROM event_logs GROUP BY run_id, event, dagster_event_type HAVING count(*) > 1"
    )
    assert at.rows(twice, "dagster") == []
    assert at.rows("SELECT run_id FROM run_claims") == []
    assert at.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


@pytest.mark.parametrize(
    ("fault", "point"),
    [
        ("immediate stop", "copy"),
        ("connections ended", "commit platform"),
        ("backend killed", "dagster statement INSERT"),
    ],
)
def test_a_run_goes_on_when_its_database_dies(fault: str, point: str, at: Place, tmp_path: Path) -> None:
    words = ("materialize", "price_bars", FIRST, "US")
    assert point in dies(fault, at, tmp_path / "held", point, *words)
    assert at.rows("SELECT count(*) FROM price_bars") == [(11,)]
    assert_nothing_is_left(at)


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.parametrize("asset", ASSETS)
def test_in_each_stage_of_each_asset(asset: str, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} {asset}")
    words = ("backfill", "--assets", asset, "--market", "US", "--from", DAY, "--to", UNTIL)
    with place(tmp_path / "home", BOURSOMATIC_DATABASE_WAIT="120") as made, forking(made) as at:
        at.done("backfill", "--from", FIRST, "--to", UNTIL)
        calm = at.digests()
        for number, numbers in enumerate(kinds_of(points(at, tmp_path / "calm", *words)).values()):
            _forget(at, asset)
            dies(chance.choice([*FAULTS]), at, tmp_path / f"{number}", chance.choice(numbers), *words)
            assert at.digests() == calm
        assert_nothing_is_left(at)


def _forget(at: Place, asset: str) -> None:
    """Delete the month's rows of the market, so that there is something to write; what is kept for ever stays."""
    if asset in ("price_bars", "features", "track_record"):
        with at.connected() as connection:
            connection.execute(
                f"DELETE FROM {asset} d USING instruments i WHERE i.id = d.instrument_id"
                f" AND i.exchange <> 'EURONEXT' AND d.ts >= '{DAY}'".encode()
            )


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.parametrize("seconds", [0.2, 5, 60])
def test_a_server_that_is_away_for_a_while(seconds: float, at: Place, tmp_path: Path) -> None:
    """A server of somebody's own, whom the platform waits for."""
    at.address_server()
    held = Held(at, tmp_path / "held", "commit platform", "backfill", "--from", FIRST, "--to", "2023-02-28")
    assert held.await_point()
    at.stop_server()
    held.go_on()
    time.sleep(seconds)
    assert not at.is_up()
    at.start_server()
    ended = held.end()
    assert ended.returncode == 0, ended.stderr
    assert "connected after " in ended.stderr
    assert ("waits for the database, for 120 s at most: " in ended.stderr) == (seconds > 4)
    assert_nothing_is_left(at)


def test_a_server_that_stays_away_is_named(at: Place, tmp_path: Path) -> None:
    """In one sentence and after the stated time; the run is over once the server is back."""
    at.settings["BOURSOMATIC_DATABASE_WAIT"] = "1"
    at.address_server()
    held = Held(at, tmp_path / "held", "copy", "materialize", "price_bars", FIRST, "US")
    assert held.await_point()
    at.stop_server()
    ended = held.end()
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "[SQL" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("error: the server at ")
    assert last.endswith("does not answer (No such file or directory): start it, or correct DATABASE_URL")
    at.start_server()
    assert at.rows("SELECT count(*) FROM price_bars") == [(0,)]
    assert at.done("materialize", "price_bars", FIRST, "US")


@pytest.mark.parametrize(
    ("runs", "connections"), [(3, 12), pytest.param(16, 20, marks=[pytest.mark.slow, pytest.mark.drill])]
)
def test_more_runs_than_the_server_has_connections_for(runs: int, connections: int, at: Place) -> None:
    """They wait for one another, asleep, and all of them succeed."""
    at.settings["BOURSOMATIC_DATABASE_WAIT"] = "1200"
    with at.connected() as connection:
        connection.execute(f"ALTER SYSTEM SET max_connections = {connections}".encode())
    at.stop_server()
    at.start_server()
    days = [str(day) for day in MARKETS["US"].sessions() if str(day) >= FIRST][:runs]
    started = [at.start("materialize", "price_bars", day, "US") for day in days]
    for process in started:
        _, errors = process.communicate(timeout=1500)
        assert process.returncode == 0, errors
    assert_nothing_is_left(at)
