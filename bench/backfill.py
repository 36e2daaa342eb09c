"""Whole backfills of both markets through the UI's GraphQL, against the same functions called bare.

What belongs here: real bars, if BOURSOMATIC_BENCH_FILES names their folder, and simulated ones; minutes from
click to end, peak memory of the processes that compute.
Kept elsewhere: what bookkeeping alone costs (`bookkeeping.py`).

Both sides fill an empty database of their own; their features, models and advice are compared before a ratio is
given. One round each: a round takes minutes.
"""

import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from helpers.daemon import daemon
from helpers.harness import Line, server, timed, times
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import slices_of

CONTENTS = {
    "price_bars": "instrument_id, ts, o, h, l, c, v",
    "features": "instrument_id, ts, ret_1d, ret_5d, ret_20d, rsi_14, vol_20d, atr_14, volume_zscore,"
    " additional_features::text",
    "model_versions": "version, params_hash, model_path, metrics_json::text",
    "recommendations": "instrument_id, profile, as_of, label, confidence, expected_return_pct, stop_loss,"
    " take_profit, justification, features_snapshot::text",
    "track_record": "instrument_id, profile, as_of, ts, label, outcome, hit, realised_return_pct, first_touched",
}
SIMULATED = "300 simulated instruments a market, 8 years"


def lines() -> Iterator[Line]:
    """One line per universe that there is."""
    if folder := os.environ.get("BOURSOMATIC_BENCH_FILES"):
        real = {"BOURSOMATIC_SOURCE": "files", "BOURSOMATIC_FILES": folder}
        yield from _lines("ten years of real bars", real, dt.date(2016, 5, 6), dt.date(2026, 5, 6))
    if "BOURSOMATIC_BENCH_QUICK" not in os.environ:
        simulated = {"BOURSOMATIC_SOURCE": "simulated", "BOURSOMATIC_SIMULATED_INSTRUMENTS": "300"}
        yield from _lines(SIMULATED, simulated, dt.date(2016, 1, 4), dt.date(2023, 12, 29))


def _lines(what: str, source: dict[str, str], first: dt.date, last: dt.date) -> Iterator[Line]:
    os.environ |= source
    dates = [date for date in all_sessions().tolist() if first <= date <= last]
    with server():
        from helpers.bare import bare

        parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
        alone = timed(lambda: bare(parts))
        expected, rows = contents()
    with server(), daemon() as running, watched() as peak:
        seconds, runs = running.backfill([f"{date}|{market}" for date, market in product(dates, MARKETS)])
        found, _ = contents()
        assert found == expected, (found, expected)
    yield Line(
        f"{what}: {rows}, {len(runs)} runs",
        "the same functions and SQL, bare in one process",
        times(seconds / alone),
        "at most 1.5 x",
        f"{seconds / 60:.1f} minutes from click to end, {alone / 60:.1f} bare; peak {max(peak):.2f} GB a process",
    )


def contents() -> tuple[list[str], str]:
    """What was computed, as digests and as counts."""
    with database.engine().connect() as connection:
        digests = [
            str(connection.scalar(text(f"SELECT md5(string_agg(h, '' ORDER BY h)) FROM ({rows}) r")))
            for rows in (f"SELECT md5(({columns})::text) AS h FROM {table}" for table, columns in CONTENTS.items())
        ]
        counts = [
            f"{connection.scalar(text(f'SELECT count(*) FROM {table}')):,} {words}"
            for table, words in {
                "price_bars": "bars",
                "model_versions": "models",
                "recommendations": "recommendations",
            }.items()
        ]
    return digests, ", ".join(counts)


@contextmanager
def watched() -> Iterator[list[float]]:
    """The largest memory that any child's child of this process had meanwhile, in GB."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    told = status.read_text()
                except OSError:
                    continue
                if "python" in told or "dagster" in told:
                    high = next((line for line in told.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
                    if int(status.parent.name) != os.getpid():
                        peak.append(int(high.split()[1]) / 2**20)
            time.sleep(2)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
