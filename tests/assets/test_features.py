"""The asset `features`: it reads as many bars as a row depends on."""

from types import SimpleNamespace

import numpy as np
import polars as pl
from worlds.frames import slice_of

from boursomatic_assets.assets.features import features
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features.compute import compute_features
from boursomatic_assets.features.lookback_blocks import BLOCK, LOOKBACK

SESSIONS = MARKETS["US"].sessions()
LAST = 100 * BLOCK - 1
"""The ordinal of the session at the end of a block: none has a longer look-back."""


def test_a_row_is_that_of_the_whole_history_to_the_last_bit() -> None:
    days = SESSIONS[LAST - LOOKBACK - 200 : LAST + 1].astype("datetime64[us]")
    close = 50 * np.exp(np.random.default_rng(1).normal(0, 0.02, len(days)).cumsum())
    prices = {"o": close, "h": close * 1.01, "l": close * 0.99, "c": close, "v": close * 1000}
    bars = pl.DataFrame({"instrument_id": "a", "ts": days, **prices})

    def stored_bars(part: Slice) -> pl.DataFrame:
        return bars.filter(pl.col("ts").is_between(part.start, part.end, closed="left"))

    day = str(SESSIONS[LAST])
    context = SimpleNamespace(run=SimpleNamespace(tags={}), partition_keys=[f"{day}|US"])
    rows = features.op.compute_fn.decorated_fn(context, stored_bars)
    assert rows.compute(slice_of("US", day)).equals(compute_features(bars, SESSIONS).tail(1))
