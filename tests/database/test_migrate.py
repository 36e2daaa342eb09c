"""Migration commands: the status, what they refuse, and their messages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Admin
from sqlalchemy import Engine, create_engine, make_url, text
from sqlmodel import Session
from worlds.place import PROGRAM
from worlds.platform import rows

from boursomatic_assets.database import DatabaseError, migrate
from boursomatic_assets.schema import Instrument

CHECKOUT = migrate.CONFIG.parent
HEAD = migrate.head_revision()
SCRIPT = CHECKOUT / "scripts" / "db_migration.sh"


def run(*words: str | Path, folder: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)


PRIVILEGES = """
SELECT relname AS name, relacl::text[] AS given FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname, proacl::text[] FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2
"""


def alembic(*words: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "alembic", *words)


# Status and errors


def test_status_shows_the_revision_and_the_pending_migrations(database: Engine) -> None:
    numbers = [f"{number:04}" for number in range(1, int(HEAD) + 1)]
    current, head, pending = migrate.status().splitlines()
    assert current == "current: base (no migration applied)"
    assert re.fullmatch(rf"head:    {HEAD} \([A-Z].+\.\)", head)
    assert pending == f"pending: {', '.join(numbers)}"
    migrate.upgrade("0001")
    first = "current: 0001 (The seven tables of the specification.)"
    assert migrate.status().splitlines() == [first, head, f"pending: {', '.join(numbers[1:])}"]
    migrate.upgrade()
    assert migrate.status().splitlines() == [head.replace("head:   ", "current:"), head, "pending: nothing"]


def test_code_refuses_a_database_that_is_behind(database: Engine) -> None:
    with pytest.raises(
        DatabaseError, match=rf"revision base but this code needs {HEAD}: run `boursomatic db upgrade`"
    ):
        migrate.require_current_schema(database)
    migrate.upgrade("0001")
    with pytest.raises(
        DatabaseError, match=rf"revision 0001 but this code needs {HEAD}: run `boursomatic db upgrade`"
    ):
        migrate.require_current_schema(database)
    migrate.upgrade()
    migrate.require_current_schema(database)


def test_code_refuses_a_database_that_newer_code_has_migrated(migrated: Engine) -> None:
    with migrated.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refusal = r"revision 9999, which this code does not know.*update this checkout"
    with pytest.raises(DatabaseError, match=refusal):
        migrate.require_current_schema(migrated)
    with pytest.raises(DatabaseError, match=refusal):
        migrate.upgrade()
    with pytest.raises(DatabaseError, match=refusal):
        migrate.downgrade("base")
    assert "9999 (unknown to this code" in migrate.status()
    assert "pending: unknown" in migrate.status()


def test_an_unknown_revision_is_reported(migrated: Engine) -> None:
    with pytest.raises(DatabaseError, match=r"cannot upgrade to 7777: .*'7777'"):
        migrate.upgrade("7777")


def test_plain_alembic_works_and_shows_no_password(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make_url(os.environ["DATABASE_URL"])
    password = url.password or Path(str(url.query["passfile"])).read_text().strip().rpartition(":")[2]
    with_password = url.set(password=password).render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", with_password)
    for words in ("history", "upgrade head", "current -v", "check", "downgrade -1", "upgrade head --sql"):
        ran = alembic(*words.split())
        assert ran.returncode == 0, ran.stderr
        assert password not in ran.stdout + ran.stderr
    assert migrate.current_revision(database) == f"{int(HEAD) - 1:04}"


def test_a_printed_upgrade_makes_the_same_database(
    migrated: Engine, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same privileges, for an administrator who runs it by hand."""
    monkeypatch.setenv("DATABASE_URL", admin.address(admin.create()))
    script = tmp_path / "upgrade.sql"
    script.write_text(alembic("upgrade", "head", "--sql").stdout)
    psql = (sys.executable, "-c", PROGRAM, "db", "psql", "--no-psqlrc", "--quiet")
    ran = run(*psql, "--set=ON_ERROR_STOP=1", f"--file={script}")
    assert ran.returncode == 0, ran.stderr
    assert alembic("check").returncode == 0
    printed = create_engine(os.environ["DATABASE_URL"])
    assert rows(printed, PRIVILEGES) == rows(migrated, PRIVILEGES)
    printed.dispose()


@pytest.mark.slow
def test_plain_alembic_reports_a_failed_connection_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ada:s3cret@127.0.0.1:1/boursomatic")
    ran = alembic("current")
    assert ran.returncode != 0
    assert ran.stdout.startswith("FAILED: ") and "127.0.0.1:1" in ran.stdout and ran.stdout.count("\n") == 1
    assert "Traceback" not in ran.stderr and "s3cret" not in ran.stdout + ran.stderr


# scripts/db_migration.sh


def test_the_script_works_from_any_folder_on_an_empty_database(database: Engine, tmp_path: Path) -> None:
    expected = {"create": None, "migrate": HEAD, "status": HEAD, "rollback": None, "recreate": HEAD}
    for action, revision in expected.items():
        ran = run(SCRIPT, action, folder=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(f"current: {revision or 'base'}")
        assert migrate.current_revision(database) == revision


@pytest.fixture
def with_a_row(migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.delenv("BOURSOMATIC_YES", raising=False)
    with Session(migrated) as session:
        session.add(Instrument(symbol="AAPL", exchange="NASDAQ"))
        session.commit()
    return migrated


@pytest.mark.parametrize("action", ["rollback", "recreate"])
def test_the_script_drops_rows_only_with_consent(with_a_row: Engine, action: str) -> None:
    ran = run(SCRIPT, action)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: this drops rows for good (1 in instruments): say --yes")
    assert migrate.row_counts(with_a_row)["instruments"] == 1
    assert run(SCRIPT, action, "--yes").returncode == 0
    assert sum(migrate.row_counts(with_a_row).values()) == 0


def test_the_environment_can_give_consent(with_a_row: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatabaseError):
        migrate.require_consent(yes=False)
    monkeypatch.setenv("BOURSOMATIC_YES", "1")
    migrate.require_consent(yes=False)


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["destroy"], ["migrate", "now"]], ids=str)
def test_the_script_shows_its_usage_after_a_wrong_call(words: list[str]) -> None:
    ran = run(SCRIPT, *words)
    assert ran.returncode != 0
    assert ran.stderr.startswith("usage: db_migration.sh")
    assert "{create,migrate,status,rollback,recreate}" in ran.stderr
