"""Settings: what cannot be meant is refused by name, with what may be set, before any work is done."""

import datetime as dt
import logging
import os
from pathlib import Path

import pytest
from sqlalchemy import Engine
from test_cli import boursomatic, refusal

from boursomatic_assets import settings

WRONG = {
    "BOURSOMATIC_LANGUAGE": ("de", "'de' is not known: set BOURSOMATIC_LANGUAGE to en or fr"),
    "BOURSOMATIC_EXTENDED_HOURS": ("true", "'true' is not known: set BOURSOMATIC_EXTENDED_HOURS to 0 or 1"),
    "BOURSOMATIC_SESSIONS_PER_RUN": (
        "0",
        "'0' is no count: set BOURSOMATIC_SESSIONS_PER_RUN to a number from 1 on",
    ),
    "BOURSOMATIC_SIMULATED_INSTRUMENTS": ("-1", "set BOURSOMATIC_SIMULATED_INSTRUMENTS to a number from 1 on"),
    "BOURSOMATIC_START": ("2024-02-30", "'2024-02-30' is no date: set BOURSOMATIC_START to YYYY-MM-DD"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["backfill", "materialize features 2024-02-28 US", "refresh", "dev"])
def test_what_cannot_be_meant_is_refused_before_any_work(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    value, said = WRONG[name]
    monkeypatch.setenv(name, value)
    assert said in refusal(boursomatic(*command.split()))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("date", ["1989-12-31", "2999-01-04"])
def test_a_first_date_that_no_calendar_has_is_refused(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    monkeypatch.setenv("BOURSOMATIC_START", date)
    with pytest.raises(
        settings.SettingError, match=f"^{date} is no first date: set BOURSOMATIC_START to one from 1990-"
    ):
        settings.start()


@pytest.mark.parametrize("command", ["backfill", "status", "db upgrade"])
def test_a_home_that_is_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    (tmp_path / "home").write_text("in the way")
    monkeypatch.setenv("BOURSOMATIC_HOME", str(tmp_path / "home"))
    said = f"{tmp_path}/home is no folder to write in (it is a file): set BOURSOMATIC_HOME to one of yours"
    assert said in refusal(boursomatic(*command.split()))


def test_a_home_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_HOME", "/proc/home")
    assert "/proc/home is no folder to write in (no such file" in refusal(boursomatic("status"))


def test_doctor_names_every_setting_that_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ann@127.0.0.1:1/boursomatic")
    for name, (value, _) in WRONG.items():
        monkeypatch.setenv(name, value)
    (line,) = [line for line in boursomatic("doctor").output.splitlines() if line.startswith("FAIL  settings")]
    assert all(said in line for _, said in WRONG.values())


def test_what_is_not_set_or_empty_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WRONG:
        monkeypatch.setenv(name, "")
    assert (settings.language(), settings.start()) == ("en", dt.date(2000, 1, 3))
    assert (settings.simulated_instruments(), settings.extended_hours()) == (24, False)
    settings.require_sound()


def test_folders_that_are_set_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_FILES", "bars")
    monkeypatch.setenv("BOURSOMATIC_ARCHIVE", "~/archive")
    monkeypatch.chdir(tmp_path)
    settings.make_paths_absolute()
    assert os.environ["BOURSOMATIC_FILES"] == f"{tmp_path}/bars"
    assert os.environ["BOURSOMATIC_ARCHIVE"] == str(Path.home() / "archive")


def test_the_ui_is_started_where_nothing_is_to_be_warned_of(
    migrated: Engine, dagster_instance: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster warns of every `dagster.yaml` that lies where it is started, and is not the instance's."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append(words))
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    monkeypatch.delenv("PYTHONWARNINGS")
    monkeypatch.chdir(tmp_path)
    assert boursomatic("dev", "--port", "3999").exit_code == 0
    assert Path.cwd() == Path(os.environ["DAGSTER_HOME"])
    assert Path(started[0][-1]).is_absolute()
    assert os.environ["PYTHONWARNINGS"] == "ignore:Function `dev_command` is superseded"


def test_the_daemons_first_start_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    from boursomatic_assets.orchestration.dagster_patches import storage  # noqa: F401 - as the daemon has it

    logger = logging.getLogger("dagster.daemon.EventLogConsumerDaemon")
    logger.warning("No cursor for event type RUN_FAILURE, ignoring older events")
    logger.warning("the server is gone")
    assert [record.message for record in caplog.records] == ["the server is gone"]
