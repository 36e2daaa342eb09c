"""A set in a folder: whole or not there, private, without a second copy of any file."""

import datetime as dt
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from sqlalchemy import URL, Engine, text
from worlds.commands import boursomatic, error_line

from boursomatic_assets import database as db
from boursomatic_assets.backups import making, places
from boursomatic_assets.backups.folder import BackupFolder
from boursomatic_assets.stores.store import StoreError
from boursomatic_assets.tables.archive import files, moving
from boursomatic_assets.tables.staging import transaction

MODEL = "models/of mine.json"


@pytest.fixture
def place(migrated: Engine, dagster_instance: DagsterInstance, home: Path) -> Path:
    """The home of a platform without rows."""
    (home / "models").mkdir()
    (home / MODEL).write_text("a model")
    return home


def sets(folder: Path) -> list[str]:
    return BackupFolder(folder).names()


def held(folder: Path, name: str) -> dict[str, str]:
    """The digests of the files of a set."""
    found = BackupFolder(folder).manifest_of(name)
    return {str(one): one.content.sha256 for one in found.files}


def test_what_did_not_change_is_not_copied_again(place: Path, folder: Path) -> None:
    first = making.make(folder, print)
    again = making.make(folder, print)
    assert (first.copied > 0, again.copied) == (True, 0)
    (place / MODEL).write_text("another model")
    (place / "a copy").write_text("another model")
    assert making.make(folder, print).copied == 1
    before, after = held(folder, first.name), held(folder, sets(folder)[-1])
    assert before[MODEL] != after[MODEL] == after["home/a copy"]
    assert (folder / "files" / before[MODEL]).read_text() == "a model"


def test_a_damaged_file_in_the_folder_is_written_again(place: Path, folder: Path) -> None:
    first = making.make(folder, print)
    path = folder / "files" / held(folder, first.name)[MODEL]
    path.write_text("b model")
    assert making.make(folder, print).copied == 1
    assert path.read_text() == "a model"


def test_others_cannot_read_it(place: Path, folder: Path) -> None:
    making.make(folder, print)
    modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_the_counts_are_those_of_the_rows(filled: Engine, dagster_instance: DagsterInstance, folder: Path) -> None:
    made = making.make(folder, print)
    with filled.connect() as connection:
        for table, count in made.manifest.databases[places.PLATFORM].rows.items():
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == count
    assert made.manifest.databases[places.PLATFORM].rows["recommendations"] > 0
    assert made.warnings == []


def test_a_model_file_that_the_platform_lacks_is_named(
    filled: Engine, dagster_instance: DagsterInstance, home: Path, folder: Path
) -> None:
    lost, damaged = sorted((home / "models").iterdir())[:2]
    lost.unlink()
    damaged.write_text("damaged")
    warnings = boursomatic("backup", str(folder)).stderr
    assert all(f"no intact file models/{path.name}" in warnings for path in (lost, damaged))


def test_links_are_left_out_and_named(place: Path, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (place / "models" / "link").symlink_to(tmp_path / "secret")
    made = making.make(folder, print)
    assert made.warnings == [f"left out: {place / 'models' / 'link'} is a link"]
    assert all(path.read_bytes() != b"of somebody else" for path in (folder / "files").iterdir())


def test_a_folder_of_models_that_is_a_link_is_followed(place: Path, tmp_path: Path, folder: Path) -> None:
    (place / "models").rename(tmp_path / "large disk")
    (place / "models").symlink_to(tmp_path / "large disk")
    assert MODEL in held(folder, making.make(folder, print).name)


def test_a_folder_within_the_home_is_refused(place: Path) -> None:
    for inside in (place / "backups", place / "models", place):
        assert "name a folder elsewhere" in error_line(boursomatic("backup", str(inside)))


def test_what_was_left_behind_is_removed_and_never_restored(place: Path, folder: Path) -> None:
    making.make(folder, print)
    unfinished = folder / "sets" / "20990101T000000Z"
    unfinished.mkdir()
    (unfinished / "boursomatic.dump").write_text("half")
    (folder / "files" / ".saving-half").write_text("half")
    assert len(sets(folder)) == 1
    making.make(folder, print)
    assert not unfinished.exists()
    assert not (folder / "files" / ".saving-half").exists()
    assert len(sets(folder)) == 2


def test_sets_of_one_second_are_in_order(place: Path, folder: Path) -> None:
    made = [making.make(folder, print).name for _ in range(3)]
    assert made == sorted(set(made)) == sets(folder)


def test_a_set_is_the_newest_whatever_is_kept_and_whatever_the_clock_says(place: Path, folder: Path) -> None:
    future = making.make(folder, print).name
    later = f"2099{future[4:]}"
    (folder / "sets" / future).rename(folder / "sets" / later)  # as if the clock had been wrong
    for number in range(1, 5):
        made = making.make(folder, print, keep=2)
        assert made.name == f"{later}-{number:06}"
        assert sets(folder)[-1] == made.name
        assert len(sets(folder)) == 2


def test_a_folder_that_holds_something_else_is_left_alone(place: Path, folder: Path) -> None:
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "thesis.txt").write_text("years of work")
    assert "holds files and no backups" in error_line(boursomatic("backup", str(folder), "--keep", "1"))
    assert (folder / "files" / "thesis.txt").read_text() == "years of work"


