"""Folders: no name and no link leads out of the folder that models, archives and reports are kept in."""

from pathlib import Path

import pytest

from boursomatic_assets.registry.model_files import ModelFileError, ModelStore
from boursomatic_assets.stores.folder_store import FolderStore
from boursomatic_assets.stores.folders import OutsideError, inside
from boursomatic_assets.stores.store import sha256

DIGEST = f"{'a' * 64}.json"
NAMES = ["/etc/passwd", "../secret", "a/../../secret", "..", "", "a\0b", "link", "link/secret", "chain"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with links that lead out of it."""
    (tmp_path / "secret").write_text("s3cret")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "chain").symlink_to("link/secret")
    (folder / DIGEST).symlink_to(tmp_path / "secret")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(OutsideError, match="leads out of"):
        inside(folder, name)


def test_a_name_below_the_folder_is_found_whether_or_not_it_exists(folder: Path, tmp_path: Path) -> None:
    assert inside(folder, "date=2024-06-03/bars.parquet") == folder / "date=2024-06-03/bars.parquet"
    (tmp_path / "elsewhere").symlink_to(folder)
    assert inside(tmp_path / "elsewhere", "x") == tmp_path / "elsewhere/x", "the folder itself may be a link"


@pytest.mark.parametrize("path", [*NAMES, DIGEST, f"{DIGEST}\n", None])
def test_a_model_path_of_a_table_reads_nothing_outside_of_the_store(folder: Path, path: str | None) -> None:
    with pytest.raises(ModelFileError) as raised:
        ModelStore(FolderStore(folder)).load(path)
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_store_reads_and_writes_nothing_through_a_link(tmp_path: Path) -> None:
    store, elsewhere = FolderStore(tmp_path / "archive"), tmp_path / "elsewhere"
    store.folder.mkdir()
    elsewhere.mkdir()
    (store.folder / "date=2024-06-03").symlink_to(elsewhere)
    name = f"date=2024-06-03/market=US/{sha256(b'bars')}.parquet"
    for attempt in (lambda: store.write_once(name, b"bars"), lambda: store.read(name), lambda: store.delete(name)):
        with pytest.raises(OutsideError, match="leads out of"):
            attempt()
    assert list(elsewhere.iterdir()) == []
    assert [*store.entries()] == []
