"""`boursomatic doctor`: one line for each thing that a run needs, and a failing exit code if one is missing."""

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import Engine
from worlds.commands import SECRET, boursomatic
from worlds.platform import execute

from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.cli.views.diagnosis import findings, server
from boursomatic_assets.database import server_time


def test_doctor_passes_on_a_healthy_platform(dagster_home: Engine) -> None:
    result = boursomatic("doctor")
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.output
    assert "v2024.02.01, its file is intact" in result.output


def test_doctor_shows_the_disk_of_the_embedded_database(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's database lies elsewhere, because PostgreSQL refuses to run as root."""
    (tmp_path / "elsewhere").mkdir()
    (home / "postgres").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(findings, "_CHECKS", {"disk": findings._CHECKS["disk"]})
    assert f" GiB free in {tmp_path}/elsewhere" in boursomatic("doctor").output
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ann@host/boursomatic")
    assert "elsewhere" not in boursomatic("doctor").output


def test_doctor_says_where_the_database_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@host/boursomatic")
    assert server._describe_server() == "at postgresql+psycopg://ann:***@host/boursomatic"
    monkeypatch.delenv("DATABASE_URL")
    assert server._describe_server() == f"the embedded server in {home / 'postgres'}"


def test_doctor_names_each_failure(dagster_home: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (home / "models").iterdir():
        path.unlink()
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "crystal_ball")
    execute(dagster_home, "UPDATE alembic_version SET version_num = '0001'")
    result = boursomatic("doctor")
    assert result.exit_code == 1
    failed = [line.removeprefix("FAIL").strip() for line in result.output.splitlines() if line.startswith("FAIL")]
    assert [line.split("  ")[0] for line in failed] == ["schema", "source of bars", "active model", "store"]


def test_doctor_and_status_say_that_the_broker_is_away(
    dagster_home: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And end well: what is stored is shown all the same."""
    assert "broker             none is set" in boursomatic("doctor").output
    monkeypatch.setenv("BOURSOMATIC_BROKER", f"redis://:{SECRET}@127.0.0.1:1/0")
    for command, code in (("doctor", 1), ("status", 0)):
        result = boursomatic(command)
        assert result.exit_code == code
        assert "the broker at redis://127.0.0.1:1/0 does not answer" in result.output
        assert SECRET not in result.output


def test_doctor_says_that_the_clock_is_wrong(dagster_home: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_time, "utc_now", lambda: utc_now() + dt.timedelta(days=1500))
    lines = boursomatic("doctor").output.splitlines()
    assert any(line.startswith("FAIL  clock ") and "1,500 days ahead of the database's" in line for line in lines)


def test_doctor_finds_bars_of_the_future(dagster_home: Engine) -> None:
    execute(dagster_home, "UPDATE price_bars SET ts = now()::date + 400 WHERE ts = '2024-02-28'")
    (line,) = [line for line in boursomatic("doctor").output.splitlines() if line.startswith("FAIL  clock ")]
    assert " bars lie in the future, the last on 20" in line


def test_doctor_of_a_database_without_tables_has_every_line(database: Engine) -> None:
    lines = boursomatic("doctor").output.splitlines()
    assert any(line.startswith("FAIL  schema ") and "boursomatic db upgrade" in line for line in lines)
    assert any(line.startswith("ok    disk ") for line in lines)


def test_doctor_says_that_it_does_not_know_how_far_the_markets_are(dagster_home: Engine) -> None:
    execute(dagster_home, "DROP TABLE delivered_sessions CASCADE")
    (line,) = [line for line in boursomatic("doctor").output.splitlines() if "  freshness  " in line]
    assert line.startswith('?     freshness          not known: the database says: relation "delivered_sessions"')


def test_doctor_reports_a_missing_server_without_the_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/boursomatic")
    result = boursomatic("doctor")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "does not answer" in result.output
    assert SECRET not in result.output


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_doctor_says_that_a_home_is_open_to_other_users(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setattr(findings, "_CHECKS", {"home": findings._CHECKS["home"]})
    assert boursomatic("doctor").exit_code == 0
    home.chmod(mode)
    told = boursomatic("doctor")
    assert told.exit_code == 1
    assert f"{home} is open to other users (mode {mode:o}): run `" in told.output
