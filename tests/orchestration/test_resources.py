"""The source of a run: what it says of its files is recorded when the run opens it."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import query_rows

from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.sources import FILES, SourceError
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.tables.deliveries.files import PRESENT_FILES

RECORDED = f"SELECT file, problem, run_id FROM {PRESENT_FILES} t"
NOTES = dict.fromkeys(FILES, 0) | {
    "file": "notes.txt",
    "recognised": None,
    "problem": "it has no header",
    "passed_over": False,
}


@dg.asset
def failing(source: BarSource) -> None:
    source.open()
    raise RuntimeError("the run fails later")


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What any folder says of its files."""
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr(Files, "files", lambda self: pl.DataFrame(reports, schema=FILES))
    return reports


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the source, as the settings say."""
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path))
    return tmp_path


def run_of(source: BarSource) -> dg.ExecuteInProcessResult:
    return dg.materialize([failing], resources={"source": source}, raise_on_error=False)


def test_what_is_said_of_a_file_outlives_a_run_that_fails(migrated: Engine, says: list[dict[str, Any]]) -> None:
    says.append(NOTES)
    result = run_of(BarSource())
    assert not result.success
    assert query_rows(migrated, RECORDED) == [("notes.txt", "it has no header", result.run_id)]


def test_an_empty_folder_clears_the_ledger_and_a_source_without_files_leaves_it(
    migrated: Engine, says: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    says.append(NOTES)
    BarSource().open()
    assert query_rows(migrated, RECORDED) == [("notes.txt", "it has no header", None)], "opened outside of a run"
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "simulated")
    BarSource().open()
    assert len(query_rows(migrated, RECORDED)) == 1
    says.clear()
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
    BarSource().open()
    assert query_rows(migrated, RECORDED) == []


def test_a_source_that_cannot_say_what_it_has_fails_and_the_ledger_stays(
    migrated: Engine, says: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    says.append(NOTES)
    source = BarSource()
    source.open()

    def missing(self: Files) -> pl.DataFrame:
        raise SourceError(f"{self.folder} is no folder")

    monkeypatch.setattr(Files, "files", missing)
    with pytest.raises(dg.Failure, match="is no folder"):
        source.open()
    assert len(query_rows(migrated, RECORDED)) == 1


@pytest.mark.parametrize("config", [{"files": "/etc"}, {"kind": "simulated"}, {"instruments": 3}])
def test_a_run_cannot_choose_where_its_bars_come_from(config: dict[str, Any]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="resources:source:config"):
        dg.materialize(
            [failing], resources={"source": BarSource()}, run_config={"resources": {"source": {"config": config}}}
        )
