"""Readers see no gap: each read is one whole version, whatever is written meanwhile.

Slices are replaced, archived, restored and partitioned. Readers are processes of their own that read one session
again and again, as the platform reads and by plain SQL. The versions that may be seen are those that are there
between two commands. The long drill goes round several times with more readers; its short twin once.
"""

import datetime as dt
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.forks import ForkingPlace, import_paths
from worlds.frames import bars, insert_instruments, slice_of

from boursomatic_assets.tables import merging, revisions
from boursomatic_assets.tables.archive import moving, reading
from boursomatic_assets.tables.grains import GRAINS

MARKET, SESSION = "US", "2023-12-22"
BARS, FEATURES, QUARTERS = (
    ("materialize", asset, SESSION, MARKET) for asset in ("price_bars", "features", "price_bars_15m")
)
ARCHIVE = ("dagster", "job", "execute", "-m", "boursomatic_assets.definitions", "-j", "archive_15m_bars")
RESTORE = ("archive", "restore", "--from", SESSION, "--to", SESSION, "--market", MARKET)
PARTITION, UNPARTITION = ("db", "partition"), ("db", "unpartition")

MANY = 200
"""Reads of each kind that a drill must have seen at least; a short one some."""


def test_readers_see_whole_versions(small: ForkingPlace) -> None:
    seen = drill(small, 1, ("0.9", BARS), ("1", QUARTERS), ("1", ARCHIVE), ("1", RESTORE), ("1", PARTITION))
    assert min(seen.values()) > 0


@pytest.mark.drill
@pytest.mark.slow
def test_readers_see_whole_versions_again_and_again(history: ForkingPlace) -> None:
    rounds = [
        step
        for signal in ("0.9", "1.1", "1") * 3
        for step in (
            *((signal, words) for words in (BARS, FEATURES, QUARTERS)),
            *((signal, words) for words in (ARCHIVE, RESTORE, ARCHIVE, RESTORE, PARTITION, UNPARTITION)),
        )
    ]
    seen = drill(history, 2, *rounds)
    assert min(seen.values()) > MANY


def drill(place: ForkingPlace, readers: int, *steps: tuple[str, tuple[str, ...]]) -> Counter[str]:
    """Give commands, each with a version of the bars, while others read; return how often each kind was read."""
    place.settings["BOURSOMATIC_SIMULATED_SIGNAL"] = "1"
    place.done(*BARS)
    started = [start(place) for _ in range(readers)]
    try:
        whole = [set(look(started[0]))]
        for signal, words in steps:
            place.settings["BOURSOMATIC_SIMULATED_SIGNAL"] = signal
            place.done(*words)
            whole.append(set(look(started[0])))
        seen = Counter[str]()
        for reader in started:
            output, errors = reader.communicate(timeout=60)
            assert reader.returncode == 0, errors
            seen.update(json.loads(output))
    finally:
        for reader in started:
            reader.kill()
    assert seen.keys() <= set.union(*whole), seen
    assert len({version for version in seen if version.startswith("bars:")}) > 1, "readers saw no change"
    kinds = Counter[str]()
    for version, times in seen.items():
        kinds[version.partition(":")[0]] += times
    return kinds


def start(place: ForkingPlace) -> "subprocess.Popen[str]":
    """A reader that reads already."""
    reader = subprocess.Popen(
        [sys.executable, "-m", "worlds.readers", MARKET, SESSION],
        env=place.environment | {"PYTHONPATH": import_paths()},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    look(reader)
    return reader


def look(reader: "subprocess.Popen[str]") -> list[str]:
    """What is there now."""
    assert reader.stdin and reader.stdout
    reader.stdin.write("now\n")
    reader.stdin.flush()
    return list(json.loads(reader.stdout.readline()))


def test_bars_that_are_restored_while_they_are_read_are_found(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those that come into the table after it was read, nor those that leave it before."""
    insert_instruments(migrated)
    part, grain = slice_of("US", "2024-06-10"), GRAINS["price_bars_15m"]
    quarters = bars("ACME BOLT", "2024-06-10", ts=dt.datetime(2024, 6, 10, 13, 30), interval="15m")
    with migrated.begin() as connection:
        merging.replace(connection, grain, part, quarters)
    read = revisions.read_bars

    def then(change: Callable[[], object]) -> None:
        def read_before(*arguments: Any) -> pl.DataFrame:
            found = read(*arguments)
            change()
            return found

        monkeypatch.setattr(revisions, "read_bars", read_before)
        assert reading.read_bars(part, "15m").height == 2

    then(lambda: moving.move_to_archive(dt.date(2024, 12, 1)))
    then(lambda: moving.restore("US", part.dates[0], part.dates[0]))
