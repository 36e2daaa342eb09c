"""A read replica: who only reads goes there when it has all that the primary has, and is told where it has not.

The replica is made by `boursomatic db replica create` of an embedded server with one row of each table.
"""

import datetime as dt
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Admin
from sqlalchemy import Engine, text
from worlds.commands import SECRET, boursomatic, error_line
from worlds.replicas import (
    READ_URL,
    Followed,
    followed,
    live_in,
    publish,
    reads_replica,
    writer_may_not_read,
)

from boursomatic_assets import database
from boursomatic_assets.checks import invariant
from boursomatic_assets.database import connections, embedded, replica
from boursomatic_assets.metrics.reading import Readings

pytestmark = pytest.mark.database

READING = [
    ("recommendations",),
    ("why", "NONE"),
    ("track-record",),
    ("track-record", "expected"),
    ("bars", "AAPL", "--from", "2024-01-05", "--to", "2024-01-05"),
    ("status",),
    ("rejected",),
    ("instruments", "list"),
    ("models", "list"),
    ("models", "show", "2024-01"),
    ("models", "live"),
]


@pytest.fixture(scope="module")
def shared(admin: Admin) -> Iterator[Followed]:
    """The home and its replica, shared by all tests; the server of the run is another, and has its own home."""
    folder = Path(tempfile.mkdtemp(prefix="followed-", dir=admin.run))
    folder.chmod(0o711)
    with followed(folder / "home") as world:
        yield world
    shutil.rmtree(folder)


@pytest.fixture
def world(shared: Followed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Followed]:
    """The home and its replica, which has all that the primary has."""
    live_in(shared, monkeypatch)
    embedded.ensure_running(shared.home)
    if embedded.status(shared.folder) is None:
        shared.create()
    shared.resume()
    yield shared
    live_in(shared, monkeypatch)
    database.disconnect()


def newest_session() -> str:
    """The newest session that a person sees."""
    done = boursomatic("recommendations", "--all", "--json")
    assert done.exit_code == 0, done.output
    return str(max(row["as_of"] for row in json.loads(done.stdout)))[:10]


def refused(*words: str) -> str:
    """Why a command of replicas was refused."""
    done = boursomatic("db", "replica", *words)
    assert done.exit_code == 1, done.output
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_that_only_reads_reads_the_replica(words: tuple[str, ...], world: Followed) -> None:
    with writer_may_not_read(world):
        world.catch_up()
        done = boursomatic(*words)
    assert "permission denied" not in done.output
    assert done.exit_code == (1 if "NONE" in words else 0), done.output


def test_without_the_setting_the_primary_is_read(world: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READ_URL)
    assert not reads_replica()
    with writer_may_not_read(world):
        assert "permission denied" in error_line(boursomatic("models", "list"))


def test_a_check_of_a_run_reads_the_replica(world: Followed) -> None:
    (rule,) = (rule for rule in invariant.all_invariants() if rule.name == "one_row_per_version")
    with writer_may_not_read(world):
        world.catch_up()
        assert invariant._look(rule, None).passed


def test_what_is_committed_is_seen_at_once_wherever_it_is_read(world: Followed) -> None:
    """A reader who comes right after a commit is often before the replica: it is waited for."""
    with database.engine().begin() as connection:
        connection.execute(text("UPDATE computed_sessions SET computed_at = '2024-01-01'"))
    for day in range(2, 22):
        with database.engine().begin() as connection:
            connection.execute(text("UPDATE computed_sessions SET computed_at = computed_at + interval '1 day'"))
        with replica.reading(), database.engine().connect() as connection:
            assert connection.scalar(text("SELECT pg_is_in_recovery()"))
            assert connection.scalar(text("SELECT max(computed_at) FROM computed_sessions")) == dt.datetime(
                2024, 1, day
            )


def test_a_replica_that_is_paused_is_not_read(world: Followed, absorbed_errors: list[str]) -> None:
    """Nobody sees an older newest session."""
    world.pause()
    publish(database.engine("owner"), dt.date(2024, 1, 8))
    assert newest_session() == "2024-01-08"
    (said,) = absorbed_errors
    assert re.search(r"the primary is read instead of the replica, .* is [\d,]+ bytes of the log behind", said)
    assert "its replay is paused: `SELECT pg_wal_replay_resume()` there ends that" in said
    assert re.search(
        "read replica: +is [0-9,]+ bytes of the log behind, and shows what", boursomatic("status").stdout
    )
    world.resume()
    absorbed_errors.clear()
    assert reads_replica()
    assert newest_session() == "2024-01-08"
    assert not absorbed_errors


def test_a_run_says_once_that_the_replica_is_behind(world: Followed, absorbed_errors: list[str]) -> None:
    assert reads_replica(verified=True)
    world.pause()
    publish(database.engine("owner"), dt.date(2024, 1, 8))
    assert not reads_replica(verified=True)
    assert not reads_replica(verified=True)
    assert len(absorbed_errors) == 1


def test_a_replica_that_was_killed_is_fallen_back_from_and_started_again(
    world: Followed, absorbed_errors: list[str]
) -> None:
    world.kill_replica()
    publish(database.engine("owner"), dt.date(2024, 1, 9))
    assert newest_session() == "2024-01-09"
    (said,) = absorbed_errors
    assert said.startswith("the primary is read instead of the replica, after AwayError: the server at ")
    assert said.endswith("start it, or correct BOURSOMATIC_READ_URL")
    doctor = boursomatic("doctor").stdout
    assert re.search("FAIL  read replica +the server at .* does not answer", doctor)
    assert re.search("FAIL  replication slots +boursomatic_replica_.* is not used and keeps [0-9,]+ MiB", doctor)
    world.create()
    assert reads_replica()


