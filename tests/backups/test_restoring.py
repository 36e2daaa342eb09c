"""A restored platform: equal rows, rights and files, in an empty place alone, of what is proven first."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from backups.conftest import MoveOn
from conftest import Admin
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import Engine, text
from worlds.accounts import ADA
from worlds.commands import boursomatic, error_line

from boursomatic_assets import database as db
from boursomatic_assets import settings
from boursomatic_assets.backups.folder import BackupFolder
from boursomatic_assets.backups.manifest import Manifest
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import dumps, migrate
from boursomatic_assets.tables.archive import files as archive_files

AT = dt.datetime(2024, 6, 10, 14)
ONE_BAR = pl.DataFrame(
    {"symbol": ["ACME"], "exchange": ["NYSE"], "ts": [AT], "interval": ["15m"], "created_at": [AT]}
    | {name: [9.0] for name in "ohlcv"}
)

RIGHTS = (
    "SELECT relname, relacl::text[], relrowsecurity, relforcerowsecurity FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'p') ORDER BY 1",
    "SELECT oid::regprocedure::text, prosecdef, proacl::text[], proconfig FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT * FROM pg_policies ORDER BY tablename, policyname",
    "SELECT attrelid::regclass::text, attname, attacl::text[] FROM pg_attribute WHERE attacl IS NOT NULL"
    " AND attrelid >= 16384 ORDER BY 1, 2",
    "SELECT nspacl::text[] FROM pg_namespace WHERE nspname = 'public'",
    "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
)


def rows(engine: Engine) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with engine.connect() as connection:
        return {
            table: sorted(connection.scalars(text(f"SELECT t::text FROM {table} t")))
            for table in dumps.row_counts(engine.url)
        }


def rights(engine: Engine) -> list[list[Any]]:
    """Who may do what, with everything that row-level security has; grants in any order."""
    with engine.connect() as connection:
        return [
            [
                tuple(sorted(cell) if isinstance(cell, list) else cell for cell in row)
                for row in connection.execute(text(query))
            ]
            for query in RIGHTS
        ]


def files(home: Path) -> dict[str, bytes]:
    found = (path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(home)): path.read_bytes() for path in found}


def the_set(folder: Path) -> Path:
    (name,) = BackupFolder(folder).names()
    return folder / "sets" / name


def rewritten(folder: Path, **fields: object) -> None:
    """Another manifest, as sound as the first."""
    found = BackupFolder(folder).manifest_of(the_set(folder).name)
    BackupFolder(folder).finish(the_set(folder).name, Manifest(**vars(found) | fields))  # type: ignore[arg-type]


def test_rows_rights_and_files_are_equal(whole: Engine, home: Path, folder: Path, move_on: MoveOn) -> None:
    assert boursomatic("backup", str(folder)).exit_code == 0
    kept, allowed, held = rows(whole), rights(whole), files(home)
    other = move_on()
    done = boursomatic("restore", str(folder), "--verify")
    assert done.exit_code == 0, done.output
    assert "checks passed; EURONEXT 2023-01-03 .. 2024-02-29 (297 sessions)" in done.stdout
    owner = db.engine("owner")
    restored = rows(owner)
    assert restored == kept
    assert len(kept["users"]) == len(kept["user_settings"]) == 1
    assert kept["recommendations"] and kept["audit_entries"] and kept["audit_log"]
    assert rights(owner) == allowed
    assert files(other) == held | {"audit-heads.jsonl": (other / "audit-heads.jsonl").read_bytes()}
    assert other.stat().st_mode & 0o777 == 0o700
    assert boursomatic("audit", "verify").exit_code == 0
    assert ADA in boursomatic("users", "list").stdout
    owner.dispose()


def test_the_rows_of_accounts_stay_hidden_from_others(whole: Engine, folder: Path, move_on: MoveOn) -> None:
    boursomatic("backup", str(folder))
    move_on()
    boursomatic("restore", str(folder))
    with db.engine("app").connect() as application:
        assert application.scalar(text("SELECT count(*) FROM users")) == 0
    with db.engine("writer").connect() as writer, pytest.raises(Exception, match="permission denied"):
        writer.execute(text("SELECT * FROM users"))


def test_an_owner_without_all_rights_loses_no_account(
    admin: Admin, cheap: None, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row-level security is forced on such an owner too; it dumps, and restores, all rows nevertheless."""
    login, password = f"{admin.prefix}plain", "p@ss:w/rd"
    admin.execute(f"CREATE ROLE \"{login}\" LOGIN CREATEROLE PASSWORD '{password}'")
    names = [admin.create() for _ in range(4)]
    for name in names:
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO "{login}"')

    def go_to(platform: str, dagster: str) -> None:
        for variable, name in (("DATABASE_URL", platform), ("DAGSTER_DATABASE_URL", dagster)):
            url = admin.url.set(drivername=settings.DRIVER, database=name, username=login, password=password)
            address = url.difference_update_query(["passfile"]).render_as_string(hide_password=False)
            monkeypatch.setenv(variable, address)

    go_to(*names[:2])
    migrate.upgrade()
    from boursomatic_assets.accounts import keeping

    keeping.create(ADA, "correct horse battery")
    kept = rows(db.engine("owner"))
    assert boursomatic("backup", str(folder)).exit_code == 0
    monkeypatch.setenv("BOURSOMATIC_HOME", str(home.with_name("another")))
    go_to(*names[2:])
    done = boursomatic("restore", str(folder))
    assert done.exit_code == 0, done.output
    assert rows(db.engine("owner")) == kept
    assert len(kept["users"]) == 1
    db.disconnect()
    for name in names:
        admin.drop(name)


