"""A nemesis: operations and faults at random, from a seed; invariants hold, and the end is that of a calm run.

BOURSOMATIC_NEMESIS_SECONDS says how long the drill goes on, half an hour by default, and BOURSOMATIC_DRILL_SEED
which steps it takes: the same seed takes the same ones. Its short twin takes a few.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worlds import kept
from worlds.disks import Disk, disk
from worlds.forks import ForkingPlace
from worlds.nemesis import DONE_BEFORE, TABLES, History, Step, draw

from boursomatic_assets.database import embedded

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))
SECONDS = int(os.environ.get("BOURSOMATIC_NEMESIS_SECONDS", "1800"))

FEW = (
    Step(("materialize", "price_bars", "2023-12-22", "US"), "server stopped at once", 40),
    Step(("materialize", "features", "2023-12-22", "US"), "worker killed", 60),
    Step(("materialize", "price_bars", "2023-12-27", "EURONEXT"), "disk full", 50),
)


def test_a_few_steps(history: ForkingPlace, tmp_path: Path) -> None:
    with tables_apart(history) as tables:
        taken = History(history, tmp_path, tables)
        for step in FEW:
            taken.take(step)
        ends_as_calm(history, list(FEW))


@pytest.mark.drill
@pytest.mark.slow
def test_a_nemesis(history: ForkingPlace, tmp_path: Path) -> None:
    chance, deadline = random.Random(SEED), time.monotonic() + SECONDS
    ((symbol,),) = history.rows("SELECT min(symbol) FROM instruments")
    with tables_apart(history) as tables:
        taken = History(history, tmp_path, tables)
        while time.monotonic() < deadline:
            taken.take(draw(chance, tmp_path / "backups", symbol))
        history.done("audit", "verify")
        ends_as_calm(history, taken.steps)


@contextmanager
def tables_apart(place: ForkingPlace) -> Iterator[Disk]:
    """Let the server's tables lie on a disk of their own, which can be full."""
    embedded.stop(place.home)
    try:
        with disk(place.home / TABLES) as tables:
            yield tables
            embedded.stop(place.home)
    finally:
        embedded.stop(place.home)


def ends_as_calm(place: ForkingPlace, steps: list[Step]) -> None:
    """Do the same without faults, from the same beginning, and compare the current rows."""
    found = place.digests()
    kept.put_back(place, "history")
    for step in steps:
        done = place.run(*step.words)
        assert done.returncode == 0 or DONE_BEFORE in done.stderr, f"{step}: {done.stderr}"
    assert place.digests() == found
