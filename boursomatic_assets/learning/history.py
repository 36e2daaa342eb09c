"""History: all that any due date can learn from, prepared once for all of them.

What belongs here: the sampled feature rows of both markets with their outcomes, and the closes.
Kept elsewhere: what an outcome is (`labels`), which of them a due date may use (`walk`).
"""

from dataclasses import dataclass

import polars as pl

from boursomatic_assets.arrays import KEY
from boursomatic_assets.learning.labels import label_rows, sample_sessions
from boursomatic_assets.learning.parameters import Parameters


@dataclass(frozen=True)
class History:
    """Sampled rows by time and instrument, what followed them by horizon, and closes by instrument and time.

    An outcome is the same whatever came later, so it is made once; its `known_at` says from when on it may be
    used.
    """

    rows: pl.DataFrame
    outcomes: dict[int, pl.DataFrame]
    closes: pl.DataFrame

    @classmethod
    def of(cls, features: pl.DataFrame, bars: pl.DataFrame, parameters: Parameters) -> "History":
        """Prepare what is loaded.

        Args:
            features: market, instrument_id, ts and all features as columns, of both markets.
            bars: market, instrument_id, ts, c: daily bars of both markets, one for each row of features at least.
            parameters: The features and the label.
        """
        # Joined and sorted as numbers, in the order of the names: that takes a tenth of the time.
        names = pl.Enum(pl.concat([features["instrument_id"], bars["instrument_id"]]).unique().sort())
        numbered = pl.col("instrument_id").cast(names)
        closes = bars.select("market", numbered, "ts", "c").sort(KEY)
        rows = sample_sessions(features, parameters.stride).with_columns(numbered).sort("ts", "instrument_id")
        threshold = parameters.label_threshold
        return cls(rows, {h: label_rows(rows, closes, h, threshold) for h in parameters.horizons}, closes)
