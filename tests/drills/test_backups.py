"""Backups: what was backed up while a backfill ran goes on elsewhere, and nothing half is taken for whole.

The faults are real: a backfill, a backup and a restore are held at a point of their work, or killed there. One
pass over all of it runs in `make test`; each point of each command in `make drills`. Disks that are full and bytes
that are flipped: `tests/backups/`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import remove_home
from worlds.failpoints import Held, points
from worlds.forks import forking
from worlds.place import FIRST, LAST, Place, place

from boursomatic_assets.backups.folder import BackupFolder
from boursomatic_assets.backups.restoring import prove

pytestmark = [pytest.mark.database, pytest.mark.slow]

FEW = ("backfill", "--from", "2024-02-27", "--to", "2024-02-28")
ALL = ("backfill", "--from", FIRST, "--to", LAST)

STAGES = (
    "copy COPY price_bars",
    "copy COPY features",
    "statement INSERT INTO model_versions",
    "copy COPY recommendations",
)
"""Where a backfill is held: its transaction has written, and is not committed."""


@contextlib.contextmanager
def another(one: Place, folder: Path) -> Iterator[Place]:
    """A place that is not there yet, with the settings of another."""
    made = replace(one, home=folder / "home", settings=dict(one.settings))
    folder.mkdir(mode=0o711)
    made.home.mkdir(mode=0o711)  # where commands run
    try:
        yield made
    finally:
        remove_home(made.home)


def whole_sets(folder: Path) -> list[str]:
    """The sets, each of which is proven to be whole."""
    names = BackupFolder(folder).names()
    for name in names:
        prove(BackupFolder(folder), name)
    return names


def test_a_backup_of_a_running_backfill_goes_on_elsewhere(tmp_path: Path) -> None:
    """Both its backup and its restore are killed once on the way."""
    folder = tmp_path / "backups"
    with (
        place(tmp_path / "one") as plain,
        forking(plain) as one,
        another(one, tmp_path / "other") as other,
    ):
        running = Held(one, tmp_path / "running", "copy COPY features", *FEW)
        assert running.await_point()
        killed = Held(one, tmp_path / "killed backup", "rename manifest.json", "backup", str(folder))
        assert killed.await_point()
        killed.kill()
        assert whole_sets(folder) == []
        one.done("backup", str(folder))
        (name,) = whole_sets(folder)
        assert running.end().returncode == 0

        killed = Held(other, tmp_path / "killed restore", "program psql", "restore", str(folder))
        assert killed.await_point()
        killed.kill()
        assert (other.home / ".restoring").exists()
        assert "1 runs that went on then are ended" in other.done("restore", str(folder), "--set", name)
        assert other.rows("SELECT count(*) FROM price_bars") != [(0,)]
        other.done(*FEW)
        assert other.digests() == one.digests()


@pytest.mark.drill
def test_a_backup_at_any_stage_of_a_backfill_goes_on_elsewhere(tmp_path: Path) -> None:
    """The short twin holds a short backfill at one stage."""
    folder = tmp_path / "backups"
    with place(tmp_path / "one") as one:
        for number, stage in enumerate(STAGES):
            running = Held(one, tmp_path / f"running {number}", stage, *ALL)
            assert running.await_point(600), stage
            one.done("backup", str(folder))
            running.kill()
            one.done("runs", "end-dead")
        one.done(*ALL)
        calm = one.digests()
        for name in whole_sets(folder):
            with another(one, tmp_path / name) as other:
                done = other.run("restore", str(folder), "--set", name, "--verify")
                assert done.returncode == 0, done.stdout + done.stderr
                assert other.digests() != calm
                other.done(*ALL)
                assert other.digests() == calm, name
                other.done("audit", "verify")


@pytest.mark.drill
def test_a_backup_that_is_killed_is_none_at_any_of_its_points(tmp_path: Path) -> None:
    """The short twin kills one before its manifest."""
    with place(tmp_path / "one") as one:
        one.done(*FEW)
        for number, _ in enumerate(
            points(one, tmp_path / "calm", "backup", str(tmp_path / "calm backup")), start=1
        ):
            folder = tmp_path / f"backups {number}"
            killed = Held(one, tmp_path / f"killed {number}", number, "backup", str(folder))
            if killed.await_point() is None:
                continue
            killed.kill()
            left = whole_sets(folder)  # one that was killed after its manifest is whole
            one.done("backup", str(folder))
            assert len(whole_sets(folder)) == len(left) + 1
            assert not list(folder.rglob(".saving-*"))


@pytest.mark.drill
def test_a_restore_that_is_killed_at_any_of_its_points_is_ended_by_the_next(tmp_path: Path) -> None:
    """The short twin kills one as the database is filled."""
    folder = tmp_path / "backups"
    with place(tmp_path / "one") as one:
        one.done(*FEW)
        one.done("backup", str(folder))
        kept = one.digests()
        with another(one, tmp_path / "calm") as calm:
            trace = points(calm, tmp_path / "calm points", "restore", str(folder))
        telling = [line for line in trace if line.split()[1] in ("rename", "program", "commit", "committed")]
        for line in telling:
            number = line.split()[0]
            with another(one, tmp_path / f"place {number}") as other:
                killed = Held(other, tmp_path / f"killed {number}", int(number), "restore", str(folder))
                if killed.await_point() is None:
                    continue
                killed.kill()
                done = other.run("restore", str(folder))
                assert done.returncode == 0 or "is not empty" in done.stderr, line  # it was done but for its end
                assert other.digests() == kept, line
                assert not (other.home / ".restoring").exists(), line
