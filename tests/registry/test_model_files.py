"""The model store: a saved model is read back, and a damaged file never reaches LightGBM."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from boursomatic_assets.learning.calibration.curves import NO_SKILL
from boursomatic_assets.learning.model import POOLED, Model
from boursomatic_assets.learning.prediction import ensemble, score_rows
from boursomatic_assets.registry.model_files import ModelFileError, ModelStore
from boursomatic_assets.stores import atomic_files
from boursomatic_assets.stores.folder_store import FolderStore

ROWS = np.arange(100.0).reshape(-1, 1)
MARKETS = np.repeat(["US", "EURONEXT"], 50)


@pytest.fixture(scope="module")
def model_text() -> str:
    parameters = {"objective": "regression", "verbosity": -1, "num_threads": 1}
    texts = [lgb.train(parameters, lgb.Dataset(ROWS, label=ROWS[:, 0]), n).model_to_string() for n in (2, 3)]
    quarters = ({POOLED: texts[0]}, {POOLED: texts[0], "US": texts[1]})
    return Model(quarters, {20: {POOLED: NO_SKILL, "US": replace(NO_SKILL, market_return=0.01)}}).to_json()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(FolderStore(tmp_path / "models"))


def folder_of(store: ModelStore) -> Path:
    return Path(store.store.address)


def stored_names(store: ModelStore) -> list[str]:
    return [path.name for path in folder_of(store).iterdir()]


def test_a_saved_model_predicts_as_before(store: ModelStore, model_text: str) -> None:
    loaded, saved = store.load(store.save(model_text)), Model.from_json(model_text)
    assert loaded.to_json() == model_text
    assert loaded.curves_of(20, "US").market_return == 0.01
    assert loaded.curves_of(20, "EURONEXT") == NO_SKILL
    scores = [ensemble(model.quarters, MARKETS, ROWS, score_rows) for model in (loaded, saved)]
    assert np.array_equal(*scores)
    assert scores[0][0] != scores[0][99]


def test_a_file_is_named_after_its_content_and_readable_by_all(store: ModelStore, model_text: str) -> None:
    path = folder_of(store) / store.save(model_text)
    assert path.name == hashlib.sha256(path.read_bytes()).hexdigest() + ".json"
    assert path.read_bytes() == model_text.encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_line_ends_do_not_change(store: ModelStore) -> None:
    path = store.save("one\r\ntwo\nthree\r")
    assert (folder_of(store) / path).read_bytes() == b"one\r\ntwo\nthree\r"


def test_saving_again_leaves_an_intact_file_alone(store: ModelStore, model_text: str) -> None:
    path = store.save(model_text)
    before = (folder_of(store) / path).stat()
    assert store.save(model_text) == path
    after = (folder_of(store) / path).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert stored_names(store) == [path]


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.99])
def test_a_changed_byte_is_found_and_repaired_by_saving_again(
    store: ModelStore, model_text: str, at: float, absorbed_errors: list[str]
) -> None:
    path = store.save(model_text)
    content = bytearray((folder_of(store) / path).read_bytes())
    content[int(at * len(content))] ^= 1
    (folder_of(store) / path).write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"^model file {path} in .* is damaged.*: restore it.*$"):
        store.load(path)
    store.load(store.save(model_text))
    assert absorbed_errors[0].startswith(f"{path} is written again, after DamagedError: ")


@pytest.mark.parametrize("length", [0, 1, 500])
def test_a_truncated_file_is_found(store: ModelStore, model_text: str, length: int) -> None:
    path = store.save(model_text)
    (folder_of(store) / path).write_bytes(model_text.encode()[:length])
    with pytest.raises(ModelFileError, match="is damaged"):
        store.load(path)


def test_a_missing_file_says_what_to_do(store: ModelStore) -> None:
    with pytest.raises(ModelFileError, match=r"is missing from .*: restore it from a backup, or train"):
        store.load("0" * 64 + ".json")


@pytest.mark.parametrize("prefix", ["../", "/", "folder/", "./", "\n"])
def test_a_path_out_of_the_store_is_an_error(store: ModelStore, model_text: str, prefix: str) -> None:
    name = store.save(model_text)
    (folder_of(store).parent / name).write_text(model_text)
    with pytest.raises(ModelFileError, match="is not named after a SHA-256"):
        store.load(prefix + name)


@pytest.mark.parametrize("path", ["", "model.txt", "0" * 64, "0" * 64 + ".txt\n", "A" * 64 + ".json"])
def test_a_name_that_save_never_returns_is_an_error(store: ModelStore, path: str) -> None:
    with pytest.raises(ModelFileError, match="is not named after a SHA-256"):
        store.load(path)


def test_the_rest_of_a_crashed_write_does_no_harm(store: ModelStore, model_text: str) -> None:
    folder_of(store).mkdir()
    (folder_of(store) / ".saving-abc").write_text("half a mod")
    store.load(store.save(model_text))
    assert (folder_of(store) / ".saving-abc").exists(), "another process may be writing it"


def test_the_rest_of_a_crashed_write_is_removed_after_an_hour(store: ModelStore, model_text: str) -> None:
    folder_of(store).mkdir()
    left = folder_of(store) / ".saving-abc"
    left.write_text("half a mod")
    before = time.time() - atomic_files.ABANDONED_SECONDS - 1
    os.utime(left, (before, before))
    name = store.save(model_text)
    assert [path.name for path in folder_of(store).iterdir()] == [name]


def test_saving_the_same_model_at_once_writes_one_file(store: ModelStore, model_text: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(store.save, [model_text] * 16))
    assert stored_names(store) == list(paths)
    store.load(paths.pop())
