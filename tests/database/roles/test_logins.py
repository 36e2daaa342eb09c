"""Logins: the embedded server's own, and those that an administrator makes with `boursomatic db grant`."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Admin
from sqlalchemy import Engine, text
from worlds.commands import boursomatic, error_line

from boursomatic_assets import database
from boursomatic_assets.database import migrate
from boursomatic_assets.vocabulary import GRANTED_ROLES


@pytest.fixture
def login(admin: Admin) -> Iterator[str]:
    """The name of a login without any privilege, on a server whose roles are there."""
    name = f"{admin.prefix}{uuid.uuid4().hex[:12]}"
    admin.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'p'")
    yield name
    admin.execute(f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')


def connect(name: str) -> psycopg.Connection:
    url = database.database_url("owner").set(username=name, password="p")
    return database.connect(url.difference_update_query(["passfile"]))


@pytest.mark.slow
def test_each_role_of_the_embedded_server_logs_in_as_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_ACCOUNTS_URL", "DATABASE_APP_URL"):
        monkeypatch.delenv(variable, raising=False)
    assert boursomatic("db", "upgrade").exit_code == 0
    for role in GRANTED_ROLES:
        with database.connect(database.database_url(role)) as connection:
            assert connection.execute("SELECT session_user").fetchone() == (role,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SET ROLE boursomatic")
    with database.connect(database.database_url()) as connection, pytest.raises(psycopg.Error, match="denied"):
        connection.execute("SELECT password_hash FROM users")
    passfiles = [*(home / "postgres").resolve().glob("passfile*")]
    assert len(passfiles) == 1 + len(GRANTED_ROLES)
    assert {path.stat().st_mode & 0o777 for path in passfiles} == {0o600}
    database.disconnect()


def test_a_member_of_a_role_has_its_rights_and_the_log_says_who_gave_them(migrated: Engine, login: str) -> None:
    result = boursomatic("db", "grant", "reader", "--to", login)
    assert f"{login} is a member of reader" in result.stdout
    with connect(login) as connection:
        assert connection.execute("SELECT count(*) FROM recommendations").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM users")
    with migrated.connect() as connection:
        log = connection.execute(text("SELECT subject, action FROM audit_log")).all()
    assert log == [("roles", f"{login} is a member of reader")]


def test_a_login_that_is_not_there_is_told(migrated: Engine) -> None:
    assert 'role "nobody_known" does not exist' in error_line(
        boursomatic("db", "grant", "app", "--to", "nobody_known")
    )
    assert boursomatic("db", "grant", "--password").exit_code == 2


def test_an_owner_who_may_not_create_roles_migrates_all_the_same(
    admin: Admin, database: Engine, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server without the roles; an administrator then runs what `db grant --sql` prints."""
    prefix = f"{admin.prefix}{uuid.uuid4().hex[:6]}_"
    monkeypatch.setenv("BOURSOMATIC_ROLE_PREFIX", prefix)
    name = database.url.database
    admin.execute(f'ALTER DATABASE "{name}" OWNER TO "{login}"')
    url = database.url.set(username=login, password="p").difference_update_query(["passfile"])
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    migrate.upgrade()
    assert f"may not create the roles {prefix}writer" in error_line(boursomatic("db", "grant"))
    statements = boursomatic("db", "grant", "--sql").stdout
    assert "CREATE ROLE" in statements
    with database.begin() as connection:
        connection.exec_driver_sql(statements)
    assert boursomatic("db", "grant").exit_code == 0
    with database.begin() as connection:
        connection.exec_driver_sql(f'REASSIGN OWNED BY "{login}" TO CURRENT_USER; DROP OWNED BY "{login}"')
    for role in GRANTED_ROLES:
        admin.execute(f'ALTER ROLE "{prefix}{role}" RENAME TO "{admin.prefix}{uuid.uuid4().hex[:12]}"')


def test_doctor_tells_a_role_that_may_do_more_than_a_writer_should(
    migrated: Engine, dagster_instance: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = [line for line in boursomatic("doctor").stdout.splitlines() if " privileges " in line]
    assert "may do what a writer must, and no more" in line
    monkeypatch.setenv("DATABASE_URL", migrated.url.render_as_string(hide_password=False))
    (line,) = [line for line in boursomatic("doctor").stdout.splitlines() if " privileges " in line]
    for surplus in ("superuser", "it owns tables", "read password hashes", "change what was recommended"):
        assert surplus in line
