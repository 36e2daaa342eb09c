"""A soak: a month of sessions through `boursomatic dev`, whose clock leaps to the evening of the next session.

Its schedules ask for each session of both markets, for 15m bars, the archive and the accounts. Afterwards every
session is there, and nothing has grown since the first week: memory, connections, locks, undeleted files.
BOURSOMATIC_SOAK_SESSIONS asks for another number of them. Its short twin is a fortnight of the refill without
processes, `tests/automation/test_fortnight.py`.
"""

import datetime as dt
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import Leaps
from worlds import kept, ui
from worlds.place import Place, place

from boursomatic_assets.calendars.markets import MARKETS

SESSIONS = int(os.environ.get("BOURSOMATIC_SOAK_SESSIONS", "20"))
WEEK = 5
BEGIN = "2026-06-01 12:00"
GROWTH = 1.2
"""Memory at the end, as a multiple of that after the first week, at most."""

UNENDED = f"SELECT count(*) FROM runs WHERE status IN {kept.UNENDED}"
DONE = "SELECT partition FROM runs WHERE status = 'SUCCESS' AND partition IS NOT NULL"
CONNECTIONS = "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'"
COMPUTED = "SELECT DISTINCT concat_ws('|', session::date, market) FROM computed_sessions WHERE asset = 'features'"
UNDONE = "SELECT partition, pipeline_name, status, run_id FROM runs WHERE status <> 'SUCCESS' ORDER BY 1, 2, 3"


def sessions_of_both() -> list[dt.date]:
    """The first days after the beginning on which both markets trade."""
    days = set.intersection(*({*market.sessions().tolist()} for market in MARKETS.values()))
    return [day for day in sorted(days) if str(day) >= BEGIN[:10]][:SESSIONS]


def await_day(here: Place, day: dt.date, seconds: float = 400) -> None:
    """Wait until both markets' runs of a day have succeeded, and no other goes on."""
    wanted, deadline = {f"{day}|{name}" for name in MARKETS}, time.monotonic() + seconds
    while not wanted <= {key for (key,) in here.rows(DONE, "dagster")} or here.rows(UNENDED, "dagster") != [(0,)]:
        if time.monotonic() > deadline:
            pytest.fail("\n".join(map(str, [f"not done after {seconds} s:", *here.rows(UNDONE, "dagster")])))
        time.sleep(2)


def measure(here: Place, session: int) -> dict[str, float]:
    """What may grow."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in ui.members(session))
    (connections,) = here.rows(CONNECTIONS)[0]
    return {"MiB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20, "connections": connections}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="boursomatic-clock-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.drill
@pytest.mark.slow
def test_a_month_of_sessions_leaves_nothing_behind(open_folder: Path, tmp_path: Path) -> None:
    days, measured = sessions_of_both(), dict[int, dict[str, float]]()
    clock = Leaps(BEGIN, open_folder)
    settings = clock.environment | {
        "BOURSOMATIC_AUTOMATION": "1",
        "BOURSOMATIC_START": BEGIN[:10],
        "DAGSTER_DAEMON_HEARTBEAT_TOLERANCE": "100000000",  # a leap is no silence of the daemon's
    }
    with (
        place(tmp_path / "home", **settings) as here,
        ui.dev(tmp_path / "log", environment=here.environment) as (_, process),
    ):
        for number, day in enumerate(days, start=1):
            clock.leap_to(dt.datetime.combine(day, dt.time(22, 30)))
            await_day(here, day)
            if number in (WEEK, SESSIONS):
                measured[number] = measure(here, process.pid)
        computed = {key for (key,) in here.rows(COMPUTED)}
        assert {f"{day}|{name}" for day in days for name in MARKETS} <= computed
        assert kept.held_by_nobody(here) == {}
        assert kept.stray_files(here) == []
        assert kept.unended(here) == {}
        asked = Counter(key for (key,) in here.rows(DONE, "dagster"))
        assert max(asked.values()) <= 3, asked  # two schedules, and the refill, to which a leap is an outage
        assert measured[SESSIONS]["MiB"] < measured[WEEK]["MiB"] * GROWTH, measured
        assert measured[SESSIONS]["connections"] <= measured[WEEK]["connections"] + 2, measured
