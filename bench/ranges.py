"""How many sessions a run of a backfill should hold: the same backfill in runs of several sizes.

What belongs here: the size of a run, which BOURSOMATIC_SESSIONS_PER_RUN sets.
Kept elsewhere: backfills against the bare functions (`backfill.py`).

Every size fills an empty database of its own, from the click to the end; all must hold the same in the end. One
round each: a round takes minutes.
"""

import os
from collections.abc import Iterator
from itertools import product

from backfill import contents, watched
from helpers.daemon import daemon
from helpers.harness import Line, server, times
from helpers.universe import slice_of

from boursomatic_assets.calendars.markets import MARKETS

DATES, INSTRUMENTS = 1_000, 60
WHOLE = 100_000
SIZES = (WHOLE, 500, 250)


def lines() -> Iterator[Line]:
    """One line per size, against the whole range at once."""
    os.environ |= {"BOURSOMATIC_SOURCE": "simulated", "BOURSOMATIC_SIMULATED_INSTRUMENTS": str(INSTRUMENTS)}
    keys = [f"{date}|{market}" for date, market in product(slice_of(MARKETS["US"], DATES).dates, MARKETS)]
    seconds, found = {}, {}
    for size in SIZES:
        os.environ["BOURSOMATIC_SESSIONS_PER_RUN"] = str(size)
        with server(), daemon() as running, watched() as peak:
            seconds[size], runs = running.backfill(keys)
            found[size], rows = contents()
        assert found[size] == found[WHOLE], found
        yield Line(
            f"{DATES:,} sessions of both markets, {rows}, in runs of at most {size:,}",
            "a range of each market at once",
            times(seconds[size] / seconds[WHOLE]),
            "",
            f"{len(runs)} runs, {seconds[size]:.0f} s from click to end; peak {max(peak):.2f} GB a process",
        )
