"""Backups into a bucket, of a platform that keeps its files in a folder or in a bucket, and back from there."""

from pathlib import Path

import pytest
from backups.conftest import MoveOn
from sqlalchemy import Engine
from worlds.buckets import Service
from worlds.commands import SECRET, boursomatic, error_line

from boursomatic_assets import database as db
from boursomatic_assets.backups import making
from boursomatic_assets.backups.folder import MARK, BackupFolder
from boursomatic_assets.stores import leases
from boursomatic_assets.stores.places import open_store


@pytest.fixture
def bucket(buckets: Service) -> str:
    return buckets.new_bucket()


def names(address: str) -> list[str]:
    return [entry.name for entry in open_store(address).entries()]


@pytest.mark.parametrize("kept_in", ["folder", "bucket"])
def test_a_platform_is_restored_from_a_bucket(
    whole: Engine, home: Path, bucket: str, move_on: MoveOn, monkeypatch: pytest.MonkeyPatch, kept_in: str
) -> None:
    (home / "archive" / "date=2023-02-01" / "market=US" / "bars.parquet").unlink()
    if kept_in == "bucket":
        moved = boursomatic("store", "move", str(home), bucket)
        assert moved.exit_code == 0, moved.output
        monkeypatch.setenv("BOURSOMATIC_STORE", bucket)
    files = {path.name: path.read_bytes() for path in (home / "models").iterdir()}
    done = boursomatic("backup", f"{bucket}/backups")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("warning") == 0
    other, stores = move_on(), {"folder": None, "bucket": f"{bucket}/restored"}
    if stores[kept_in]:
        monkeypatch.setenv("BOURSOMATIC_STORE", str(stores[kept_in]))
    done = boursomatic("restore", f"{bucket}/backups", "--verify")
    assert done.exit_code == 0, done.output
    restored = open_store(f"{stores[kept_in] or other}/models")
    assert {entry.name: restored.read(entry.name) for entry in restored.entries()} == files
    assert boursomatic("store", "verify").exit_code == 0
    assert SECRET not in done.output
    db.disconnect()


def test_sets_share_files_and_old_ones_go_with_what_they_alone_have(
    migrated: Engine, dagster_instance: object, home: Path, bucket: str
) -> None:
    (home / "models").mkdir()
    (home / "models" / "of mine.json").write_text("a model")
    first = making.make(bucket, print)
    assert (first.copied > 0, making.make(bucket, print).copied) == (True, 0)
    only = BackupFolder(bucket).file(
        next(one for one in first.manifest.files if str(one) == "models/of mine.json")
    )
    assert only in names(bucket)
    (home / "models" / "of mine.json").write_text("another model")
    open_store(bucket).replace("sets/20990101T000000Z/boursomatic.dump", b"of a backup that was killed")
    open_store(bucket).replace("files/notes.txt", b"of somebody else")
    last = making.make(bucket, print, keep=1)
    assert BackupFolder(bucket).names() == [last.name]
    assert len(last.removed) == 2
    assert {only, "sets/20990101T000000Z/boursomatic.dump"}.isdisjoint(names(bucket))
    assert {MARK, "files/notes.txt"} < {*names(bucket)}
    assert leases.NAME not in names(bucket)
    assert list(BackupFolder(bucket).differing(last.name, last.manifest)) == []


def test_a_part_that_was_cut_off_is_named_before_anything_is_written(
    migrated: Engine, dagster_instance: object, bucket: str, move_on: MoveOn
) -> None:
    made = making.make(bucket, print)
    dump = BackupFolder(bucket).dump(made.name, "boursomatic")
    open_store(bucket).replace(dump, open_store(bucket).get(dump)[:-1])
    other = move_on()
    done = boursomatic("restore", bucket)
    assert done.exit_code == 1
    assert "boursomatic.dump" in done.stderr.splitlines()[-1]
    assert not other.exists() or not any(other.iterdir())


def test_another_backup_that_goes_on_is_named_and_one_that_was_killed_is_taken_over(
    migrated: Engine, dagster_instance: object, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.1)
    with BackupFolder(bucket).locked():
        assert f"another backup into {bucket} goes on (process" in boursomatic("backup", bucket).stderr
    monkeypatch.setattr(leases, "LOST_SECONDS", 0.3)
    open_store(bucket).replace(leases.NAME, b'{"host": "elsewhere", "pid": 1}')
    assert boursomatic("backup", bucket).exit_code == 0
    assert len(BackupFolder(bucket).names()) == 1


def test_a_backup_that_lost_its_lock_makes_no_set(
    migrated: Engine, dagster_instance: object, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = making._look_at_named

    def taken_over(*given: object) -> None:
        open_store(bucket).replace(leases.NAME, b'{"token": "of another"}')
        look(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "_look_at_named", taken_over)
    assert "was taken over meanwhile: give the command again" in boursomatic("backup", bucket).stderr
    assert BackupFolder(bucket).names() == []


def test_a_bucket_that_holds_something_else_is_left_alone(migrated: Engine, bucket: str) -> None:
    open_store(bucket).replace("photos/1.jpg", b"years of work")
    assert "holds photos and no backups" in error_line(boursomatic("backup", bucket))
    assert names(bucket) == ["photos/1.jpg"]


def test_a_backup_into_what_it_copies_is_refused(
    migrated: Engine, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_STORE", bucket)
    for inside in (f"{bucket}/models", f"{bucket}/archive/backups"):
        assert "name a folder elsewhere" in error_line(boursomatic("backup", inside))


@pytest.mark.parametrize("address", [f"s3://key:{SECRET}@bucket/x", "https://bucket", "s3://", "s3://UPPER"])
def test_what_is_no_address_is_refused_without_showing_it(migrated: Engine, address: str) -> None:
    done = boursomatic("backup", address)
    assert done.exit_code == 2
    assert SECRET not in done.output
    assert "set it to a folder, or to an address like s3://bucket/prefix" in " ".join(done.output.split())
