"""A given-up run cannot write: stopped, given up, computed by another, and woken, it is refused and named.

A process that is stopped keeps its locks, and does not know that time passes. `runs end-dead` gives its run up;
the same partition is computed again at once, with newer bars; what wakes then says so, and has written nothing.
Claims by themselves: `tests/tables/claims/`.
"""

import itertools
import signal

import pytest
from worlds import kept
from worlds.failpoints import Held
from worlds.forks import ForkingPlace

SILENT = "boursomatic_assets.tables.claims.liveness.SILENT_SECONDS"

SESSION = "2023-12-22"
COMPUTE = ("materialize", "price_bars", SESSION, "US")
BARS = "SELECT i.symbol, o, h, l, c, v FROM price_bars b JOIN instruments i ON i.id = b.instrument_id ORDER BY 1"

POINTS = {
    "in its transaction, before it writes": "platform statement SELECT count(*) FROM instruments",
    "in its transaction, after rows": "platform statement INSERT INTO computed_sessions",
    "at the end of its transaction": "copy COPY price_bars",
    "before it begins": "event DagsterEventType.STEP_START",
}

_numbers = itertools.count()


def test_what_wakes_after_it_was_given_up_writes_nothing(small: ForkingPlace) -> None:
    drill(small, "copy COPY price_bars")


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_wherever_it_was_stopped(small: ForkingPlace, point: str) -> None:
    drill(small, point)


def drill(place: ForkingPlace, point: str) -> None:
    """Stop a command at a point, and let another do its work."""
    stopped = Held(place, place.home.parent / f"stopped {next(_numbers)}", point, *COMPUTE)
    if stopped.await_point() is None:
        pytest.fail(f"it never came to {point}: {stopped.trace()}")
    stopped.process.send_signal(signal.SIGSTOP)
    place.constants[SILENT] = 0  # the time in which it would say that it lives is over
    ended = place.done("runs", "end-dead")
    assert f"process {stopped.process.pid} of" in ended
    assert "is silent" in ended
    place.settings["BOURSOMATIC_SIMULATED_SIGNAL"] = "0.9"
    place.done(*COMPUTE)
    newer = place.rows(BARS)
    assert newer
    stopped.process.send_signal(signal.SIGCONT)
    woken = stopped.end()
    assert woken.returncode == 1, woken.stderr
    assert "was given up" in woken.stdout + woken.stderr, woken.stdout + woken.stderr
    assert place.rows(BARS) == newer
    assert kept.held_by_nobody(place) == {}
    assert kept.unended(place) == {}
    statuses = place.rows("SELECT status FROM runs ORDER BY id DESC LIMIT 2", "dagster")
    assert statuses == [("SUCCESS",), ("FAILURE",)]
