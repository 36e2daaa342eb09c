"""A nemesis: operations and faults at random, from a seed; invariants hold, and the end is that of a calm run.

BOURSOMATIC_NEMESIS_SECONDS says how long the drill goes on, half an hour by default, and BOURSOMATIC_DRILL_SEED
which steps it takes: the same seed takes the same ones. Its short twin takes a few.
"""

import os
import random
import time
from pathlib import Path

import pytest
from worlds import kept
from worlds.forks import ForkingPlace
from worlds.nemesis import DONE_BEFORE, History, Step, draw

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))
SECONDS = int(os.environ.get("BOURSOMATIC_NEMESIS_SECONDS", "1800"))

FEW = (
    Step(("materialize", "price_bars", "2023-12-22", "US"), "server stopped at once", 40),
    Step(("materialize", "features", "2023-12-22", "US"), "worker killed", 60),
)


def test_a_few_steps(history: ForkingPlace, tmp_path: Path) -> None:
    taken = History(history, tmp_path)
    for step in FEW:
        taken.take(step)
    ends_as_calm(history, list(FEW))


@pytest.mark.drill
@pytest.mark.slow
def test_a_nemesis(history: ForkingPlace, tmp_path: Path) -> None:
    chance, taken = random.Random(SEED), History(history, tmp_path)
    ((symbol,),) = history.rows("SELECT min(symbol) FROM instruments")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        taken.take(draw(chance, tmp_path / "backups", symbol))
    history.done("audit", "verify")
    ends_as_calm(history, taken.steps)


def ends_as_calm(place: ForkingPlace, steps: list[Step]) -> None:
    """Do the same without faults, from the same beginning, and compare the current rows."""
    found = place.digests()
    kept.put_back(place, "history")
    for step in steps:
        done = place.run(*step.words)
        assert done.returncode == 0 or DONE_BEFORE in done.stderr, f"{step}: {done.stderr}"
    assert place.digests() == found
