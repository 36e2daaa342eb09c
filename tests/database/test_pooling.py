"""PgBouncer in front of the database: in session mode the platform works, and `doctor` knows any other mode."""

import re

import pytest
from sqlalchemy import Engine, make_url, text
from worlds import pgbouncer
from worlds.commands import boursomatic, error_line

from boursomatic_assets import database
from boursomatic_assets.database import pooling


def named(monkeypatch: pytest.MonkeyPatch, address: object) -> None:
    """Let a pooler be the database's address."""
    shown = make_url(address).render_as_string(hide_password=False)  # type: ignore[arg-type]
    monkeypatch.setenv("DATABASE_URL", shown)


def test_a_server_gives_each_client_a_session_of_its_own(migrated: Engine) -> None:
    assert not pooling.shares_sessions(database.database_url())


def test_in_session_mode_locks_hold_and_times_are_utc(
    migrated: Engine, dagster_instance: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer.in_front_of(database.database_url(), "session") as url:
        named(monkeypatch, url)
        assert re.search("ok +sessions +each client has one of its own", boursomatic("doctor").stdout)
        with database.engine().connect() as one, database.engine().connect() as other:
            assert one.scalar(text("SHOW timezone")) == "UTC"
            assert one.scalar(text("SELECT pg_try_advisory_lock(1)"))
            one.commit()
            assert not other.scalar(text("SELECT pg_try_advisory_lock(1)"))
        assert boursomatic("rejected").exit_code == 0
        database.disconnect()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("order", ["0", "1"])
def test_in_another_mode_doctor_says_what_to_do(
    mode: str, order: str, migrated: Engine, dagster_instance: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    further = f"{pgbouncer.IGNORED}\nserver_round_robin = {order}"
    with pgbouncer.in_front_of(database.database_url(), mode, further) as url:
        named(monkeypatch, url)
        if mode == "statement":  # it refuses transactions, so nothing works at all
            assert pooling.shares_sessions(url)
        else:
            assert re.search(
                "FAIL  sessions +clients share sessions, as behind PgBouncer with pool_mode = transaction, .*"
                "set pool_mode = session for this database there, or let DATABASE_URL name the server itself",
                boursomatic("doctor").stdout,
            )
        database.disconnect()


def test_a_pooler_that_refuses_options_is_told_to_ignore_them(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer.in_front_of(database.database_url(), "session", further="") as url:
        named(monkeypatch, url)
        line = error_line(boursomatic("rejected"))
    assert "refuses options: set ignore_startup_parameters = options in pgbouncer.ini" in line
