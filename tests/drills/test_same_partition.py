"""The same partition at once: both succeed, one version stands whole, and it is that of the newest question.

Every schedule of two writers is driven through the code that writes a chunk: who asks, locks, reads, copies and
commits when. Then whole commands, runs of Dagster, and commands of two hosts compute one partition at the same
time. The long drill tries all schedules, and more rounds; the short twins some, drawn by BOURSOMATIC_DRILL_SEED.
"""

import itertools
import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from worlds import kept
from worlds.failpoints import Held
from worlds.forks import ForkingPlace, import_paths
from worlds.frames import delivered_bars, insert_instruments, instruments, query_rows, slice_of
from worlds.place import PROGRAM
from worlds.platform import execute
from worlds.schedules import SCHEDULES, drive, reach, steps_installed

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.orchestration.chunk_writes import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.grains import GRAINS

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
OLD, OF_A, OF_B = 10.0, 11.0, 9.5
"""Closes, by which a version is known."""

WRITTEN = ("price_bars", "price_bar_revisions", "computed_sessions", "delivered_sessions", "rejected_bars")

ONE, BOTH = (MONDAY,), (MONDAY, TUESDAY)
RANGES = {"one session": (ONE, ONE), "in a range": (ONE, BOTH), "around one": (BOTH, ONE), "ranges": (BOTH, BOTH)}

VERSIONS = {"A": "0.9", "B": "1.1"}
"""Signals of the simulated market, by which the bars of two processes differ."""

SESSION = ("2023-12-22", "US")
COMPUTE = ("materialize", "price_bars", *SESSION)
RUN = (
    "dagster",
    "asset",
    "materialize",
    "--select",
    "instruments,price_bars",
    "-m",
    "boursomatic_assets.definitions",
)
DAGSTER_RUN = (*RUN, "--partition", "|".join(SESSION))

BARS = "SELECT i.symbol, o, h, l, c, v FROM price_bars b JOIN instruments i ON i.id = b.instrument_id ORDER BY 1"

_numbers = itertools.count()

OWN_LOCKS = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""Other tests have locks in other databases of the same server."""


def delivery(part: Slice, close: float) -> Delivery:
    dates = tuple(map(str, part.dates))
    raw = delivered_bars("ACME BOLT", *dates, c=close)
    known = instruments()
    return apply_contract(raw, part, known, "drill")


def writer(dates: tuple[str, ...], close: float, asked: list[float]) -> Callable[[], object]:
    """What the IO manager does with a chunk of bars."""

    def write() -> None:
        part, grain = slice_of("US", *dates), GRAINS["price_bars"]
        reach("ask")
        from boursomatic_assets import database

        with database.engine().connect() as connection:
            started_at = staleness.input_read_time(connection, "price_bars", part)
        asked.append(close)
        write_chunk(ChunkWrite("price_bars", grain, part, str(uuid.uuid4()), started_at), delivery(part, close))

    return write


def closes(engine: Engine, date: str) -> set[float]:
    return {close for (close,) in query_rows(engine, "SELECT c FROM price_bars WHERE ts = :date", date=date)}


def every_schedule(engine: Engine, schedules: list[str], dates: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    insert_instruments(engine)
    with steps_installed():
        for schedule in schedules:
            execute(engine, f"TRUNCATE {', '.join(WRITTEN)} CASCADE")
            writer(BOTH, OLD, [])()
            asked: list[float] = []
            writers = drive(
                engine, schedule, {"A": writer(dates[0], OF_A, asked), "B": writer(dates[1], OF_B, asked)}
            )
            assert all("commit" in one.steps for one in writers.values()), schedule
            assert closes(engine, MONDAY) == {asked[-1]}, schedule
            alone = OF_A if dates[0] == BOTH else OF_B
            both = {asked[-1]} if dates == (BOTH, BOTH) else {OLD} if dates == (ONE, ONE) else {alone}
            assert closes(engine, TUESDAY) == both, schedule
            (held,) = query_rows(engine, OWN_LOCKS)
            assert held == (0,), schedule


def test_some_schedules_of_two_writers_end_in_one_version(migrated: Engine) -> None:
    every_schedule(migrated, random.Random(SEED).sample(SCHEDULES, 12), RANGES["one session"])


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("dates", RANGES.values(), ids=RANGES)
def test_all_schedules_of_two_writers_end_in_one_version(
    migrated: Engine, dates: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    every_schedule(migrated, SCHEDULES, dates)


def delivering(place: ForkingPlace, version: str) -> None:
    """Let the commands that begin from now on be given this version of the bars."""
    place.settings["BOURSOMATIC_SIMULATED_SIGNAL"] = VERSIONS[version]


@pytest.fixture
def versions(small: ForkingPlace) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each version, when it is computed alone; afterwards there are none."""
    alone = {}
    for name in VERSIONS:
        delivering(small, name)
        small.done(*COMPUTE)
        alone[name] = small.rows(BARS)
        kept.put_back(small, "empty")
    assert alone["A"] != alone["B"]
    return alone


