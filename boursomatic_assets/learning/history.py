"""History: all that any cutoff can learn from, prepared once for all of them.

What belongs here: the labelled rows and the closes of both markets, each sorted for its readers.
Kept elsewhere: what a label is (`labels`), which rows a cutoff may use (`splits`).
"""

from dataclasses import dataclass

import polars as pl

from boursomatic_assets.learning.labels import daily_closes, labelled
from boursomatic_assets.learning.parameters import Parameters


@dataclass(frozen=True)
class History:
    """Labelled rows by time and instrument, and closes by instrument and time.

    A label is the same whatever came later, so it is made once; `known_at` says from when on it may be used.
    """

    rows: pl.DataFrame
    closes: pl.DataFrame

    @classmethod
    def of(cls, features: pl.DataFrame, bars: pl.DataFrame, parameters: Parameters) -> "History":
        """Label what is loaded.

        Args:
            features: instrument_id, ts, vol_20d and the features of `parameters`, of both markets.
            bars: Price bars of both markets; only daily ones are used.
            parameters: The features and the label.
        """
        # Joined and sorted as numbers, in the order of the names: that takes a tenth of the time.
        names = pl.Enum(pl.concat([features["instrument_id"], bars["instrument_id"]]).unique().sort())
        closes = daily_closes(bars.with_columns(pl.col("instrument_id").cast(names)))
        numbered = features.with_columns(pl.col("instrument_id").cast(names))
        return cls(labelled(numbered, closes, parameters), closes)
