"""`boursomatic store`: files are copied from one store to another and proven, and what is missing is named."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine
from worlds.buckets import Service
from worlds.commands import SECRET, boursomatic, error_line
from worlds.platform import execute

from boursomatic_assets import registry
from boursomatic_assets.backups.folder import BackupFolder
from boursomatic_assets.stores.places import open_store
from boursomatic_assets.stores.store import StoreError
from boursomatic_assets.tables import named_files


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store of each kind."""
    if request.param == "folder":
        return str(tmp_path / "another")
    return str(request.getfixturevalue("buckets").new_bucket())


def names(address: str) -> list[str]:
    return [entry.name for entry in open_store(address).entries()]


def test_all_files_are_in_the_other_store_and_the_platform_goes_on_there(
    filled: Engine, dagster_instance: object, home: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = sorted(path.name for path in (home / "models").iterdir())
    (home / "models" / f"{'0' * 64}.json").write_text("no row names it")
    done = boursomatic("store", "move", str(home), target)
    assert done.exit_code == 0, done.output
    assert f"set BOURSOMATIC_STORE={target} wherever the platform runs" in done.stdout
    assert SECRET not in done.output
    assert names(target) == [f"models/{name}" for name in models]
    (home / "models" / models[0]).unlink()  # as one that was written in the other store since
    again = boursomatic("store", "move", str(home), target)
    assert (again.exit_code, again.stdout[:19]) == (0, "0 files were copied"), again.output
    shutil.rmtree(home / "models")
    monkeypatch.setenv("BOURSOMATIC_STORE", target)
    assert (boursomatic("store", "verify").exit_code, boursomatic("store", "verify").stdout) == (0, "")
    assert (
        f"ok    store              {target} has the {len(models)} files that rows name"
        in boursomatic("doctor").stdout
    )
    assert registry.model_store().load(models[0])
    named_files.require_store()
    assert boursomatic("store", "move", target, str(home)).exit_code == 0
    assert sorted(path.name for path in (home / "models").iterdir()) == models


def test_a_move_that_was_interrupted_goes_on_and_repairs_what_was_cut_off(
    filled: Engine, home: Path, target: str
) -> None:
    models = sorted(path.name for path in (home / "models").iterdir())
    open_store(target).replace(f"models/{models[0]}", b"half a mod")
    open_store(target).replace(f"models/{models[1]}", (home / "models" / models[1]).read_bytes())
    assert boursomatic("store", "move", str(home), target).stdout.startswith(
        f"{len(models) - 1} files were copied"
    )
    for name in models:
        assert open_store(f"{target}/models").read(name) == (home / "models" / name).read_bytes()


def test_what_is_missing_or_damaged_is_named_and_all_else_is_copied(
    filled: Engine, dagster_instance: object, home: Path, target: str
) -> None:
    lost, damaged, *others = sorted((home / "models").iterdir())
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    line = boursomatic("store", "move", str(home), target).stderr.splitlines()[-1]
    assert line.startswith("error: 2 files were not copied: ")
    assert all(path.name in line for path in (lost, damaged))
    assert names(target) == [f"models/{path.name}" for path in others]
    verified = boursomatic("store", "verify")
    assert verified.exit_code == 1
    assert [path.name in line for path, line in zip((lost, damaged), verified.stdout.splitlines(), strict=True)]
    assert f"FAIL  store              1 of {len(others) + 2} files are missing" in boursomatic("doctor").stdout


def test_backups_in_the_store_go_too(
    filled: Engine, dagster_instance: object, home: Path, buckets: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = buckets.new_bucket(), buckets.new_bucket()
    assert boursomatic("store", "move", str(home), source).exit_code == 0
    monkeypatch.setenv("BOURSOMATIC_STORE", source)
    assert boursomatic("backup", f"{source}/backups").exit_code == 0
    assert boursomatic("store", "move", source, target).exit_code == 0
    assert names(target) == names(source)
    assert BackupFolder(f"{target}/backups").names() == BackupFolder(f"{source}/backups").names() != []


def test_a_machine_with_another_store_refuses_before_it_computes(
    filled: Engine, home: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_files.require_store()
    monkeypatch.setenv("BOURSOMATIC_STORE", target)
    with pytest.raises(
        StoreError, match=r"is missing, which a row of the database names: set BOURSOMATIC_STORE here"
    ):
        named_files.require_store()


def test_a_machine_without_its_store_refuses_before_it_computes(
    migrated: Engine, dagster_instance: object, buckets: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_STORE", buckets.new_bucket())
    named_files.require_store()
    buckets.gate.shut()
    with pytest.raises(StoreError, match="does not answer"):
        named_files.require_store()
    assert "FAIL  store" in boursomatic("doctor").stdout


def test_the_archive_of_another_store_is_missing(migrated: Engine, dagster_instance: object) -> None:
    name = f"date=2024-01-05/market=US/{'0' * 64}.parquet"
    execute(
        migrated,
        "INSERT INTO archive_files (id, asset, market, first_session, last_session, name, size, row_count)"
        f" VALUES (gen_random_uuid(), 'price_bars_15m', 'US', '2024-01-05', '2024-01-05', '{name}', 1, 1)",
    )
    with pytest.raises(StoreError, match=name):
        named_files.require_store()
    assert name in boursomatic("doctor").stdout
    assert name in boursomatic("store", "verify").stdout


@pytest.mark.parametrize("words", [("s3://key:s3cret-p4ss@b/x", "x"), ("x", "http://host/x")])
def test_what_is_no_address_is_a_wrong_call(words: tuple[str, str]) -> None:
    done = boursomatic("store", "move", *words)
    assert done.exit_code == 2
    assert SECRET not in done.output


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_STORE", f"s3://key:{SECRET}@bucket")
    line = error_line(boursomatic("backup", "x"))
    assert "BOURSOMATIC_STORE is no store: set it to a folder, or to an address like s3://bucket/prefix" in line
    assert SECRET not in line
