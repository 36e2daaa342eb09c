"""A run that its source fails: the run's page says why in one sentence, names the files, and shows no traceback.

What belongs here: real runs over folders that hold what cannot be read, and over a service that is away.
Kept elsewhere: why a file is refused (`sources/`), dates that fail for other reasons (`orchestration/`).
"""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.deliveries import HEADER, NEXT_ROW, ROW, deliver
from worlds.loopback import Response, instruments_of, quick_client, serve

from boursomatic_assets.calendars import slices
from boursomatic_assets.cli import launching
from boursomatic_assets.orchestration import resources
from boursomatic_assets.orchestration.partitions import partition_dates
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.sources.network.stooq import Stooq

FIRST, NEXT = dt.date(2024, 6, 13), dt.date(2024, 6, 14)
DAMAGED = b"PAR1 this is none PAR1"
UNDECIDABLE = HEADER + "01/02/2024,10,12,9,11,500\n"

Run = Callable[..., launching.RunResult]


@pytest.fixture
def run(
    migrated: Engine, dagster_instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Computes the bars of one market from a folder with these files."""

    def over(files: dict[str, str | bytes], end: dt.date = FIRST, declared: str = "") -> launching.RunResult:
        folder = tmp_path / "bars"
        folder.mkdir(exist_ok=True)
        deliver(folder, files, declared)
        monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
        monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
        return execute(dagster_instance, end)

    return over


def execute(instance: dg.DagsterInstance, end: dt.date = FIRST) -> launching.RunResult:
    """The run that loads the bars of US."""
    (planned,) = launching.plan_backfill(("price_bars",), ["US"], partition_dates(FIRST, end))
    return launching.execute_run(planned, instance)


def failure_of(
    instance: dg.DagsterInstance, result: launching.RunResult
) -> tuple[str, dict[str, dg.MetadataValue]]:
    """The description and the metadata of the one step that failed, of which no traceback is shown beside them."""
    assert not result.success
    events = [entry.get_dagster_event() for entry in instance.all_logs(result.run_id) if entry.is_dagster_event]
    (data,) = [event.step_failure_data for event in events if event and event.is_step_failure]
    assert data.error and data.user_failure_data
    assert data.error.cls_name == "Failure"
    assert data.error.cause is None, "the page would show its traceback"
    assert data.error.context is None
    described = data.user_failure_data.description or ""
    assert "Traceback" not in described
    assert "Error:" not in described
    return described, dict(data.user_failure_data.metadata)


def rows_of(table: dg.MetadataValue) -> list[dict[str, object]]:
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def test_each_refused_file_is_a_row_beside_the_sentence(run: Run, dagster_instance: dg.DagsterInstance) -> None:
    result = run({"a.csv": UNDECIDABLE, "b.parquet": DAMAGED})
    described, metadata = failure_of(dagster_instance, result)
    first, *others = described.splitlines()
    assert first == (
        "none of 2 files can be read, the first of them: a.csv: day and month cannot be told apart: 1 dates"
        " such as 01/02/2024 fit both ways: state `dates: dmy` or `dates: mdy` for it in columns.yaml"
    )
    assert others[0] == "`boursomatic files inspect` shows each file, and what must be stated of it."
    assert others[1].startswith("What is stored stays as it is: run this again")
    refused = rows_of(metadata["refused_files"])
    assert [row["file"] for row in refused] == ["a.csv", "b.parquet"]
    assert str(refused[1]["reason"]).startswith("cannot be read as parquet: it is damaged")
    assert result.problems == (f"instruments: {first}",), "the command line shows the sentence alone"


@pytest.mark.parametrize(
    ("files", "declared", "sentence"),
    [
        ({}, "", "holds no file with bars: put some there, or set BOURSOMATIC_FILES to their folder"),
        ({"KO.csv": HEADER + ROW}, "'*': {zone: [", "columns.yaml cannot be read in line 1: it is no YAML. "),
        ({"KO.csv": HEADER + ROW}, "'*': {zone: Mars}", "KO.csv: columns.yaml: zone of '*' is 'Mars': wanted the"),
        (
            {"KO.parquet": DAMAGED},
            "",
            "KO.parquet: cannot be read as parquet: it is damaged, cut short or encrypted",
        ),
    ],
    ids=["no file", "columns.yaml is broken", "a wrong value", "damaged"],
)
def test_the_sentence_says_what_is_wrong_and_where(
    run: Run, dagster_instance: dg.DagsterInstance, files: dict[str, str | bytes], declared: str, sentence: str
) -> None:
    described, _ = failure_of(dagster_instance, run(files, declared=declared))
    assert sentence in described.splitlines()[0]


def test_what_may_not_be_opened_is_said_in_one_sentence(
    run: Run, dagster_instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars" / "KO.csv").symlink_to("/etc/hostname")
    described, _ = failure_of(dagster_instance, run({}))
    assert described.splitlines()[0].startswith(
        "KO.csv: is a link that leaves the folder: set BOURSOMATIC_FOREIGN"
    )


def test_a_missing_folder_is_said_in_one_sentence(
    run: Run, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path / "gone"))
    described, _ = failure_of(dagster_instance, execute(dagster_instance))
    assert described.startswith(
        f"{tmp_path / 'gone'} is no folder: set BOURSOMATIC_FILES to the folder with the bars\n"
    )


def test_twenty_refused_files_are_named_and_all_are_counted(
    run: Run, dagster_instance: dg.DagsterInstance
) -> None:
    """Good rows are loaded; what was refused stands beside the newest partition."""
    bad = {f"bad{number:02}.parquet": DAMAGED for number in range(25)}
    assert run({"KO.csv": HEADER + ROW + NEXT_ROW, **bad}, NEXT).success
    records = dagster_instance.fetch_materializations(dg.AssetKey("price_bars"), limit=9).records
    shown = {str(record.partition_key): record.asset_materialization for record in records}
    newest = shown[f"{NEXT}|US"]
    assert newest
    assert newest.metadata["run"].value["refused_files"] == 25  # type: ignore[index,call-overload]
    refused = rows_of(newest.metadata["refused_files"])
    assert [row["file"] for row in refused] == sorted(bad)[:20]
    earlier = shown[f"{FIRST}|US"]
    assert earlier
    assert "refused_files" not in earlier.metadata


def test_files_that_go_bad_within_a_run_fail_its_dates_with_one_reason(
    run: Run, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def emptied(self: Files, *_: object) -> pl.DataFrame:
        for path in self.folder.iterdir():
            path.write_bytes(DAMAGED)
        return genuine(self, *_)

    genuine = Files.bars
    monkeypatch.setattr(Files, "bars", emptied)
    for end in (FIRST, NEXT):
        described, metadata = failure_of(
            dagster_instance, run({"a.csv": HEADER.replace("Date", "symbol,Date") + "KO," + ROW}, end)
        )
        assert "a.csv: cannot be read" in described.splitlines()[0]
        assert [row["file"] for row in rows_of(metadata["refused_files"])] == ["a.csv"]
    assert described.startswith(
        f"price_bars: 2 of 2 partitions failed, 0 are written: US {FIRST}, US {NEXT}: a.csv: cannot be read"
    )
    assert [row["sessions"] for row in rows_of(metadata["failed"])] == [f"US {FIRST}", f"US {NEXT}"]


@pytest.mark.usefixtures("absorbed_errors")
def test_a_service_that_is_away_is_said_in_our_words(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(lambda _: Response(status=503)) as service:
        address = service.address
    away = Stooq(instruments_of(KO="NYSE"), "s3cret-key", quick_client(), address)
    monkeypatch.setattr(resources.BarSource, "configured", lambda self: away)
    described, _ = failure_of(dagster_instance, execute(dagster_instance))
    first, again = described.splitlines()
    assert first == "stooq: it does not answer (ConnectionRefusedError) (none of 1 instruments was delivered)"
    assert "once the service answers" in again
    assert "s3cret" not in json.dumps(described)


def test_a_session_that_is_not_over_is_one_sentence_too(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page can ask for today's partition before the close."""
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "simulated")
    (planned,) = launching.plan_backfill(("price_bars",), ["US"], [FIRST])
    monkeypatch.setattr(slices, "utc_now", lambda: dt.datetime(2024, 6, 13, 17))
    described, _ = failure_of(dagster_instance, launching.execute_run(planned, dagster_instance))
    assert described == (
        "the US session 2024-06-13 closes at 2024-06-13 20:00 UTC: ask for it after that, or for earlier sessions"
        " now"
    )
