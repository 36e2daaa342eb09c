"""A nemesis: what is asked of a place at random, and what goes wrong meanwhile; all of it follows from a seed.

What belongs here: operations, faults, and what holds after each. Kept elsewhere: for how long, and that it all
ends as a calm run of the same operations does (`tests/drills/test_nemesis.py`).
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from worlds import kept
from worlds.disks import MIB, Disk
from worlds.failpoints import Held
from worlds.forks import ForkingPlace

DAYS = ("2023-12-18", "2023-12-19", "2023-12-20", "2023-12-21", "2023-12-22", "2023-12-27", "2024-01-02")
MARKETS = ("US", "EURONEXT")
ASSETS = ("price_bars", "features", "recommendations", "track_record", "price_bars_15m")
VERSIONS = ("v2023.11.01", "v2023.12.01")
ARCHIVE = ("dagster", "job", "execute", "-m", "boursomatic_assets.definitions", "-j", "archive_15m_bars")

DONE_BEFORE = "is champion already"
"""What a promotion says that had been made before its process was killed."""

TABLES = "postgres/data/base"
"""The folder of the home that holds the tables: during a nemesis it is a disk of its own."""

ROOM, FULL_SECONDS = 4096 * MIB, 5.0
"""How much room that disk has, and for how long it has none."""

FURTHEST_POINTS = (30, 120, 500)
"""Points of a command among which it is held; one that has fewer meets no fault."""


@dataclass(frozen=True)
class Step:
    """An operation, and what goes wrong while it is held at a point of its work."""

    words: tuple[str, ...]
    fault: str
    point: int

    def __str__(self) -> str:
        return f"{' '.join(self.words)}; {self.fault} at point {self.point}"


def draw(chance: random.Random, backups: Path, symbol: str) -> Step:
    """The next step."""
    first, last = sorted(chance.choices(DAYS, k=2))
    market, asset = chance.choice(MARKETS), chance.choice(ASSETS)
    words = chance.choice(
        (
            ("materialize", asset, first, market),
            ("backfill", "--from", first, "--to", last, "--assets", "price_bars,features"),
            ("backfill", "--from", first, "--to", last, "--market", market),
            ("models", "promote", chance.choice(VERSIONS), "--because", "a drill", "--by", "ann"),
            ("refresh",),
            ("refresh", "--models"),
            ("reload", symbol),
            ARCHIVE,
            ("backup", str(backups), "--keep", "2"),
        )
    )
    return Step(words, chance.choice([*FAULTS]), chance.randint(1, chance.choice(FURTHEST_POINTS)))


def _end_backends(place: ForkingPlace, _held: Held, _tables: Disk) -> None:
    with place.connected() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


def _lock_a_table(place: ForkingPlace, held: Held, _tables: Disk) -> None:
    """Somebody locks a table for some seconds, in which the operation goes on until it needs it."""
    try:
        with place.connected() as connection, connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            connection.execute("LOCK TABLE price_bars IN ACCESS EXCLUSIVE MODE")
            held.go_on()
            time.sleep(3)
    except psycopg.errors.LockNotAvailable:  # the operation has it
        held.go_on()


def _fill_the_disk(_place: ForkingPlace, held: Held, tables: Disk) -> None:
    """The tables' disk has no room for some seconds, or until the operation has ended."""
    tables.leave(0)
    try:
        held.go_on()
        deadline = time.monotonic() + FULL_SECONDS
        while held.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        tables.leave(ROOM)


FAULTS: dict[str, Callable[[ForkingPlace, Held, Disk], None]] = {
    "nothing": lambda place, held, tables: None,
    "worker killed": lambda place, held, tables: held.kill(),
    "connections ended": _end_backends,
    "server stopped at once": lambda place, held, tables: place.stop_server(),
    "server killed": lambda place, held, tables: place.kill_server(),
    "table locked": _lock_a_table,
    "disk full": _fill_the_disk,
}


@dataclass
class History:
    """What was asked, and what came of it, as lines in a file."""

    place: ForkingPlace
    folder: Path
    tables: Disk
    steps: list[Step] = field(default_factory=list)

    def take(self, step: Step) -> None:
        """Take a step: let the fault happen, and ask again until the operation is done."""
        held = Held(self.place, self.folder / str(len(self.steps)), step.point, *step.words)
        at = held.await_point(300)
        if at is not None:
            FAULTS[step.fault](self.place, held, self.tables)
        ended = held.end(600)
        self.steps.append(step)
        with (self.folder / "history.txt").open("a") as file:
            file.write(f"{len(self.steps)}. {step} ({at or 'no such point'}): exit code {ended.returncode}\n")
            file.writelines(f"    {line}\n" for line in ended.stderr.splitlines()[-3:] if ended.returncode)
        if ended.returncode:
            again = self.place.run(*step.words)
            assert again.returncode == 0 or DONE_BEFORE in again.stderr, f"{step}: {again.stderr}"
        self.place.done("runs", "end-dead")
        found = violations(self.place)
        assert found == {}, f"{found}\n{self.told()}"

    def told(self) -> str:
        """The lines."""
        return (self.folder / "history.txt").read_text()


def violations(place: ForkingPlace) -> dict[str, object]:
    """What does not hold: one champion, nothing half, nothing left over."""
    active = place.rows("SELECT version FROM model_versions WHERE is_active")
    twice = place.rows(
        "SELECT instrument_id, profile, as_of FROM recommendations WHERE superseded_at IS NULL"
        " GROUP BY 1, 2, 3 HAVING count(*) > 1"
    )
    half = place.rows(
        "SELECT as_of FROM recommendations WHERE superseded_at IS NULL GROUP BY as_of HAVING count(*) % 3 > 0"
    )
    found = {"champions": [] if len(active) == 1 else active, "two current rows": twice, "half a session": half}
    found |= kept.held_by_nobody(place) | kept.unended(place) | {"stray files": kept.stray_files(place)}
    return {name: rows for name, rows in found.items() if rows}
