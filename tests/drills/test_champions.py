"""One champion, always: processes promote, roll back and let the gate judge at random, and one version is active.

Each looks after each of its decisions, and a reader all the time. Afterwards the log tells one story: the active
version is that of the last decision that names one, each decision of a person changed the champion, and
`audit verify` finds every row as it was written. BOURSOMATIC_DRILL_SEED draws the decisions.
"""

import json
import os
import subprocess
import sys
import threading

import pytest
from sqlalchemy import Engine
from worlds.challengers import admit_challengers, skilled_challenger
from worlds.commands import boursomatic
from worlds.forks import import_paths
from worlds.frames import query_rows

from boursomatic_assets.registry import decisions

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))

LOOK = (
    "SELECT array_agg(version) FILTER (WHERE is_active), array_agg(version) FILTER (WHERE id = ("
    f"{decisions.ACTIVE_VERSION_ID.element.compile(compile_kwargs={'literal_binds': True})})) FROM model_versions"
)
"""In one statement: the active versions, and that which the log names."""


def test_one_version_is_active_at_every_moment(migrated: Engine) -> None:
    storm(migrated, writers=2, steps=6)


@pytest.mark.drill
@pytest.mark.slow
def test_one_version_is_active_in_a_long_storm(migrated: Engine) -> None:
    storm(migrated, writers=4, steps=150)


def storm(engine: Engine, writers: int, steps: int) -> None:
    """Let the writers decide so often each, and look meanwhile."""
    admit_challengers(skilled_challenger())
    over, wrong, looks = threading.Event(), list[object](), 0

    def read() -> None:
        nonlocal looks
        while not over.is_set():
            (seen,) = query_rows(engine, LOOK)
            looks += 1
            if seen[0] is None or len(seen[0]) != 1 or seen[0] != seen[1]:
                wrong.append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    started = [start(SEED * writers + number, steps) for number in range(writers)]
    try:
        ended = [(*writer.communicate(timeout=900), writer.returncode) for writer in started]
    finally:
        over.set()
        reader.join()
    assert [(code, errors) for _, errors, code in ended if code] == []
    told = [json.loads(output) for output, *_ in ended]
    assert [one["seen"] for one in told] == [[]] * writers
    done = sum(times for one in told for kind, times in one["done"].items() if kind != "nothing")
    assert (wrong, looks > steps) == ([], True)
    tells_one_story(engine, done)


def start(seed: int, steps: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "worlds.deciders", str(seed), str(steps)],
        env=os.environ | {"PYTHONPATH": import_paths()},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def tells_one_story(engine: Engine, done: int) -> None:
    """The log has every decision, in an order in which each follows from those before."""
    with engine.connect() as connection:
        log = decisions.read_log(connection)
    assert len(log.decisions) == done + 1
    assert log.active_version
    active = query_rows(engine, "SELECT version FROM model_versions WHERE is_active")
    assert active == [(log.active_version.version,)]
    made = sorted(log.decisions, key=lambda decision: decision.decided_at)
    assert len({decision.decided_at for decision in made}) == len(made)
    for decision in made:
        if decision.decided_by == "ann":
            assert decision.champion
            former = decision.numbers["versions"]["champion"]
            assert decision.champion.version == decision.numbers["versions"]["challenger"] != former
    verified = boursomatic("audit", "verify")
    assert verified.exit_code == 0, verified.output