def test_where_the_primary_is_away_the_replica_answers_unverified(
    world: Followed, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    publish(database.engine("owner"), dt.date(2024, 1, 11))
    world.catch_up()
    newest = newest_session()
    monkeypatch.setenv("DATABASE_URL", world.address_of_primary())
    database.disconnect()
    embedded.stop(world.home)
    assert newest_session() == newest
    (said,) = absorbed_errors
    assert re.match(
        "unverified: the replica answers with what it had by 2.* UTC; newer sessions may be there,", said
    )
    done = boursomatic("status")
    assert done.exit_code == 0, done.output
    assert re.search("dead run: +not known: the server at", done.stdout)
    assert re.search("read replica: +not known: the server at", done.stdout)
    with pytest.raises(database.AwayError):
        reads_replica(verified=True)  # a check says nothing that is not sure


def test_where_both_are_away_the_command_says_so(
    world: Followed, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    nowhere = "postgresql+psycopg://ann@127.0.0.1:1/boursomatic"
    monkeypatch.setenv("DATABASE_URL", nowhere)
    monkeypatch.setenv(READ_URL, nowhere)
    done = boursomatic("models", "list")
    assert done.exit_code == 1
    assert "error: the server at 127.0.0.1:1 does not answer" in done.stderr


def test_no_password_of_the_replica_is_shown(
    world: Followed, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    monkeypatch.setenv(READ_URL, f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/boursomatic")
    shown = "".join(
        boursomatic(*words).output for words in (("models", "list"), ("status",), ("doctor",), ("settings",))
    )
    assert "127.0.0.1:1" in shown
    assert SECRET not in shown + "".join(absorbed_errors)


def test_a_server_that_follows_nobody_is_not_read(
    world: Followed, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    monkeypatch.setenv(READ_URL, world.address_of_primary())
    assert not reads_replica()
    assert "follows nobody: let it name a replica, or unset it" in absorbed_errors[0]


def test_a_replica_of_another_server_is_not_read(
    world: Followed, admin: Admin, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    for other in (admin.address("postgres"), world.address_of_primary().replace("@/boursomatic", "@/dagster")):
        monkeypatch.setenv("DATABASE_URL", other)
        assert not reads_replica()
        assert "names a replica of another server or database than DATABASE_URL" in absorbed_errors.pop()


def test_the_lag_is_a_figure(world: Followed, absorbed_errors: list[str]) -> None:
    def figures() -> dict[str, float]:
        return {
            sample.name.removeprefix("boursomatic_"): sample.value
            for metric in Readings().read()
            for sample in metric.samples
            if "repli" in sample.name
        }

    found = figures()
    assert (found["replica_up"], found["replica_lag_bytes"], found["replica_lag_seconds"]) == (1, 0, 0)
    assert found["replication_slot_used"] == 1
    world.pause()
    publish(database.engine("owner"), dt.date(2024, 1, 10))
    found = figures()
    assert found["replica_up"] == 1
    assert found["replica_lag_bytes"] > 0
    world.kill_replica()
    found = figures()
    assert "replica_lag_bytes" not in found
    assert (found["replica_up"], found["replication_slot_used"]) == (0, 0)
    world.create()


def test_a_replica_ends_without_a_trace_and_is_made_anew(world: Followed) -> None:
    slot = world.value(world.home, "SELECT slot_name FROM pg_replication_slots")
    done = boursomatic("db", "replica", "stop", str(world.folder))
    assert done.exit_code == 0, done.output
    assert "its slot on the server is dropped" in done.stdout
    assert not world.folder.exists()
    assert world.value(world.home, "SELECT count(*) FROM pg_replication_slots") == 0
    assert world.value(world.home, "SELECT count(*) FROM pg_roles WHERE rolreplication AND NOT rolsuper") == 0
    assert "there is no replica in" in refused("stop", str(world.folder))
    with world.superuser(world.home) as connection:  # as a creation that was killed leaves them behind
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
        connection.execute(f"CREATE ROLE {slot}".encode())
    world.create()


def test_a_replica_for_which_nothing_is_kept_is_not_started(world: Followed) -> None:
    world.kill_replica()
    world.value(world.home, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    line = refused("create", str(world.folder))
    assert line.endswith(f"end it with `boursomatic db replica stop {world.folder}`, and create it again")
    assert boursomatic("db", "replica", "stop", str(world.folder)).exit_code == 0
    world.create()


def test_a_folder_with_something_else_is_left_alone(world: Followed, tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("mine")
    assert "is not empty: name a folder that is, or that does not exist yet" in refused("create", str(tmp_path))
    for words in (("create", str(world.home)), ("stop", str(world.home))):
        assert "is no replica, or none any more: it is left alone" in refused(*words)
    assert (tmp_path / "letters").read_text() == "mine"
    assert embedded.status(world.home)
    slots = "SELECT count(*) FROM pg_replication_slots"
    assert world.value(world.home, slots) == 1, "what failed has left no slot behind"


def test_a_replica_of_a_foreign_server_is_made_where_that_runs(
    world: Followed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", world.address_of_primary())
    line = refused("create", str(tmp_path / "replica"))
    assert "make its replica where it runs, with pg_basebackup" in line


def test_a_server_that_follows_nobody_answers_for_no_primary(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    """A copy, or a replica that was promoted, while the primary is away."""
    monkeypatch.setenv("BOURSOMATIC_READ_URL", os.environ["DATABASE_URL"])
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ada@127.0.0.1:1/bars")
    with replica.reading():
        assert connections.reads_from.get() is None
    (said,) = absorbed_errors
    assert "the primary is waited for" in said
    assert "follows nobody" in said
