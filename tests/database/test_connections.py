"""Addresses, connections and creation: which database is used, always in UTC."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import Admin
from sqlalchemy import URL, Engine, NullPool, create_engine, text

from boursomatic_assets import database as db
from boursomatic_assets import settings
from boursomatic_assets.database import addresses, connections

NOW = "SELECT now()::timestamp"


def near_utc_now(moment: object) -> bool:
    assert isinstance(moment, datetime)
    return abs(moment - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)


# Addresses


def test_the_configured_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:pw@db.example:6543/prices?sslmode=require")
    url = db.database_url()
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database, url.query["sslmode"]) == (
        "db.example",
        6543,
        "prices",
        "require",
    )


def test_dagsters_storage_is_on_the_same_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ann:pw@db.example/prices?sslmode=require")
    url = db.dagster_url()
    assert (url.drivername, url.host, url.database) == ("postgresql+psycopg2", "db.example", "dagster")
    assert (url.password, url.query["sslmode"]) == ("pw", "require")


def test_dagsters_storage_may_be_on_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", "postgresql+psycopg2://ann@other.example/runs")
    assert (db.dagster_url().host, db.dagster_url().database) == ("other.example", "runs")


def test_without_an_address_the_embedded_server_is_used(home: Path) -> None:
    with db.engine().connect() as connection:
        assert connection.scalar(text("SELECT current_database()")) == "boursomatic"
        assert connection.scalar(text("SHOW data_directory")) == str((home / "postgres" / "data").resolve())
    assert db.engine().url.password is None
    with db.connect(db.dagster_url()) as connection:
        assert connection.info.dbname == "dagster"
    db.engine().dispose()


def test_the_home_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_HOME", str(tmp_path / "a" / "home"))
    assert settings.home() == tmp_path / "a" / "home"
    assert settings.home().stat().st_mode & 0o777 == 0o700


# Connections


def test_an_address_has_one_engine(database: Engine) -> None:
    assert db.engine() is database


def idle_arrow_connections() -> int:
    from boursomatic_assets.database import connections

    return sum(pool.checkedin() for pool in connections._arrow_pools.values())


def test_threads_that_begin_together_share_an_engine(database: Engine) -> None:
    """A second one would leave its connections open."""
    db.disconnect()
    with ThreadPoolExecutor(8) as threads:
        engines = {id(engine) for engine in threads.map(lambda _: db.engine(), range(64))}
    assert len(engines) == 1


def test_connections_to_an_earlier_address_are_closed_too(
    database: Engine, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = db.engine()
    with engine.connect() as connection:
        kept = connection.connection.driver_connection
    with db.arrow_connection():
        pass
    assert idle_arrow_connections() == 1
    monkeypatch.setenv("DATABASE_URL", admin.address("postgres"))
    db.disconnect()
    assert isinstance(kept, psycopg.Connection)
    assert kept.closed
    assert idle_arrow_connections() == 0


def test_connections_have_an_application_name(database: Engine) -> None:
    expected = f"boursomatic (process {os.getpid()} of {os.uname().nodename})"[:63]
    with database.connect() as connection:
        assert connection.scalar(text("SHOW application_name")) == expected


def test_both_ends_notice_that_the_other_vanished(
    admin: Admin, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TCP; what the address itself states stands."""
    for url, idle in (
        (db.database_url(), 30),
        (db.dagster_url(), 30),
        (db.database_url().update_query_dict({"options": "-c tcp_keepalives_idle=77"}), 77),
    ):
        options = addresses.options_in_utc(url)
        assert f"-c tcp_keepalives_idle={idle}" in options
        assert options.count("tcp_keepalives_idle") == 1
        assert "-c tcp_user_timeout=60000" in options
    for asked in (connections._conninfo(db.database_url()), db.dagster_url().render_as_string()):
        for name, value in addresses.KEEPALIVES.items():
            assert f"{name}={value}" in asked


def query_plainly(url: URL, query: str) -> object:
    """The result of a query by another client."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.scalar(text(query))


@pytest.fixture
def in_paris(admin: Admin, database: Engine) -> Engine:
    """A database whose own time zone is an hour or two ahead."""
    admin.execute(f"ALTER DATABASE \"{database.url.database}\" SET timezone = 'Europe/Paris'")
    assert not near_utc_now(query_plainly(database.url, NOW))
    return database


@pytest.mark.calendar
def test_engines_are_in_utc_on_a_server_in_paris(in_paris: Engine) -> None:
    with in_paris.connect() as connection:
        assert near_utc_now(connection.scalar(text(NOW)))


def test_psycopg_connections_are_in_utc_on_a_server_in_paris(in_paris: Engine) -> None:
    with db.connect(in_paris.url) as connection:
        (now,) = connection.execute(NOW).fetchone() or (None,)
        assert near_utc_now(now)


@pytest.mark.calendar
def test_arrow_connections_are_in_utc_on_a_server_in_paris(in_paris: Engine) -> None:
    with db.arrow_connection() as connection, connection.cursor() as cursor:
        cursor.execute(f"{NOW} AS now")
        assert near_utc_now(cursor.fetch_arrow_table()["now"][0].as_py())


def test_dagsters_connections_are_in_utc_on_a_server_in_paris(in_paris: Engine) -> None:
    assert near_utc_now(query_plainly(db.dagster_url(), NOW))


def test_options_of_the_address_are_kept(database: Engine) -> None:
    url = database.url.update_query_dict({"options": "-c work_mem=9MB"})
    with db.connect(url) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("9MB",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


@pytest.mark.parametrize("options", ["-c timezone=Europe/Paris", "-c TimeZone=Asia/Tokyo"])
def test_sessions_are_in_utc_whatever_the_address_says(database: Engine, options: str) -> None:
    with db.connect(database.url.update_query_dict({"options": options})) as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_what_arrow_does_not_commit_is_rolled_back(database: Engine) -> None:
    with db.arrow_connection() as arrow, arrow.cursor() as cursor:
        cursor.execute("CREATE TABLE lost (x int)")
    with database.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('lost')")) is None


SLEEPS = """
import signal, sys
from boursomatic_assets import database
signal.signal(signal.SIGINT, signal.default_int_handler)
with database.arrow_connection() as connection, connection.cursor() as cursor:
    print("asks", flush=True)
    try:
        cursor.execute("SELECT pg_sleep(2)")
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_while_arrow_reads_is_not_lost(database: Engine) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "asks\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


# Creation


CREATE = "from boursomatic_assets import database; database.create_databases()"


def test_several_processes_at_once_create_the_missing_databases(admin: Admin, home: Path) -> None:
    names = [f"{admin.prefix}{kind}_{os.getpid()}" for kind in ("made", "dagster")]
    addresses = dict(zip(("DATABASE_URL", "DAGSTER_DATABASE_URL"), map(admin.address, names), strict=True))
    command = [sys.executable, "-c", CREATE]
    processes = [subprocess.Popen(command, env=os.environ | addresses, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * 3
    for name in names:
        assert query_plainly(admin.url.set(database=name), "SHOW timezone") == "UTC"
        assert query_plainly(admin.url.set(database=name), "SHOW server_encoding") == "UTF8"
        admin.drop(name)


def test_creating_databases_that_exist_changes_nothing(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 42 AS answer"))
    db.create_databases()
    with database.connect() as connection:
        assert connection.scalar(text("SELECT answer FROM kept")) == 42