def both_end(small: ForkingPlace, *started: subprocess.Popen[str]) -> None:
    for process in started:
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said
    assert kept.held_by_nobody(small) == {}
    assert kept.unended(small) == {}


def test_the_newest_question_stands_whichever_command_writes_last(
    small: ForkingPlace, versions: dict[str, list[tuple[object, ...]]]
) -> None:
    """The older question is held before it writes; then two commands, and a run of Dagster's, begin at once."""
    delivering(small, "A")
    older = Held(
        small,
        small.home.parent / f"held {next(_numbers)}",
        "pg_advisory_xact_lock_shared(hashtextextended(%(name)s",
        *COMPUTE,
    )
    assert older.await_point()
    delivering(small, "B")
    small.done(*COMPUTE)
    assert small.rows(BARS) == versions["B"]
    ended = older.end()
    assert ended.returncode == 0, ended.stderr
    assert small.rows(BARS) == versions["B"]
    at_once(small, versions, COMPUTE, DAGSTER_RUN)


def at_once(
    small: ForkingPlace, versions: dict[str, list[tuple[object, ...]]], *commands: tuple[str, ...]
) -> None:
    """Start commands at the same time, each with a version; both succeed, and one version stands."""
    started = []
    for name, words in zip(VERSIONS, commands, strict=True):
        delivering(small, name)
        started.append(small.start(*words))
    both_end(small, *started)
    assert small.rows(BARS) in versions.values()


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("commands", [(COMPUTE, COMPUTE), (DAGSTER_RUN, DAGSTER_RUN), (COMPUTE, DAGSTER_RUN)])
def test_two_processes_and_two_runs_at_once(
    small: ForkingPlace,
    versions: dict[str, list[tuple[object, ...]]],
    commands: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    for _ in range(5):
        kept.put_back(small, "empty")
        at_once(small, versions, *commands)


@pytest.mark.drill
@pytest.mark.slow
def test_two_hosts_at_once(small: ForkingPlace, versions: dict[str, list[tuple[object, ...]]]) -> None:
    """In namespaces of their own, where names of hosts differ, and pids are equal."""
    if reason := no_hosts():
        pytest.skip(reason)
    small.done(*COMPUTE)
    started = []
    for name in VERSIONS:
        delivering(small, name)
        started.append(on_host(small, f"host-{name.lower()}", *COMPUTE))
    both_end(small, *started)
    assert small.rows(BARS) in versions.values()


def no_hosts() -> str:
    """Why there can be no other host here."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    tried = subprocess.run(
        ["unshare", "--uts", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip()


def on_host(place: ForkingPlace, name: str, *words: str) -> "subprocess.Popen[str]":
    """Start a command under another name of the host, as one of its first processes."""
    script = 'hostname "$1" && shift && exec "$@"'
    return subprocess.Popen(
        ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh", name,
         sys.executable, "-c", PROGRAM, *words],
        env=place.environment | {"PYTHONPATH": import_paths()},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place.home,
    )  # fmt: skip
