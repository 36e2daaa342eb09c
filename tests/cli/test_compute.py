"""Commands that compute: which runs they start, and how a failed run is reported."""

import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus
from sqlalchemy import Engine
from worlds.commands import DAY, boursomatic, error_line
from worlds.platform import INSTRUMENTS, contents, execute, rows

from boursomatic_assets import settings
from boursomatic_assets.assets import recommendations
from boursomatic_assets.calendars import slices
from boursomatic_assets.cli import compute, launching
from boursomatic_assets.orchestration import progress


def test_an_open_session_is_refused(dagster_home: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "utc_now", lambda: dt.datetime(2024, 2, 28, 17))
    for words in (("materialize", "price_bars", DAY, "US"), ("backfill", "--from", DAY, "--to", DAY)):
        assert f"the US session {DAY} closes at {DAY} 21:00 UTC" in error_line(boursomatic(*words))


def broken_folder(tmp_path: Path, problem: str) -> Path:
    folder = tmp_path / "bars"
    if problem != "is no folder":
        folder.mkdir()
    if problem == "no column is known as volume":
        (folder / "bars.csv").write_text("symbol,exchange,ts,o,h,l,c\nA,NYSE,2024-02-28,1,1,1,1\n")
    return folder


@pytest.mark.parametrize("problem", ["is no folder", "holds no file with bars", "no column is known as volume"])
def test_a_folder_without_readable_bars_fails_the_run(
    dagster_home: Engine, tmp_path: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = broken_folder(tmp_path, problem)
    monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
    before = contents(dagster_home)
    result = boursomatic("materialize", "price_bars", DAY, "US")
    assert result.exit_code == 1
    problem_line, error = result.stderr.splitlines()[-2:]
    assert problem in problem_line
    assert error.startswith("error: the run failed: instruments, price_bars US 2")
    assert "Traceback" not in result.output
    assert contents(dagster_home) == before


def test_an_unknown_source_fails_the_run(dagster_home: Engine) -> None:
    """A process of its own, because the definitions read the source when they are loaded."""
    before = contents(dagster_home)
    code = "from boursomatic_assets.cli import main; main()"
    command = [sys.executable, "-c", code, "materialize", "price_bars", DAY, "US"]
    environment = os.environ | {"BOURSOMATIC_SOURCE": "crystal_ball"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no source 'crystal_ball': set BOURSOMATIC_SOURCE to simulated, files" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the run failed: instruments, price_bars")
    assert "Traceback" not in done.stderr
    assert contents(dagster_home) == before


def test_a_damaged_model_file_fails_the_run(dagster_home: Engine, home: Path) -> None:
    for path in (home / "models").iterdir():
        path.write_text("tree\n")
    before = contents(dagster_home)
    result = boursomatic("materialize", "recommendations", DAY, "US")
    assert result.exit_code == 1
    assert "is damaged" in result.stderr.splitlines()[-2]
    assert result.stderr.splitlines()[-1].startswith("error: the run failed: recommendations")
    assert contents(dagster_home) == before


def test_one_partition_is_computed(dagster_home: Engine) -> None:
    execute(dagster_home, f"DELETE FROM features WHERE ts = '{DAY}'")
    result = boursomatic("materialize", "features", DAY, "US")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("[1/1] features")
    assert len(rows(dagster_home, f"SELECT FROM features WHERE ts = '{DAY}'")) == INSTRUMENTS


def test_a_date_on_which_the_market_is_closed_is_told_so(dagster_home: Engine) -> None:
    result = boursomatic("materialize", "features", "2024-02-19", "US")
    assert result.exit_code == 0
    assert result.stdout.startswith("US is closed on 2024-02-19: the partition has no rows\n[1/1] features ")
    assert "features: the market is closed on these dates, " in result.stderr


def test_assets_may_be_listed_with_spaces(dagster_home: Engine) -> None:
    result = boursomatic(
        "backfill", "--from", DAY, "--to", DAY, "--market", "US", "--assets", "price_bars, features"
    )
    assert result.exit_code == 0, result.output
    assert "[1/1] instruments, price_bars, features " in result.output


def test_a_backfill_of_one_market_warns_that_models_learn_from_both(dagster_home: Engine) -> None:
    command = ("backfill", "--from", "2024-02-27", "--to", DAY, "--market", "US")
    assert "warning" not in boursomatic(*command, "--assets", "model_versions").stderr
    execute(dagster_home, "DELETE FROM computed_sessions WHERE asset = 'features' AND market = 'EURONEXT'")
    warning = boursomatic(*command, "--assets", "model_versions").stderr.splitlines()[0]
    assert warning.startswith("warning: EURONEXT has features on 0 of its 2 sessions in this range")
    assert (
        "boursomatic backfill --market EURONEXT --assets instruments,price_bars,features --from 2024-02-27"
        in warning
    )
    assert "warning" not in boursomatic(*command, "--assets", "features").stderr


def test_an_unreadable_file_is_reported_by_name(
    dagster_home: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], tmp_path / "bars")
    (tmp_path / "bars/notes.txt").write_text("nothing of interest\n")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path / "bars"))
    result = boursomatic("backfill", "--from", DAY, "--to", DAY, "--assets", "price_bars")
    assert result.exit_code == 0
    warnings = [line for line in result.output.splitlines() if "warn: price_bars.no_row_was_refused" in line]
    assert len(warnings) == 2
    assert all(": 1 warning, such as refused notes.txt: " in line for line in warnings)
    (told,) = [line for line in boursomatic("status").output.splitlines() if "notes.txt" in line]
    assert re.match(r"(rejected )?file: +notes\.txt: ", told)


