"""Differences: how a frame differs from the stored rows of its slice.

What belongs here: one pure comparison of two frames.
Kept elsewhere: reading the stored rows (`reading.py`), writing a difference (`merging.py`).
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Difference:
    """How a frame differs from what is stored.

    Attributes:
        new: rows of the frame whose key is not stored.
        changed: rows of the frame whose key is stored with another content.
        vanished: keys that are stored, and that the frame does not have.
        unchanged: how many rows of the frame are stored with the same content.
    """

    new: pl.DataFrame
    changed: pl.DataFrame
    vanished: pl.DataFrame
    unchanged: int

    def changed_dates(self, time: str) -> pl.Series:
        """The dates of the rows that differ, by their time column."""
        rows = (self.new, self.changed, self.vanished)
        return pl.concat([frame[time] for frame in rows]).dt.truncate("1d").unique().sort()


def compare(frame: pl.DataFrame, stored: pl.DataFrame, key: list[str]) -> Difference:
    """Compare two frames, each with at most one row per key; null equals null.

    Numbers are compared to the last bit, but for the sign of zero; JSON as its text.

    Args:
        frame: the rows to be stored; it may have columns that are not compared, such as an id.
        stored: the stored rows: the key, and the columns that are compared.
        key: the columns that identify a row.
    """
    if stored.is_empty():
        return Difference(frame, frame.clear(), stored.select(key), 0)
    content = [name for name in stored.columns if name not in key]
    pairs = frame.join(stored.with_columns(_stored=True), on=key, how="left", suffix="_", maintain_order="left")
    known = pl.col("_stored").is_not_null()
    differs = pl.any_horizontal(~known, *(pl.col(name).ne_missing(pl.col(f"{name}_")) for name in content))
    new = pairs.filter(~known).select(frame.columns)
    changed = pairs.filter(known & differs).select(frame.columns)
    vanished = stored.select(key).join(frame, on=key, how="anti")
    return Difference(new, changed, vanished, frame.height - new.height - changed.height)
