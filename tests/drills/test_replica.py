"""A replica is paused, killed and started again while sessions are published, and readers come all the time.

Promise: nobody is shown an older session as the newest one than there was when they came. The long drill lasts two
minutes, its short twin some seconds.
"""

import datetime as dt
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Admin
from worlds.forks import import_paths
from worlds.replicas import Followed, followed, live_in, publish

from boursomatic_assets import database

FIRST = dt.date(2024, 2, 1)


@pytest.fixture(scope="module")
def shared(admin: Admin) -> Iterator[Followed]:
    with tempfile.TemporaryDirectory(prefix="followed-", dir=admin.run) as name:
        Path(name).chmod(0o711)
        with followed(Path(name) / "home") as world:
            yield world


@pytest.fixture
def world(shared: Followed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Followed]:
    live_in(shared, monkeypatch)
    yield shared
    live_in(shared, monkeypatch)
    database.disconnect()


def test_nobody_is_shown_an_older_session(world: Followed) -> None:
    seen = drill(world, 6, ("pause", "resume"))
    assert seen["replica"] > 0
    assert seen["primary"] > 0


@pytest.mark.drill
@pytest.mark.slow
def test_nobody_is_shown_an_older_session_for_two_minutes(world: Followed) -> None:
    seen = drill(world, 120, ("pause", "resume", "kill", "create"))
    assert seen["replica"] > 100
    assert seen["primary"] > 100


def drill(world: Followed, seconds: float, faults: tuple[str, ...]) -> Counter[str]:
    """Publish session after session beside two readers, and break the replica; return where was read how often."""
    readers = [start() for _ in range(2)]
    chance, until, session = random.Random(7), time.monotonic() + seconds, FIRST
    act = {"pause": world.pause, "resume": world.resume, "kill": world.kill_replica, "create": world.create}
    try:
        for reader in readers:
            assert reader.stdout and reader.stdout.readline() == "reads\n"
        while time.monotonic() < until:
            for fault in faults:
                act[fault]()
                for _ in range(chance.randrange(3, 8)):
                    session += dt.timedelta(days=1)
                    publish(database.engine("owner"), session)
                    time.sleep(chance.uniform(0, 0.2))
        seen = Counter[str]()
        for reader in readers:
            output, errors = reader.communicate(timeout=60)
            assert reader.returncode == 0, errors
            seen.update(json.loads(output))
    finally:
        for reader in readers:
            reader.kill()
    assert seen["older"] == 0, seen
    return seen


def start() -> "subprocess.Popen[str]":
    """Start a reader."""
    return subprocess.Popen(
        [sys.executable, "-m", "worlds.replica_readers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": import_paths()},
    )