def test_nothing_is_backed_up_where_rows_are_hidden(
    admin: Admin, whole: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, password = admin.create_login("reader")
    admin.execute(f'GRANT pg_read_all_data TO "{login}"')
    url = db.database_url("owner").set(username=login, password=password).difference_update_query(["passfile"])
    monkeypatch.setenv("DATABASE_OWNER_URL", url.render_as_string(hide_password=False))
    line = _last(boursomatic("backup", str(folder)))
    assert f"{login} may not see all rows of user_settings, users" in line
    assert BackupFolder(folder).names() == []


KINDS = {
    "manifest": "manifest.json",
    "platform": "boursomatic.dump",
    "dagster": "dagster.dump",
    "model": "models/",
    "archive": "archive/date=2023-02-01/market=US/bars.parquet",
    "log": "dagster/storage/run/compute_logs/step.out",
    "heads": "home/audit-heads.jsonl",
    "partition": "home/first_partition",
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_byte_is_named_before_anything_is_written(
    kind: str, small: Path, home: Path, move_on: MoveOn
) -> None:
    found, named = BackupFolder(small).manifest_of(the_set(small).name), KINDS[kind]
    path = the_set(small) / named
    if "/" in named:
        (one, *_) = [one for one in found.files if str(one).startswith(named)]
        path, named = small / "files" / one.content.sha256, str(one)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    other = move_on()
    done = boursomatic("restore", str(small), "--verify")
    assert done.exit_code == 1
    assert named in done.stderr.splitlines()[-1]
    assert not other.exists() or not any(other.iterdir())
    assert dumps.row_counts(db.database_url("owner")) == {}


@pytest.fixture
def small(migrated: Engine, dagster_instance: DagsterInstance, home: Path, folder: Path) -> Path:
    """A backup of a platform without rows, with a file of each kind."""
    for name in ("models/0.json", "archive/date=2023-02-01/market=US/bars.parquet"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text(name)
    for name in ("dagster/storage/run/compute_logs/step.out", "audit-heads.jsonl", "first_partition"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("2023-01-03\n" if name == "first_partition" else "")
    (home / "dagster/storage/run/compute_logs/step.out").write_text("a line")
    (home / "audit-heads.jsonl").write_text('{"database": "another"}\n')
    done = boursomatic("backup", str(folder))
    assert done.exit_code == 0, done.output
    return folder


def test_a_missing_part_is_named(small: Path, move_on: MoveOn) -> None:
    (the_set(small) / "dagster.dump").unlink()
    move_on()
    assert "dagster.dump" in _last(boursomatic("restore", str(small)))


def test_a_place_that_is_not_empty_is_refused(small: Path, home: Path, move_on: MoveOn) -> None:
    assert "is not empty, it has" in _last(boursomatic("restore", str(small)))
    other = move_on()
    (other / "models").mkdir(parents=True)
    (other / "models" / "of mine.json").write_text("")
    assert "models/of mine.json" in _last(boursomatic("restore", str(small)))
    (other / "models" / "of mine.json").unlink()
    with psycopg.connect(dumps.public_conninfo(db.database_url("owner"))) as connection:
        connection.execute("CREATE TABLE of_mine (i int)")
    assert "it has the tables of_mine" in _last(boursomatic("restore", str(small)))
    assert [path for path in other.rglob("*") if path.is_file()] == []


def test_a_newer_revision_is_refused(small: Path, move_on: MoveOn) -> None:
    rewritten(small, revision="9999", product="99.1")
    other = move_on()
    assert "has the revision 9999" in _last(boursomatic("restore", str(small)))
    assert not any(other.iterdir())


def test_an_older_revision_is_upgraded(
    database: Engine, dagster_instance: DagsterInstance, folder: Path, move_on: MoveOn
) -> None:
    """Files of its archive, which no row of that revision named, are read afterwards."""
    migrate.upgrade("0015")
    archived = settings.home() / "archive" / "date=2024-06-10" / "market=US" / "bars.parquet"
    archived.parent.mkdir(parents=True)
    ONE_BAR.write_parquet(archived)
    assert boursomatic("backup", str(folder)).exit_code == 0
    move_on()
    done = boursomatic("restore", str(folder))
    assert done.exit_code == 0, done.output
    assert f"the schema was upgraded from 0015 to {migrate.head_revision()}" in done.stdout
    assert boursomatic("status").exit_code == 0
    part = Slice(MARKETS["US"], (dt.date(2024, 6, 10),))
    assert [session.row_count for session in archive_files.archived_sessions(part)] == [1]


def test_what_went_on_is_ended(
    migrated: Engine, dagster_instance: DagsterInstance, folder: Path, move_on: MoveOn
) -> None:
    """Its process is one of another place: it would hold the queue, and `doctor` would call it dead."""
    run = create_run_for_test(dagster_instance, status=DagsterRunStatus.STARTED)
    with migrated.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO run_claims (id, run_id, host, pid) VALUES (gen_random_uuid(), :run, 'elsewhere', 1)"
            ),
            {"run": run.run_id},
        )
    boursomatic("backup", str(folder))
    move_on()
    done = boursomatic("restore", str(folder))
    assert "1 runs that went on then are ended as failed" in done.stdout
    assert "none is dead" in boursomatic("doctor").stdout
    with DagsterInstance.get() as instance:
        ended = instance.get_run_by_id(run.run_id)
        assert ended and ended.status is DagsterRunStatus.FAILURE


def test_a_restore_that_was_interrupted_is_known_as_such(small: Path, move_on: MoveOn) -> None:
    other = move_on()
    assert boursomatic("restore", str(small)).exit_code == 0
    found = BackupFolder(small).manifest_of(the_set(small).name)
    said = {"folder": str(small), "set": the_set(small).name, "sha256": found.sha256, "done": ""}
    (other / ".restoring").write_text(json.dumps(said))
    for words in (("backup", str(small)), ("backfill",), ("materialize", "features", "2024-01-02", "US")):
        assert "a restore into" in error_line(boursomatic(*words))
    assert "FAIL  home" in boursomatic("doctor").stdout
    assert boursomatic("restore", str(small)).exit_code == 0
    assert not (other / ".restoring").exists()


def _last(result: Any) -> str:
    assert result.exit_code == 1, result.output
    return str(result.stderr.splitlines()[-1])
