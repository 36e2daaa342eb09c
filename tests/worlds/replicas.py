"""A home with an embedded server of its own, and a replica of it that the command has made.

What belongs here: making both once for a file of tests, and what is done to them.
"""

import contextlib
import datetime as dt
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import HOME, remove_home
from sqlalchemy import Engine
from sqlmodel import Session, select

from boursomatic_assets import database
from boursomatic_assets.database import replica
from boursomatic_assets.database.embedded.cluster import find_cluster
from boursomatic_assets.database.roles import logins
from boursomatic_assets.schema import Instrument, ModelVersion, Recommendation
from worlds.commands import boursomatic
from worlds.rows import one_of_each

READ_URL = "BOURSOMATIC_READ_URL"
PATIENCE_SECONDS = 30


class Followed:
    """The home, the folder of the replica, and the address that the command printed."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.url = ""

    def create(self) -> None:
        """Make the replica, or start it, by the command."""
        done = boursomatic("db", "replica", "create", str(self.folder))
        assert done.exit_code == 0, done.output
        variable, _, self.url = done.stdout.strip().partition("=")
        assert variable == READ_URL

    @contextlib.contextmanager
    def superuser(self, place: Path) -> Iterator[psycopg.Connection]:
        """A superuser's connection in autocommit mode to the server of a folder: `home` or `folder`."""
        cluster = find_cluster(place)
        with psycopg.connect(
            host=str(cluster.socket), user="boursomatic", dbname="boursomatic", passfile=str(cluster.passfile),
            autocommit=True,
        ) as connection:  # fmt: skip
            yield connection

    def value(self, place: Path, query: str) -> object:
        """The one value of a query."""
        with self.superuser(place) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row and row[0]

    def pause(self) -> None:
        """Let the replica replay nothing from now on, though it receives."""
        self.value(self.folder, "SELECT pg_wal_replay_pause()")
        self._await("SELECT pg_get_wal_replay_pause_state() = 'paused'")

    def resume(self) -> None:
        """Let it replay, and wait until it has all."""
        self.value(self.folder, "SELECT pg_wal_replay_resume()")
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until the replica has what the primary has now."""
        lsn = self.value(self.home, "SELECT pg_current_wal_flush_lsn()")
        self._await(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'")

    def _await(self, query: str) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.value(self.folder, query):
            assert time.monotonic() < until, query
            time.sleep(0.05)

    def kill_replica(self) -> None:
        """Kill the replica at once."""
        lock = find_cluster(self.folder).data / "postmaster.pid"
        pid = int(lock.read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + PATIENCE_SECONDS
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < until
            time.sleep(0.05)

    def address_of_primary(self) -> str:
        """The primary's address, of which nothing starts the server."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.delenv("DATABASE_URL", raising=False)
            return database.database_url().render_as_string(hide_password=False)


@contextlib.contextmanager
def followed(home: Path) -> Iterator[Followed]:
    """A migrated home with one row of each table, and its replica; both servers end with the context.

    Servers of root enter both folders, so that they lie where the home does: in memory, if there is enough.
    """
    world = Followed(home, home.with_name("replica"))
    for folder in (world.home, world.folder):
        folder.mkdir()
        folder.chmod(0o711)
    with pytest.MonkeyPatch.context() as monkeypatch:
        live_in(world, monkeypatch)
        try:
            done = boursomatic("db", "upgrade")
            assert done.exit_code == 0, done.output
            with world.superuser(home) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            with Session(database.engine("owner")) as session:
                for row in one_of_each():
                    session.add(row)
                    session.flush()
                session.commit()
            world.create()
            yield world
        finally:
            live_in(world, monkeypatch)
            database.disconnect()
            boursomatic("db", "replica", "stop", str(world.folder))
            database.disconnect()
            remove_home(home)


def live_in(world: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands use the home and, once there is one, the replica."""
    monkeypatch.setenv(HOME, str(world.home))
    for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL", "DAGSTER_HOME", READ_URL):
        monkeypatch.delenv(name, raising=False)
    if world.url:
        monkeypatch.setenv(READ_URL, world.url)


def publish(engine: Engine, session: dt.date) -> None:
    """Publish a piece of advice for a session, as the newest."""
    as_of = dt.datetime.combine(session, dt.time(21))
    with Session(engine) as writing:
        model = writing.exec(select(ModelVersion)).one()
        share = Instrument(symbol=f"S{uuid.uuid4().hex[:6]}", exchange="NASDAQ")
        writing.add(share)
        writing.flush()
        writing.add(
            Recommendation(
                instrument_id=share.id,
                model_version_id=model.id,
                profile="moderate",
                label="BUY",
                confidence=0.5,
                features_snapshot={"rsi_14": 50.0},
                as_of=as_of,
            )
        )
        writing.commit()


def reads_replica(*, verified: bool = False) -> bool:
    """Whether what only reads goes to the replica now."""
    with replica.reading(verified=verified), database.engine().connect() as connection:
        return bool(connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar())


@contextlib.contextmanager
def writer_may_not_read(world: Followed) -> Iterator[None]:
    """Take all rows but those of claims from the writer, so that he reads nothing on the primary."""
    with world.superuser(world.home) as connection:
        connection.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM writer")
        connection.execute("GRANT SELECT ON run_claims TO writer")
    try:
        yield
    finally:
        logins.grant()