def test_what_others_put_into_a_folder_of_backups_stays(place: Path, folder: Path) -> None:
    making.make(folder, print)
    (folder / "sets" / "photos").mkdir()
    (folder / "sets" / ".DS_Store").touch()
    (folder / "files" / "notes.txt").touch()
    making.make(folder, print, keep=1)
    assert (folder / "sets" / "photos").is_dir()
    assert (folder / "files" / "notes.txt").exists()


def test_old_sets_go_with_the_files_that_they_alone_have(place: Path, folder: Path) -> None:
    first = making.make(folder, print)
    only = folder / "files" / held(folder, first.name)[MODEL]
    (place / MODEL).write_text("another model")
    second, third = making.make(folder, print), making.make(folder, print, keep=2)
    assert third.removed == [first.name]
    assert sets(folder) == [second.name, third.name]
    assert not only.exists()
    assert list(BackupFolder(folder).differing(third.name, third.manifest)) == []


def test_two_backups_into_one_folder_do_not_meet(place: Path, folder: Path) -> None:
    with BackupFolder(folder).locked(), pytest.raises(StoreError, match=r"another backup into .* goes on"):
        making.make(folder, print)


def test_without_tables_there_is_nothing_to_back_up(
    database: Engine, dagster_instance: DagsterInstance, folder: Path
) -> None:
    assert "run `boursomatic db upgrade` first" in boursomatic("backup", str(folder)).stderr
    assert sets(folder) == []


def test_no_file_is_removed_while_files_are_copied(migrated: Engine) -> None:
    """Archiving goes on; a file that was superseded long ago is removed by the next one."""
    with migrated.begin() as connection:
        connection.execute(SUPERSEDED)
    with files.none_removed():
        with transaction() as connection:
            files.lock_shared(connection)
        assert files.remove_superseded() == 0
    assert files.remove_superseded() == 1


SUPERSEDED = text(
    "INSERT INTO archive_files"
    " (id, asset, market, first_session, last_session, name, size, row_count, superseded_at)"
    " VALUES (gen_random_uuid(), 'price_bars_15m', 'US', '2020-01-02', '2020-01-02', 'x', 1, 1, '2021-01-02')"
)


def is_root_with_mounts() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not is_root_with_mounts(), reason="needs root, who may mount a small disk")
def test_on_a_full_disk_nothing_half_is_taken_for_whole(place: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        first = making.make(disk / "backups", print)
        size = sum(path.stat().st_size for path in disk.rglob("*") if path.is_file())
        (disk / "filler").write_bytes(b"x" * ((2 << 20) - size - (64 << 10)))
        (place / "models" / "large").write_bytes(os.urandom(1 << 20))
        line = boursomatic("backup", str(disk / "backups")).stderr.splitlines()[-1]
        assert f"the disk of {disk / 'backups'} is full" in line
        assert sets(disk / "backups") == [first.name]
        assert list(BackupFolder(disk / "backups").differing(first.name, first.manifest)) == []
        (disk / "filler").unlink()
        making.make(disk / "backups", print)
        assert len(sets(disk / "backups")) == 2
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_session_that_is_moved_meanwhile_is_in_the_set_once(place: Path, migrated: Engine, folder: Path) -> None:
    """Its rows are in the snapshot, and its file is no row's there; the next set has it in the file alone."""
    with migrated.begin() as connection:
        connection.execute(
            text("INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'AAA', 'NYSE')")
        )
        connection.execute(
            text(
                "INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v)"
                " SELECT gen_random_uuid(), id, '2024-06-10 14:00', '15m', 1, 1, 1, 1, 1 FROM instruments"
            )
        )
    read_names = making._read_names

    def read_then_move(*given: Any) -> list[str]:
        names = read_names(*given)
        moving.move_to_archive(dt.date(2024, 9, 1))
        return names

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "_read_names", read_then_move)
        made = making.make(folder, print)
    assert made.warnings == []
    rows = [made.manifest.databases[places.PLATFORM].rows]
    rows += [making.make(folder, print).manifest.databases[places.PLATFORM].rows]
    assert [(one["price_bars"], one["archive_files"]) for one in rows] == [(1, 0), (0, 1)]
    assert (
        sum(name.startswith("archive/date=2024-06-10/market=US/") for name in held(folder, sets(folder)[-1])) == 1
    )


def test_a_file_of_the_archive_that_the_platform_lacks_is_named(
    place: Path, migrated: Engine, folder: Path
) -> None:
    name = f"date=2024-06-10/market=US/{'0' * 64}.parquet"
    with migrated.begin() as connection:
        connection.execute(SUPERSEDED)
        connection.execute(text("UPDATE archive_files SET superseded_at = NULL, name = :name"), {"name": name})
    assert f"the platform has no intact file archive/{name}" in boursomatic("backup", str(folder)).stderr


def test_the_heads_are_never_newer_than_the_rows(
    place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends while the database is dumped adds to both: its rows are not in the set, nor is its head."""
    file = place / "audit-heads.jsonl"
    file.write_text("of before\n")
    snapshot = making.dumps.snapshot

    def ended_meanwhile(url: URL) -> Any:
        if url == db.database_url("owner"):
            file.write_text("of before\nof a run that ends now\n")
        return snapshot(url)

    monkeypatch.setattr(making.dumps, "snapshot", ended_meanwhile)
    digest = held(folder, making.make(folder, print).name)["home/audit-heads.jsonl"]
    assert (folder / "files" / digest).read_text() == "of before\n"
