"""Whatever a source may deliver for the US sessions around 2025-01-09, on which New York was closed."""

import datetime as dt
import math
from typing import Any

import polars as pl
from hypothesis import strategies as st

from boursomatic_assets.sources import RAW_BARS
from worlds.frames import midnight

PRICES = st.one_of(st.sampled_from([None, math.nan, math.inf, 0.0, 9.0, 10.0, 10.000001, 11.0]), st.floats())
QUARTERS = (
    *("2025-01-07 20:45", "2025-01-08 14:30", "2025-01-09 15:00"),
    *("2025-01-10 09:00", "2025-01-10 20:45", "2025-01-10 21:00", "2025-01-10 15:10"),
)
ARBITRARY_ROWS = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["ACME", "BOLT", "GHOST", "", "00123", None]),
        "exchange": st.sampled_from(["NYSE", "NASDAQ", "EURONEXT", "MARS", None]),
        "ts": st.sampled_from([None, *map(midnight, ("2025-01-08", "2025-01-09", "2025-01-10", *QUARTERS))]),
        **dict.fromkeys("ohlcv", PRICES),
        "interval": st.sampled_from(["daily", "15m", None]),
        "file": st.sampled_from([None, "a.csv"]),
        "line": st.sampled_from([None, 2]),
        "raw": st.none(),
    }
)


def make_likely(row: dict[str, Any]) -> dict[str, Any]:
    """A row that is often good, so that twins and contradictions happen."""
    good = {"symbol": "ACME", "exchange": "NYSE", "o": 10.0, "h": 11.0, "l": 9.0, "v": 1.0}
    midnight = row["ts"] is not None and row["ts"].time() == dt.time()
    return {**row, **good, "interval": "daily" if midnight else "15m"}


ARBITRARY_DELIVERIES = st.lists(st.one_of(ARBITRARY_ROWS, ARBITRARY_ROWS.map(make_likely)), max_size=12).map(
    lambda rows: pl.DataFrame(rows, schema=RAW_BARS)
)
"""A few rows with the columns of RAW_BARS, good and bad."""
