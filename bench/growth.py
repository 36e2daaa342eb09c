"""Whether the cost grows only with the rows: the same slices on tables of 0.6, 2.4 and 9.6 million bars.

What belongs here: time per row of each kind of work, and the memory of the process that does it.
Kept elsewhere: ratios at one size (`writes.py`, `reads.py`, `features.py`).
"""

import resource
import statistics
from collections.abc import Iterator

import polars as pl
from helpers.harness import Line, server, timed
from helpers.universe import US, execute, judged, list_instruments, slice_of
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features import compute
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

GRAIN = GRAINS["price_bars"]
INSTRUMENTS, SIZES, ROUNDS = 300, (600_000, 2_400_000, 9_600_000), 3
WORKS = ("new slice", "unchanged slice", "look-back read", "features")

FILL = """
INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)
SELECT gen_random_uuid(), i.id, timestamp '2000-01-03' + s * interval '1 day', 10, 11, 9, 10, 1000, 'daily'
FROM generate_series(1, 5000) s, (SELECT id FROM instruments WHERE symbol LIKE 'FILL%' ORDER BY symbol LIMIT :n) i
ORDER BY i.id, s
"""


def lines() -> Iterator[Line]:
    """One line per work: the largest time per row of three table sizes by the smallest."""
    per_row: dict[str, list[float]] = {work: [] for work in WORKS}
    with server():
        source = Simulated(instruments=INSTRUMENTS, events=False)
        listed, part = list_instruments(source), slice_of(US, 700, first=slice_of(US, 330).dates[-1])
        bars = judged(source, part.looking_back(LOOKBACK), listed)
        own = bars.filter(pl.col("ts") >= part.start)
        execute(
            "INSERT INTO instruments (id, symbol, exchange) SELECT gen_random_uuid(), 'FILL' || n, 'EURONEXT'"
            " FROM generate_series(1, 1900) n"
        )
        for size in SIZES:
            _fill(size - bars.height, part, bars)
            for work, seconds in _measure(part, own).items():
                per_row[work].append(seconds / own.height)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sizes = " / ".join(f"{size / 1e6:.1f}" for size in SIZES)
    for work, seconds in per_row.items():
        figures = " / ".join(f"{1e6 * value:.2f}" for value in seconds)
        yield Line(work, f"tables of {sizes} million bars", f"{max(seconds) / min(seconds):.2f} x",
                   "at most 1.25 x", f"microseconds per row: {figures}")  # fmt: skip
    yield Line("all of them", "memory of the process that works", f"{peak:.2f} GB", "at most 1.5 GB")


def _fill(rows: int, part: Slice, bars: pl.DataFrame) -> None:
    """A table of that many other bars and the slice's look-back, vacuumed as autovacuum leaves it."""
    execute("TRUNCATE price_bars")
    with database.engine().begin() as connection:
        connection.execute(text(FILL), {"n": max(rows // 5000, 0)})
        merging.replace(connection, GRAIN, part.looking_back(LOOKBACK), bars)
    with database.engine().connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE price_bars"))


def _measure(part: Slice, own: pl.DataFrame) -> dict[str, float]:
    """Median seconds of each work on the slice."""
    taken: dict[str, list[float]] = {work: [] for work in WORKS}
    for _ in range(ROUNDS):
        execute(
            f"DELETE FROM price_bars WHERE ts >= '{part.start}' AND ts < '{part.end}' AND instrument_id IN"
            " (SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
        )
        taken["new slice"].append(timed(lambda: _write(part, own)))
        taken["unchanged slice"].append(timed(lambda: _write(part, own)))
        seen: list[pl.DataFrame] = []
        taken["look-back read"].append(
            timed(lambda seen=seen: seen.append(read_slice(GRAIN, part.looking_back(LOOKBACK))))
        )
        taken["features"].append(
            timed(lambda seen=seen: compute.compute_features(seen[0], US.sessions(), part.start))
        )
        assert seen[0].height >= own.height
    return {work: statistics.median(seconds) for work, seconds in taken.items()}


def _write(part: Slice, rows: pl.DataFrame) -> None:
    with database.engine().begin() as connection:
        merging.replace(connection, GRAIN, part, rows)
