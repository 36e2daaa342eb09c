"""Clocks: whatever the clock of the host or of the database says, nothing of the future is written.

Real commands under a moved clock (`tests/clock`), against a server that keeps another time, or the same. Closes of
every session are tested in `tests/calendars/`, claims with another clock in `tests/tables/claims/`, and the whole
suite runs on other days in `test_other_days.py`.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import clock
import pytest
from worlds.forks import ForkingPlace, import_paths
from worlds.place import PROGRAM, Place, place

FUTURE = "SELECT count(*) FROM price_bars WHERE ts > now()"

CLOSES = {
    "the Friday after Thanksgiving, a half day": ("2025-11-28", "2025-11-28 17:58", "2025-11-28 18:01"),
    "the last session of winter time": ("2026-03-06", "2026-03-06 20:58", "2026-03-06 21:01"),
    "the first session of summer time": ("2026-03-09", "2026-03-09 19:58", "2026-03-09 20:01"),
    "midnight UTC": ("2026-03-10", "2026-03-09 23:59:30", "2026-03-10 20:01"),
}
"""US sessions, a moment just before each is over, and one after it."""


def at(moment: str, where: Place, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with the clock of another moment, of its own and of a server that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (where.environment | {"PYTHONPATH": import_paths()}).items():
            patch.setenv(name, value)
        return clock.run(moment, sys.executable, "-c", PROGRAM, *words, capture_output=True, cwd=where.home)


def one_sentence(result: "subprocess.CompletedProcess[str]", *parts: str) -> None:
    """It was refused, in one sentence."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    for part in parts:
        assert part in line


def test_with_a_host_in_the_future_nothing_is_written(small: ForkingPlace) -> None:
    future = at("2030-01-15 12:00", small, "materialize", "price_bars", "2030-01-11", "US")
    one_sentence(future, "the clock of this machine is", "days ahead of the database's")
    assert small.rows("SELECT count(*) FROM price_bars") == [(0,)]
    assert small.rows("SELECT count(*) FROM run_claims") == [(0,)]


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "session", "said"),
    [("2030-01-15 12:00", "2024-01-11", "days ahead of"), ("2024-01-15 12:00", "2024-01-11", "days behind")],
)
def test_whatever_session_is_asked_for_a_wrong_host_writes_none(
    small: ForkingPlace, moment: str, session: str, said: str
) -> None:
    one_sentence(at(moment, small, "materialize", "price_bars", session, "US"), said)
    one_sentence(at(moment, small, "backfill", "--from", session, "--to", session), said)
    doctor = at(moment, small, "doctor")
    assert doctor.returncode == 1
    assert f"{said} the database's" in doctor.stdout
    assert small.rows("SELECT count(*) FROM price_bars") == [(0,)]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Place]:
    """A place of its own, whose server is down: whoever starts it gives it a clock."""
    (tmp_path / "homes").mkdir(mode=0o711)
    with place(tmp_path / "homes" / "home", BOURSOMATIC_START="2025-11-03") as made:
        made.done("db", "stop")
        yield made
        made.run("db", "stop")


@pytest.mark.drill
@pytest.mark.slow
def test_with_a_database_in_the_future_nothing_is_written(elsewhere: Place) -> None:
    assert at("2030-01-15 12:00", elsewhere, "db", "status").returncode == 0
    one_sentence(elsewhere.run("materialize", "price_bars", "2025-11-10", "US"), "behind the database's")
    assert elsewhere.rows("SELECT count(*) FROM price_bars") == [(0,)]


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("name", CLOSES)
def test_a_session_is_written_when_it_is_over_and_not_before(elsewhere: Place, name: str) -> None:
    session, before, after = CLOSES[name]
    early = at(before, elsewhere, "materialize", "price_bars", session, "US")
    assert early.returncode in (1, 2), early.stdout + early.stderr
    assert "Traceback" not in early.stderr
    assert elsewhere.rows("SELECT count(*) FROM price_bars") == [(0,)]
    elsewhere.done("db", "stop")
    done = at(after, elsewhere, "materialize", "price_bars", session, "US")
    assert done.returncode == 0, done.stderr
    ((stored, last),) = elsewhere.rows("SELECT count(*), max(ts)::date::text FROM price_bars")
    assert (stored > 0, last) == (True, session)
    assert elsewhere.rows(FUTURE) == [(0,)]
