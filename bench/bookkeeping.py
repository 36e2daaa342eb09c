"""What Dagster's bookkeeping costs: a backfill of a thousand dates of both markets in which nothing is computed.

What belongs here: the real graph with all its checks, over a folder whose one bar is refused, through the real
daemon. Kept elsewhere: backfills that compute (`backfill.py`).

Every asset has a materialisation and a planned event for each partition. The bare side calls the same functions
over the same slices in one process.
"""

import datetime as dt
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import polars as pl
from helpers.daemon import ASSETS, daemon
from helpers.harness import Line, server, timed
from helpers.universe import FIRST, slice_of

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS

DATES = 1_000
COUNT = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
CHECKED = "SELECT count(*) FROM asset_check_executions WHERE execution_status = 'SUCCEEDED'"


def lines() -> Iterator[Line]:
    """The cost of a partition of an asset, inside of the runs and from click to end."""
    with server() as home:
        os.environ |= {"BOURSOMATIC_SOURCE": "files", "BOURSOMATIC_FILES": str(_folder(home))}
        from helpers.bare import bare

        parts = [slice_of(market, DATES) for market in MARKETS.values()]
        keys = [f"{date}|{market}" for date, market in product(parts[0].dates, MARKETS)]
        with daemon() as running:
            seconds, runs = running.backfill([str(key) for key in keys])
        with database.connect(database.dagster_url()) as connection:
            (made,) = connection.execute(COUNT).fetchone() or (0,)
            (checked,) = connection.execute(CHECKED).fetchone() or (0,)
        assert made == len(keys) * len(ASSETS), made
        nothing = timed(lambda: bare(parts))
        stages: dict[str, list[float]] = {}
        for run in runs:
            stages.setdefault(str(run["assetSelection"]), []).extend((run["startTime"], run["endTime"]))
        inside = sum(max(times) - min(times) for times in stages.values())
    work, against = f"{made:,} partitions of assets, {checked:,} check results", "the same functions, bare"
    each, clicked = ((taken - nothing) * 1000 / made for taken in (inside, seconds))
    yield Line(work, against, f"{each:.2f} ms each", "under 2 ms", "from start to end of runs")
    waiting = f"from click to end, {seconds:.0f} s: with the daemon's ticks and the start of {len(runs)} processes"
    yield Line(work, against, f"{clicked:.2f} ms each", "", waiting)


def _folder(home: Path) -> Path:
    """Files whose one bar is of no date that is asked for: every frame is empty."""
    folder = home / "bars"
    folder.mkdir()
    values = {"symbol": ["NONE"], "exchange": ["NYSE"], "ts": [dt.datetime(2015, 6, 10)], "interval": ["daily"]}
    pl.DataFrame(values | {name: [1.0] for name in "ohlcv"}).write_parquet(folder / "bars.parquet")
    assert dt.date(2015, 6, 10) < FIRST
    return folder
