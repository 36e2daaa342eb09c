"""Fixtures of drills: a place of their own, whose commands are forked, in the states that drills begin with.

A drill that breaks the server itself makes a place of its own (`worlds/place.py`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HOME, remove_home
from worlds import kept
from worlds.forks import ForkingPlace, forking
from worlds.place import FIRST, LAST, Place

GONE = "boursomatic_assets.tables.claims.liveness.GONE_SECONDS"

DUE, DUE_BEFORE = "2024-01-02", "2023-12-01"
"""The newest due date whose version the long history lacks, and the one before."""


@pytest.fixture(scope="session")
def drilled() -> Iterator[ForkingPlace]:
    """One place for all drills of a process, in the folder of the run; it is kept empty, and with a history."""
    folder = Path(os.environ[HOME]) / f"drills {os.getpid()}"
    home = folder / "home"
    home.mkdir(mode=0o711, parents=True)
    folder.chmod(0o711)
    try:
        with forking(Place(home)) as place:
            place.done("db", "upgrade")
            kept.durable_enough(place)
            kept.keep(place, "empty")
            yield place
    finally:
        remove_home(home)


@pytest.fixture
def small(drilled: ForkingPlace) -> Iterator[ForkingPlace]:
    """The place, empty."""
    yield from _as_it_was(drilled, "empty")


@pytest.fixture(scope="session")
def with_history(drilled: ForkingPlace) -> str:
    """The name of the state with a year of bars and features, versions but for the last, and some advice."""
    kept.put_back(drilled, "empty")
    drilled.done("backfill", "--from", FIRST, "--to", LAST, "--assets", "price_bars,features")
    drilled.done("materialize", "model_versions", DUE_BEFORE, "US")
    week = ("--from", "2023-12-18", "--to", "2023-12-22")
    drilled.done("backfill", *week, "--assets", "recommendations,track_record")
    kept.keep(drilled, "history")
    return "history"


@pytest.fixture
def history(drilled: ForkingPlace, with_history: str) -> Iterator[ForkingPlace]:
    """The place with its history."""
    yield from _as_it_was(drilled, with_history)


def _as_it_was(place: ForkingPlace, state: str) -> Iterator[ForkingPlace]:
    settings, constants = dict(place.settings), dict(place.constants)
    place.constants[GONE] = 0  # a run that is killed is seen at once
    kept.put_back(place, state)
    kept.forget_runs(place)
    yield place
    place.settings, place.constants = settings, constants
