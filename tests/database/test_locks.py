"""Waiting: who waits for a lock says for whom; a command gives up after a stated time, with nothing written."""

import datetime as dt
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from worlds.commands import boursomatic
from worlds.platform import execute, rows

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import DatabaseError, database_url, locks, migrate
from boursomatic_assets.database.errors import is_lost
from boursomatic_assets.tables.claims import holding
from boursomatic_assets.tables.staging import lock_slice, transaction
from boursomatic_assets.vocabulary import Role

DAY = Slice(MARKETS["US"], [dt.date(2024, 2, 28)])
RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
SINCE = r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
NEW = "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'NEW', 'NYSE')"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits speaks soon, and has the patience that a test gives it."""
    monkeypatch.setattr(locks, "SAY_SECONDS", 0.3)
    monkeypatch.setattr(locks, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(locks, "patience", None)


@contextmanager
def held_by_psql(*statements: str, role: Role = "writer") -> Iterator[psycopg.Connection]:
    """The session of a person, in a transaction that holds what statements take."""
    address = database_url(role).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, application_name="psql") as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
        yield connection


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('features|US', 0))"


def writing(done: "list[str]", *statements: str) -> threading.Thread:
    """A thread that writes a slice, once it has its lock; what became of it goes to a list."""

    def write() -> None:
        try:
            with transaction() as connection:
                lock_slice(connection, "features", DAY)
                for statement in statements:
                    connection.execute(text(statement))
            done.append("written")
        except DatabaseError as error:
            done.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def eventually(seen: Callable[[], object], seconds: float = 20) -> object:
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_who_waits_says_for_whom_and_again_after_growing_pauses(
    migrated: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    done = list[str]()
    with held_by_psql(LOCK) as person:
        thread = writing(done, NEW)
        eventually(lambda: len(caplog.messages) >= 3)
        person.rollback()
        thread.join(20)
    assert done == ["written"]
    pattern = rf"waits for the lock of features US, for \d+ s: psql as \w+, {SINCE} has it"
    assert all(re.fullmatch(pattern, message) for message in caplog.messages)
    first, second, third = (record.created for record in caplog.records[:3])
    assert third - second > 1.5 * (second - first)


def test_a_table_that_is_locked_by_hand_is_waited_for_no_more_silently(
    migrated: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    done = list[str]()
    with held_by_psql("LOCK TABLE instruments IN SHARE MODE", role="owner") as person:
        thread = writing(done, NEW)
        eventually(lambda: caplog.messages)
        person.rollback()
        thread.join(20)
    told = r"waits for a table or a row, for \d+ s: psql as \w+ has it"
    assert re.fullmatch(told, caplog.messages[0]), "since when, the server tells of the same login alone"


def test_who_computes_for_long_without_waiting_says_nothing(
    migrated: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction() as connection:
        connection.execute(text("SELECT pg_sleep(1)"))
    assert caplog.messages == []


def test_a_connection_that_is_lost_while_it_is_watched_is_called_lost(migrated: Engine) -> None:
    """So that its work is done again, and does not end with what a transaction says that is over."""
    with pytest.raises(OperationalError) as lost, transaction() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        execute(migrated, f"SELECT pg_terminate_backend({pid})")
        connection.execute(text("SELECT 1"))
    assert is_lost(lost.value)


def test_a_run_that_has_the_lock_is_named_with_its_process(
    migrated: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    done = list[str]()
    with holding.held(RUN), transaction() as connection:
        lock_slice(connection, "features", DAY)
        thread = writing(done)
        eventually(lambda: caplog.messages)
    thread.join(20)
    assert re.search(rf": run 0f8fad5b \(process \d+ of \S+\), {SINCE} has it$", caplog.messages[0])


def test_a_command_gives_up_in_one_sentence_and_nothing_is_written(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_LOCK_WAIT", "1")
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_INSTRUMENTS", "2")
    monkeypatch.setenv("BOURSOMATIC_START", "2024-02-28")
    with held_by_psql(LOCK.replace("features", "price_bars")):
        result = boursomatic("materialize", "price_bars", "2024-02-28", "US")
    assert result.exit_code == 1
    assert re.search(r"\n +waits for the lock of price_bars US, for \d s: psql as ", result.stderr)
    gave_up = [line for line in result.stderr.splitlines() if "gave up" in line]
    assert len(gave_up) == 1
    assert re.search(
        rf"gave up after 1 s of waiting for the lock of price_bars US, which psql as \w+, {SINCE} has: give the"
        r" command again when that is over",
        gave_up[0],
    )
    assert rows(migrated, "SELECT * FROM price_bars") == []
    (run,) = dagster_instance.get_runs()
    logged = [entry.user_message for entry in dagster_instance.all_logs(run.run_id) if not entry.dagster_event]
    assert any("waits for the lock of price_bars US" in line for line in logged), logged
    assert boursomatic("materialize", "price_bars", "2024-02-28", "US").exit_code == 0


def test_migrations_wait_for_each_other_aloud_and_give_up_too(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "patience", 1.0)
    with (
        held_by_psql("SELECT pg_advisory_xact_lock(hashtext('alembic_version'))"),
        pytest.raises(DatabaseError, match=r"gave up after 1 s of waiting for the lock of migrations, which psql"),
    ):
        migrate.upgrade()
    assert re.match(r"waits for the lock of migrations, for \d s: psql as ", caplog.messages[0])
    migrate.upgrade()
    execute(migrated, NEW)
