"""History: the rows that due dates learn from, prepared once for all of them.

What belongs here: the sampled feature rows of both markets with their labels, and the closes.
Kept elsewhere: what a label is (`labels.py`), which of them a due date may use (`walk.py`).
"""

from dataclasses import dataclass

import polars as pl

from boursomatic_assets.arrays import KEY
from boursomatic_assets.features.price_basis import on_first_basis
from boursomatic_assets.learning.labels import label_rows, sample_sessions
from boursomatic_assets.learning.parameters import Parameters


@dataclass(frozen=True)
class History:
    """Sampled rows by time and instrument, their labels by horizon, and closes by instrument and time.

    Closes are on the basis of each instrument's first one, see `price_basis.on_first_basis`.

    A label does not depend on later bars, so it is computed once; its `known_at` says from when on it may be used.
    """

    rows: pl.DataFrame
    labels: dict[int, pl.DataFrame]
    closes: pl.DataFrame

    @classmethod
    def from_frames(cls, features: pl.DataFrame, bars: pl.DataFrame, parameters: Parameters) -> "History":
        """Prepare loaded features and bars.

        Args:
            features: market, instrument_id, ts and all features as columns, of both markets.
            bars: market, instrument_id, ts and c: daily bars of both markets, one for each row of features at
                least; o, h, l and v tell splits from crashes.
            parameters: The features and the label.
        """
        # Joined and sorted as numbers, in the order of the names: that takes a tenth of the time.
        instruments = pl.Enum(pl.concat([features["instrument_id"], bars["instrument_id"]]).unique().sort())
        as_number = pl.col("instrument_id").cast(instruments)
        prices = [name for name in "ohlcv" if name in bars]
        bars = on_first_basis(bars.select("market", as_number, "ts", *prices).sort(KEY))
        closes = bars.select("market", *KEY, "c", "basis")
        rows = sample_sessions(features, parameters.stride).with_columns(as_number).sort("ts", "instrument_id")
        return cls(rows, {h: label_rows(rows, closes, h) for h in parameters.horizons}, closes)
