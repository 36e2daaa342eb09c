"""Passwords: any that is percent-encoded logs in through every door, and is in no argument of a process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from conftest import Admin
from psycopg import sql
from sqlalchemy import Engine, create_engine, text

from boursomatic_assets import database as db
from boursomatic_assets.orchestration.dagster_patches.storage import BoursomaticStorage

PASSWORDS = [
    "a@b%c:d/e?f#g",
    " two  words ",
    'it\'s "quoted" \\ `$HOME`',
    "mot de passé €中\N{GRINNING FACE}",
    "%40+&=;|",
]
WHO = "SELECT session_user"


@pytest.fixture(params=PASSWORDS, ids=range(len(PASSWORDS)))
def password(
    request: pytest.FixtureRequest, admin: Admin, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The password of a user of the database, set in both addresses."""
    name = f"{admin.prefix}user"
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with admin.connected() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), request.param))
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                *map(sql.Identifier, (str(database.url.database), name))
            )
        )
    host = quote(str(database.url.query.get("host") or database.url.host), safe="")
    port = f"&port={database.url.port}" if database.url.port else ""
    address = f"postgresql://{name}:{quote(request.param, safe='')}@/{database.url.database}?host={host}{port}"
    for variable in ("DATABASE_URL", "DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(variable, address)
    yield request.param
    db.disconnect()
    with admin.connected() as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(sql.Identifier(str(database.url.database)))
        )
        with psycopg.connect(admin.address(str(database.url.database)).replace("+psycopg", "")) as there:
            there.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_any_password_logs_in_through_every_door(admin: Admin, password: str) -> None:
    user = f"{admin.prefix}user"
    with db.engine().connect() as connection:
        assert connection.scalar(text(WHO)) == user
    with db.arrow_connection() as arrow, arrow.cursor() as cursor:
        cursor.execute(WHO)
        assert cursor.fetchone() == (user,)
    storage = BoursomaticStorage.from_config_value(None, {})
    with create_engine(storage.postgres_url).connect() as connection:
        assert connection.scalar(text(WHO)) == user
    assert storage.run_storage.get_runs_count() == 0
    for part in (storage.event_log_storage, storage.run_storage, storage.schedule_storage):
        part.dispose()


def test_psql_logs_in_and_has_the_password_in_no_argument(admin: Admin, password: str) -> None:
    arguments_of_psql = r"\! tr '\0' '\n' < /proc/$PPID/cmdline"
    program = Path(sys.executable).with_name("boursomatic")
    command = [program, "db", "psql", "-AtX", "-c", WHO, "-c", arguments_of_psql]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert result.stderr == ""
    user, *arguments = result.stdout.splitlines()
    assert user == f"{admin.prefix}user"
    assert any("dbname=" in argument for argument in arguments)
    assert not any(form in result.stdout for form in (password, quote(password, safe="")))