CORRECTION = (
    "UPDATE computed_sessions SET changed_at = clock_timestamp() WHERE asset = 'price_bars' AND market = 'US'"
    " AND session >= '2024-02-28'"
)


def test_a_correction_makes_sessions_stale_until_refresh(dagster_home: Engine) -> None:
    execute(dagster_home, CORRECTION)
    shown = boursomatic("status").output
    assert "stale:            features US 2024-02-28 .. 2024-02-29 (2 sessions)" in shown
    assert "stale:            recommendations US 2024-02-28 .. 2024-02-29 (2 sessions)" in shown
    recommendations = "SELECT t.xmin::text, t.*::text FROM recommendations t ORDER BY id"
    before = rows(dagster_home, recommendations)
    result = boursomatic("refresh")
    assert result.exit_code == 0
    assert "[1/2] features                           US       2024-02-28 .. 2024-02-29" in result.output
    assert "[2/2] track_record                       US       2024-02-28 .. 2024-02-29" in result.output
    assert "stale:            features" not in boursomatic("status").output
    assert rows(dagster_home, recommendations) == before
    assert boursomatic("refresh").output == "no features or scores are stale\n"


def test_a_reload_loads_the_whole_past_of_an_instrument(filled: Engine) -> None:
    (run,) = launching.plan_reload("SIMU001")
    assert str(run).split() == ["instruments,", "price_bars", "US", "2023-01-03", "..", "2024-02-29"]


PIECES = ("backfill", "--from", "2024-02-01", "--to", "2024-02-27", "--assets", "recommendations,track_record")


def test_each_piece_is_told_here_and_in_the_log_of_the_run(
    dagster_home: Engine, dagster_instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommendations, "BARS_PER_CHUNK", 10 * INSTRUMENTS)
    result = boursomatic(*PIECES[:-1], "recommendations", "--market", "US")
    assert result.exit_code == 0
    pieces = [line.strip() for line in result.stderr.splitlines() if "of 18 sessions" in line]
    assert [piece.partition(",")[0] for piece in pieces] == [
        "recommendations: 10 of 18 sessions",
        "recommendations: 18 of 18 sessions",
    ]
    (run,) = dagster_instance.get_runs()
    logged = [entry.user_message for entry in dagster_instance.all_logs(run.run_id)]
    assert [line for line in logged if line in pieces] == pieces


def test_an_interrupted_backfill_says_what_is_done_and_goes_on_when_it_is_given_again(
    dagster_home: Engine, dagster_instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the first ten sessions of the first of four runs."""
    monkeypatch.setattr(recommendations, "BARS_PER_CHUNK", 10 * INSTRUMENTS)
    with monkeypatch.context() as patched:
        told = progress.Progress.add

        def interrupt(self: progress.Progress, piece: slices.Slice, rows: int) -> None:
            told(self, piece, rows)
            os.kill(os.getpid(), signal.SIGINT)

        patched.setattr(progress.Progress, "add", interrupt)
        result = boursomatic(*PIECES)
    assert result.exit_code == 130, result.output
    *_, stopped, of, piece, remedy = result.stderr.splitlines()
    assert stopped == "stopped: 0 of 2 runs are done"
    assert of == "of recommendations, track_record US 2024-02-01 .. 2024-02-27 is written:"
    assert piece.startswith("  recommendations: 10 of 18 sessions")
    assert remedy == "to go on, give the same command again: what is written stays as it is"
    (run,) = dagster_instance.get_runs()
    assert run.status == DagsterRunStatus.CANCELED
    made = dagster_instance.get_materialized_partitions(AssetKey("recommendations"))
    assert (min(made), max(made), len(made)) == ("2024-02-01|US", "2024-02-14|US", 10)
    assert boursomatic(*PIECES).exit_code == 0


def test_a_new_home_begins_where_its_first_backfill_does(
    migrated: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first session on; an earlier backfill moves it, a later one, or one of no session, does not."""
    monkeypatch.setattr(settings, "records_start", lambda: True)
    begun = list[dt.date | None]()
    for start, end in (
        ("1999-12-31", "2024-06-14"),
        ("2024-06-08", "2024-06-09"),
        ("2024-06-08", "2024-06-14"),
        ("2024-06-12", "2024-06-14"),
        ("2024-06-03", "2024-06-04"),
        ("2999-01-04", "2999-01-05"),
    ):
        compute._let_partitions_begin(dt.date.fromisoformat(start), dt.date.fromisoformat(end))
        begun.append(settings.first_partition.read(home))
    monday, week_before = dt.date(2024, 6, 10), dt.date(2024, 6, 3)
    assert begun == [None, None, monday, monday, week_before, week_before]


def test_a_home_that_has_bars_keeps_its_partitions(
    readable: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "records_start", lambda: True)
    compute._let_partitions_begin(dt.date(2024, 6, 3), dt.date(2024, 6, 4))
    assert settings.first_partition.read(home) is None
