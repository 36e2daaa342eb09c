"""Old slice or new, never half: commands are killed with SIGKILL at points of their work, and given again.

A point is a statement, a COPY, a commit and what follows it, an event of Dagster's, an fsync or a rename. Which
points are tried follows from a seed, BOURSOMATIC_DRILL_SEED; of each kind of point there is one at least.

After each kill every table is as it was or as it is to be, and the server holds nothing for the dead. At the end
`runs end-dead` ends its runs, the same command succeeds, the current rows are those of a calm run, and nothing is
left over: no lock, no temporary or staging table, no run, no claim, no file.

The long drill does so for each asset, the archive, and partitioning; its short twin for bars and the archive.
Migrations are drilled elsewhere.
"""

import datetime as dt
import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from worlds import failpoints, kept
from worlds.failpoints import Held
from worlds.forks import ForkingPlace

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))

KILLS = int(os.environ.get("BOURSOMATIC_DRILL_KILLS", "0")) or None
"""Kills of each command in the long drill; without it one at least for each kind of point."""

CHANGED = {"BOURSOMATIC_SIMULATED_SIGNAL": "0.9", "BOURSOMATIC_SIMULATED_INSTRUMENTS": "13"}
"""Another delivery of the same bars: with other prices, and an instrument more."""

SESSION, DUE = "2023-12-22", "2024-01-02"

RESTORE = ("archive", "restore")
"""The words of the command that puts archived bars back."""

RESTORED = (*RESTORE, "--from", SESSION, "--to", SESSION, "--market", "US")
ARCHIVE = ("dagster", "job", "execute", "-m", "boursomatic_assets.definitions", "-j", "archive_15m_bars")

YEARS = ("archive", "years", "--keep", str(dt.date.today().year - 2024), "--market", "US")
YEARS_BACK = (*RESTORE, "--from", "2023-01-01", "--to", "2023-12-31", "--market", "US")

RELATIONS = (
    "SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname IN ('public', 'partitions') ORDER BY 1, 2"
)
BARS = "SELECT i.symbol, b.ts, o, h, l, c, v FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"

UNNAMED = {"instruments", "files"}
"""What is there before the transaction that names it: an instrument is listed before bars say whether it trades,
and files are written one after the other before rows name them."""

PER_BATCH = 4
"""Kills before the command is given again and ends."""

_numbers = itertools.count()


def same_15m_bars(place: ForkingPlace) -> int:
    """How many 15m bars the table and the archive have together; one of a time counts once, and none differ."""
    stored = place.rows(f"{BARS} WHERE interval = '15m'")
    named = place.rows("SELECT name FROM archive_files WHERE superseded_at IS NULL ORDER BY name")
    files = [place.home / "archive" / name for (name,) in named]
    archived = [row for path in files for row in pl.read_parquet(path).select("symbol", "ts", *"ohlcv").rows()]
    return len({*stored, *archived})


def same_rows(place: ForkingPlace) -> list[str]:
    """The ids of the daily bars and features that tables and named files have together; none is in both."""
    stored = place.rows(
        "SELECT id::text FROM price_bars WHERE interval = 'daily' UNION ALL SELECT id::text FROM features"
    )
    named = place.rows("SELECT name FROM archive_files WHERE superseded_at IS NULL AND asset <> 'price_bars_15m'")
    moved = [
        row for (name,) in named for row in pl.read_parquet(place.home / "archive" / name).select("id").rows()
    ]
    return sorted(identifier for (identifier,) in [*stored, *moved])


@dataclass
class Case:
    """A command that is killed.

    Attributes:
        words: The command.
        before: What is done once, before it.
        changed: Whether the source delivers other bars to it.
        look: What stays the same all the time.
        step: A command that does what is done first, in a transaction of its own.
    """

    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    changed: bool = False
    look: Callable[[ForkingPlace], object] = field(default=lambda place: None)
    step: tuple[str, ...] = ()


def materialize(asset: str, session: str = SESSION) -> tuple[str, ...]:
    return ("materialize", asset, session, "US")


CASES = {
    "instruments and price_bars": Case(materialize("price_bars"), changed=True),
    "features": Case(materialize("features"), (materialize("price_bars"),), changed=True),
    "model_versions": Case(materialize("model_versions", DUE)),
    "recommendations": Case(
        materialize("recommendations"), (materialize("price_bars"), materialize("features")), changed=True
    ),
    "track_record": Case(
        materialize("track_record", "2024-01-24"),
        (("backfill", "--from", "2024-01-22", "--to", "2024-01-24", "--assets", "recommendations"),),
    ),
    "price_bars_15m": Case(materialize("price_bars_15m"), (materialize("price_bars_15m"),), changed=True),
    "archive_15m": Case(ARCHIVE, (materialize("price_bars_15m"),), look=same_15m_bars),
    "archive restore": Case(RESTORED, (materialize("price_bars_15m"), ARCHIVE), look=same_15m_bars),
    "archive years": Case(YEARS, look=same_rows),
    "archive restore, of years": Case(YEARS_BACK, (YEARS,), look=same_rows),
    "15m bars of an archived session": Case(
        materialize("price_bars_15m"), (materialize("price_bars_15m"), ARCHIVE), changed=True, step=RESTORED
    ),
    "features of a year in a file": Case(
        materialize("features"), (materialize("price_bars"), YEARS), changed=True, step=YEARS_BACK
    ),
    "db partition": Case(("db", "partition")),
    "db unpartition": Case(("db", "unpartition"), (("db", "partition"),)),
}


