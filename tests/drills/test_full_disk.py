"""A full disk: a clear error, the old state, and all is well once there is room again.

The database's tables, its WAL, models, the archive, or Dagster's files lie on a disk of their own, with little
room left. The command either ends with one sentence and exit code 1, or is done; in no case is anything half. Then
there is room, and the same command ends like one on an empty disk.

The long drill leaves 2, 12 and 24 MiB for the database, and almost nothing for files, which are smaller than that.
Its short twin fills the archive's disk and the database's.
"""

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import remove_home
from worlds import kept
from worlds.disks import BLOCK, MIB, Disk, disk
from worlds.forks import ForkingPlace

from boursomatic_assets.database import embedded

TABLES, WAL = "postgres/data/base", "postgres/data/pg_wal"

FIRST_DATES = {TABLES: "2023-10-02", WAL: "2023-04-03"}
"""How much is loaded: a few segments of WAL are there already, and are written first."""

ONE_SEGMENT = {"max_wal_size": "32MB", "min_wal_size": "32MB", "checkpoint_timeout": "30"}
"""A server that keeps no files of its WAL for later use."""

SESSION = "2023-12-22"
QUARTERS = ("materialize", "price_bars_15m", SESSION, "US")
ARCHIVE = ("dagster", "job", "execute", "-m", "boursomatic_assets.definitions", "-j", "archive_15m_bars")

_numbers = itertools.count()


def load(instruments: int, first: str, place: ForkingPlace) -> tuple[str, ...]:
    place.settings["BOURSOMATIC_SIMULATED_INSTRUMENTS"] = str(instruments)
    return ("backfill", "--assets", "price_bars", "--market", "US", "--from", first, "--to", "2024-01-05")


@contextmanager
def on_a_disk(drilled: ForkingPlace, folder: str) -> Iterator[tuple[ForkingPlace, Disk]]:
    """A place of its own, a folder of which lies on a small disk."""
    home = drilled.home.parent / f"full {next(_numbers)}" / "home"
    home.mkdir(mode=0o711, parents=True)
    home.parent.chmod(0o711)
    place = ForkingPlace(home, dict(drilled.settings), constants=drilled.constants, server=drilled.server)
    try:
        place.done("db", "upgrade")
        kept.durable_enough(place)
        with place.connected() as connection:
            for name, value in ONE_SEGMENT.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CHECKPOINT")
        (home / folder).mkdir(parents=True, exist_ok=True)
        embedded.stop(home)
        with disk(home / folder) as small:
            try:
                yield place, small
            finally:
                small.leave(4096 * MIB)
                embedded.stop(home)
    finally:
        remove_home(home)


def sessions(place: ForkingPlace) -> dict[object, str]:
    """A digest of the bars of each session."""
    return dict(
        place.rows(
            "SELECT ts, md5(string_agg(concat_ws(' ', symbol, o, h, l, c, v), ',' ORDER BY symbol, b.interval))"
            " FROM price_bars b JOIN instruments i ON i.id = b.instrument_id GROUP BY ts"
        )
    )


def fails_clearly(result: "subprocess.CompletedProcess[str]") -> bool:
    """Whether it failed; then with one sentence about the disk, and exit code 1."""
    if result.returncode == 0:
        return False
    assert result.returncode == 1, result.stderr
    assert "No space left on device" in result.stdout + result.stderr, result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: "), result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    return True


def fill(place: ForkingPlace, small: Disk, left: int, words: tuple[str, ...]) -> bool:
    """Give a command that has little room, then room, and then the same command; return whether it failed."""
    place.rows("SELECT 1")  # the server is up before its disk is full
    small.leave(left)
    failed = fails_clearly(place.run(*words))
    small.leave(4096 * MIB)
    between = sessions(place)
    place.done("runs", "end-dead")
    place.done(*words)
    after = sessions(place)
    assert between.items() <= after.items()
    assert kept.held_by_nobody(place) == {}
    assert kept.stray_files(place) == []
    return failed


def test_bars_on_a_full_disk_are_old_or_new(drilled: ForkingPlace) -> None:
    with on_a_disk(drilled, TABLES) as (place, small):
        words = load(40, "2023-12-18", place)
        assert fill(place, small, BLOCK, words)


def test_a_full_archive_keeps_its_bars_in_the_table(small: ForkingPlace) -> None:
    archive_on_a_full_disk(small)


def archive_on_a_full_disk(place: ForkingPlace) -> None:
    place.done(*QUARTERS)
    before = sessions(place)
    (place.home / "archive").mkdir()
    with disk(place.home / "archive") as archive:
        archive.leave(BLOCK)
        failed = place.run(*ARCHIVE)
        assert failed.returncode == 1
        assert "No space left on device" in failed.stderr
        assert sessions(place) == before
        assert list((place.home / "archive").rglob("*.parquet")) == []
        archive.leave(MIB)
        place.done(*ARCHIVE)
        assert sessions(place) == {}
        assert len(list((place.home / "archive").rglob("*.parquet"))) == 1
        assert kept.stray_files(place) == []


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("left", [2, 12, 24])
@pytest.mark.parametrize("folder", [TABLES, WAL])
def test_a_full_database(drilled: ForkingPlace, folder: str, left: int) -> None:
    with on_a_disk(drilled, folder) as (place, small):
        words = load(600, FIRST_DATES[folder], place)
        place.settings["BOURSOMATIC_DATABASE_WAIT"] = "20"  # a server without WAL ends, and does not come back
        failed = fill(place, small, left * MIB, words)
        assert failed or left > 2


@pytest.mark.drill
@pytest.mark.slow
def test_full_disks_of_files(history: ForkingPlace) -> None:
    """That of models refuses a version, and that of Dagster's files the output of a step."""
    due = ("materialize", "model_versions", "2024-01-02", "US")
    before = history.digests()
    with disk(history.home / "models") as models:
        models.leave(BLOCK)
        assert fails_clearly(history.run(*due))
        assert history.digests() == before
        models.leave(64 * MIB)
        history.done(*due)
        assert history.digests()["model_versions"] != before["model_versions"]
        assert kept.stray_files(history) == []
    with disk(history.home / "dagster") as logs:
        logs.leave(0)
        result = history.run("materialize", "price_bars", SESSION, "US")
        assert result.returncode in (0, 1)
        assert "Traceback" not in result.stderr, result.stderr
        logs.leave(64 * MIB)
        history.done("materialize", "price_bars", SESSION, "US")
    assert kept.held_by_nobody(history) == {}
