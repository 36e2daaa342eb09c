"""What reading a slice with its look-back costs against Arrow's own driver, and against pandas.

What belongs here: from a slice to a sorted frame. Kept elsewhere: writing (`writes.py`).
"""

from collections.abc import Iterator

import pandas as pd
import polars as pl
from helpers.harness import Line, interleaved, ratio, server, times
from helpers.universe import US, judged, list_instruments, slice_of
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

GRAIN = GRAINS["price_bars"]
COLUMNS = "t.instrument_id, t.ts, t.o, t.h, t.l, t.c, t.v, t.interval"
ROWS = (
    f"SELECT {COLUMNS} FROM price_bars t JOIN instruments i ON i.id = t.instrument_id"
    " WHERE i.exchange IN ('NYSE', 'NASDAQ', 'NYSEMKT', 'US') AND t.interval = 'daily'"
    " AND t.ts >= '{start}' AND t.ts < '{end}'"
)


def lines() -> Iterator[Line]:
    """Two ratios, on a table that holds both markets."""
    with server():
        source = Simulated(instruments=300, events=False)
        listed = list_instruments(source)
        for market in MARKETS.values():
            part = slice_of(market, 2_035)
            with database.engine().begin() as connection:
                merging.replace(connection, GRAIN, part, judged(source, part, listed))
        wanted = slice_of(US, 1_700, first=slice_of(US, LOOKBACK + 20).dates[-1])
        seen = wanted.looking_back(LOOKBACK)
        query = ROWS.format(start=seen.start, end=seen.end)
        ours, plain, frame = read_slice(GRAIN, seen), _arrow(query), _pandas(query)
        assert ours.height == plain.height == len(frame)
        for name in "ohlcv":
            assert abs(ours[name].sum() - plain[name].sum()) <= 1e-12 * abs(plain[name].sum())
        fetched, straight = interleaved(lambda: read_slice(GRAIN, seen), lambda: _arrow(query), rounds=9)
        again, slow = interleaved(lambda: read_slice(GRAIN, seen), lambda: _pandas(query))
    work = f"{ours.height:,} bars with their look-back, sorted, into polars"
    yield Line(work, "ADBC's Arrow fetch of the same rows", times(ratio(fetched, straight)), "at most 1.2 x")
    yield Line(work, "pandas.read_sql of the same rows", f"{times(ratio(slow, again))} faster", "about 6 x")


def _arrow(query: str) -> pl.DataFrame:
    with database.arrow_connection() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        frame: pl.DataFrame = cursor.fetch_polars()
    return frame


def _pandas(query: str) -> pd.DataFrame:
    with database.engine().connect() as connection:
        return pd.read_sql(text(query), connection)
