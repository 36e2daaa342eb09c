"""What asks a clock or a calendar holds on any day: the tests marked `calendar` run on each of these.

Three of the days are tried by `make test`, the short twin of the drill that tries the others (`make drills`).

Each day is a run of its own, whose clock began at that moment for the product, for the tests and for the server
alike (`clock/`). The whole suite runs on another day by `make test-on DAY="2026-11-29 12:00"`.
"""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import clock
import pytest
from conftest import Admin

TESTS = Path(__file__).parent
MARK = "pytest.mark.calendar"

MOMENTS = {
    "a Saturday": "2026-11-28 12:00",
    "Christmas, both markets closed": "2026-12-25 15:00",
    "the last half hour of a year": "2026-12-31 23:30",
    "the first half hour of the next": "2027-01-01 00:30",
    "Easter Monday, only New York open": "2027-03-29 12:00",
    "a leap day": "2028-02-29 12:00",
    "after an early close of New York": "2026-11-27 19:30",
    "a Sunday, New York's clocks have just gone forward": "2027-03-14 07:30",
    "New York's clocks have just gone back": "2026-11-01 06:30",
    "Europe's clocks have just gone back": "2026-10-25 01:30",
    "a Wednesday of the next decade": "2030-06-12 12:00",
}

SHORT = {
    "Christmas, both markets closed",
    "the last half hour of a year",
    "a Sunday, New York's clocks have just gone forward",
}
"""The days of the short twin."""

LONGEST = dt.timedelta(hours=2)
"""The whole suite takes less."""


@pytest.mark.database
@pytest.mark.skipif(sys.platform != "linux", reason="the clock is set by the loader of Linux")
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moment, id=day, marks=() if day in SHORT else pytest.mark.drill)
        for day, moment in MOMENTS.items()
    ],
)
def test_what_asks_a_clock_or_a_calendar_holds_on_another_day(moment: str) -> None:
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if MARK in path.read_text()]
    alone = ["-p", "no:xdist", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *alone, "-m", "calendar and not drill", *files]
    done = clock.run(moment, *command, cwd=TESTS.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == pytest.ExitCode.OK, done.stdout  # no test at all is an exit code of its own


@pytest.mark.calendar
def test_the_clock_is_one_for_python_its_children_and_the_server(admin: Admin) -> None:
    before = dt.datetime.now(dt.UTC)
    child = [sys.executable, "-c", "import datetime as dt; print(dt.datetime.now(dt.UTC).isoformat())"]
    of_child = subprocess.run(child, env={}, capture_output=True, text=True, check=True).stdout
    with admin.connected() as connection:
        (of_server,) = connection.execute("SELECT clock_timestamp()").fetchone() or ()
    after = dt.datetime.now(dt.UTC)
    assert before <= dt.datetime.fromisoformat(of_child.strip()) <= after
    assert before <= of_server <= after
    if clock.MOMENT in os.environ:
        begin = dt.datetime.fromisoformat(os.environ[clock.MOMENT])
        assert begin - dt.timedelta(seconds=1) <= before <= begin + LONGEST