def test_killed_bars_are_old_or_new(small: ForkingPlace) -> None:
    small.done(*materialize("price_bars"))
    drill(small, Case(materialize("price_bars"), changed=True), kills=3)


def test_a_killed_archive_has_every_bar(small: ForkingPlace) -> None:
    small.done(*materialize("price_bars_15m"))
    drill(small, Case(ARCHIVE, look=same_15m_bars), kills=2)


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_is_killed_is_old_or_new(history: ForkingPlace, name: str) -> None:
    case = CASES[name]
    for words in case.before:
        # What is changed comes from an earlier asset, or with the command itself.
        history.settings |= CHANGED if case.changed and case.words != words else {}
        history.done(*words)
    drill(history, case, KILLS)


def drill(place: ForkingPlace, case: Case, kills: int | None = None) -> None:
    """Kill the command at points that the seed draws, and give it again after every few."""
    kept.keep(place, "before")
    old, stays = state(place), case.look(place)
    between = old
    if case.step:
        place.done(*case.step)
        between = state(place)
        kept.put_back(place, "before")
    place.settings |= CHANGED if case.changed else {}
    folder = place.home.parent / f"points {next(_numbers)}"
    trace = failpoints.points(place, folder, *case.words)
    new = state(place)
    assert new != old, "the command changes nothing"

    def states(table: str) -> tuple[object, ...]:
        return old[table], between[table], new[table]

    wanted = list(draw(trace, kills, random.Random(SEED)))
    reached = 0
    while wanted:
        kept.put_back(place, "before")
        for number in itertools.islice(iter(wanted[:]), PER_BATCH):
            wanted.remove(number)
            at = kill(place, number, case.words)
            reached += at is not None
            where = f"killed at {at}, seed {SEED}"
            assert kept.held_by_nobody(place) == {}, where
            found = state(place)
            half = [table for table in old.keys() - UNNAMED if found[table] not in states(table)]
            assert half == [], where
            assert {*found["files"]} <= {*old["files"], *new["files"]}, where
            assert case.look(place) == stays, where
            if found == new:
                break
        ends_like_a_calm_run(place, case, new, where)
    assert reached, "no point was reached"


def state(place: ForkingPlace) -> dict[str, Any]:
    """The current rows of each table, the tables, and the files of the archive."""
    files = sorted(str(path.relative_to(place.home)) for path in (place.home / "archive").rglob("*.parquet"))
    listed = place.rows("SELECT symbol, exchange, name FROM instruments ORDER BY 1, 2")
    return {**place.digests(), "listed": listed, "relations": place.rows(RELATIONS), "files": files}


def draw(trace: list[str], kills: int | None, chance: random.Random) -> Iterator[int]:
    """The numbers of points to kill at, in the order of chance: one of each kind, or so many of all kinds."""
    kinds: dict[str, list[int]] = {}
    for line in trace:
        number, what = line.split(" ", 1)
        kinds.setdefault(re.sub(r"\d+|\(.*", "", what)[:60], []).append(int(number))
    drawn = [chance.choice(numbers) for numbers in kinds.values()]
    chance.shuffle(drawn)
    if kills is None:
        yield from drawn
        return
    writing = [
        int(line.split()[0]) for line in trace if re.match(r"\d+ (commit|committed|copy|fsync|rename)", line)
    ]
    chosen = chance.sample(writing, min(kills - 1, len(writing)))
    yield from (*chosen, *drawn[: kills - len(chosen)])


def kill(place: ForkingPlace, number: int, words: tuple[str, ...]) -> str | None:
    """Kill the command at a point, and return the point; None if it had ended before."""
    held = Held(place, place.home.parent / f"held {next(_numbers)}", number, *words)
    at = held.await_point()
    held.kill()
    return at


def ends_like_a_calm_run(place: ForkingPlace, case: Case, new: dict[str, object], where: str) -> None:
    """End the dead, let an hour pass for their files, and give the command again."""
    place.done("runs", "end-dead")
    for path in place.home.rglob(".saving-*"):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    again = place.run(*case.words)
    assert again.returncode == 0, f"{where}: {again.stderr}"
    found = state(place)
    assert [table for table in new if found[table] != new[table]] == [], where
    assert kept.held_by_nobody(place) == {}, where
    assert kept.unended(place) == {}, where
    assert kept.stray_files(place) == [], where
