"""Migrations beside each other, failing, killed, and beside readers and writers.

Promise: all or nothing, and readers wait for less than half a second. Up, down and up with data at each revision:
`tests/database/test_losses.py`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worlds.failpoints import Held
from worlds.place import Place, place

from boursomatic_assets.database.migrate import head_revision

REVISION = "SELECT version_num FROM alembic_version"
CATALOGUE = """
SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""
LONGEST_READ = 0.5


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path / "home", BOURSOMATIC_YES="1") as made:
        yield made


def alembic(here: Place, *words: str) -> str:
    """Run plain Alembic there."""
    config = Path(__file__).parents[2] / "alembic.ini"
    result = here.run("-c", str(config), *words, program=("-m", "alembic.config"))
    assert result.returncode == 0, result.stderr
    return result.stdout


def revision(here: Place) -> str:
    return str(here.rows(REVISION)[0][0])


def test_three_upgrades_at_once_all_succeed(here: Place) -> None:
    here.done("db", "rollback")
    upgrades = [here.start("db", "upgrade") for _ in range(3)]
    for upgrade in upgrades:
        _, errors = upgrade.communicate(timeout=300)
        assert upgrade.returncode == 0, errors
    assert revision(here) == head_revision()


def test_a_migration_that_fails_half_way_is_undone_and_those_before_it_stay(here: Place) -> None:
    """Migration 0015 makes a table that is there already."""
    alembic(here, "downgrade", "0013")
    before = here.rows(CATALOGUE)
    with here.connected() as connection:
        connection.execute("CREATE TABLE alerts (mine integer)")
    failed = here.run("db", "upgrade")
    assert failed.returncode == 1
    assert (
        'relation "alerts" already exists; that migration was undone, so the database is at 0014' in failed.stderr
    )
    assert failed.stderr.count("\n") == 1
    assert revision(here) == "0014"
    with here.connected() as connection:
        connection.execute("DROP TABLE alerts")
    alembic(here, "downgrade", "0013")
    assert here.rows(CATALOGUE) == before
    here.done("db", "upgrade")
    assert revision(here) == head_revision()


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(("ALTER TABLE model_decisions",), id="short"),
        pytest.param(
            (
                "CREATE TABLE",
                "UPDATE alembic_version",
                "commit platform",
                "committed platform",
                "CREATE INDEX",
                "GRANT",
            ),
            id="each kind",
            marks=pytest.mark.drill,
        ),
    ],
)
def test_an_upgrade_that_is_killed_leaves_whole_migrations_and_the_next_one_ends_it(
    here: Place, tmp_path: Path, points: tuple[str, ...]
) -> None:
    whole = here.rows(CATALOGUE)
    for number, point in enumerate(points):
        alembic(here, "downgrade", "0012")
        held = Held(here, tmp_path / str(number), point, "db", "upgrade")
        assert held.await_point(), f"no point has these words: {point}"
        held.kill()
        at = revision(here)
        assert "0012" <= at <= head_revision()
        here.done("db", "upgrade")
        assert here.rows(CATALOGUE) == whole, f"killed at {point}, at revision {at}"


class Reader:
    """Reads a table again and again; keeps how long the longest read took."""

    def __init__(self, here: Place, table: str) -> None:
        self.longest, self.reads = 0.0, 0
        self._here, self._table, self._over = here, table, threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        with self._here.connected() as connection:
            while not self._over.is_set():
                began = time.monotonic()
                connection.execute(f"SELECT count(*) FROM {self._table}".encode())
                self.longest, self.reads = max(self.longest, time.monotonic() - began), self.reads + 1
                time.sleep(0.005)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read as long as the context lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()


@pytest.mark.parametrize(
    "rounds", [pytest.param(1, id="short"), pytest.param(10, id="many", marks=pytest.mark.drill)]
)
def test_readers_wait_for_less_than_half_a_second_while_a_writer_keeps_a_migration_waiting(
    here: Place, rounds: int
) -> None:
    for _ in range(rounds):
        alembic(here, "downgrade", "0012")
        reader = Reader(here, "recommendations")
        with here.connected() as writer, reader.reading():
            writer.execute("BEGIN")
            writer.execute("LOCK TABLE recommendations IN ROW EXCLUSIVE MODE")  # as a run that writes does
            upgrade = here.start("db", "upgrade")
            while not here.rows("SELECT pid FROM pg_locks WHERE NOT granted"):
                assert upgrade.poll() is None, "it waits for the writer"
            time.sleep(5)
            assert upgrade.poll() is None, "it waits for the writer"
            writer.execute("COMMIT")
            _, errors = upgrade.communicate(timeout=120)
        assert upgrade.returncode == 0, errors
        assert "waits for the tables that a migration changes, for" in errors
        assert reader.reads > 100
        assert reader.longest < LONGEST_READ
        assert revision(here) == head_revision()
