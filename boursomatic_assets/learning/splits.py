"""The split of labelled rows in time: a past to learn from, a gap of one horizon, a window to be judged on.

The gap is the purge of Lopez de Prado, Advances in Financial Machine Learning, chapter 7: a training label
that is still open when the validation window starts would carry that window's prices into the training.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from boursomatic_assets.learning.parameters import Parameters


class NotEnoughHistory(ValueError):  # noqa: N818 - a state of the data, not a fault
    """There are too few labelled rows for a model."""


@dataclass(frozen=True)
class Window:
    """A validation window: sessions `start` to `end`, both included, with labels known before `cutoff`."""

    start: datetime
    end: datetime
    cutoff: datetime

    def select(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the labelled rows that the window holds."""
        return rows.filter(pl.col("ts").is_between(self.start, self.end), pl.col("known_at") < self.cutoff)


@dataclass(frozen=True)
class Split:
    """Labelled rows, some to train on and later ones to validate on."""

    train: pl.DataFrame
    validation: pl.DataFrame
    window: Window


def split(rows: pl.DataFrame, cutoff: datetime, parameters: Parameters) -> Split:
    """Split labelled rows in time, so that no training label is still open when the window starts.

    Args:
        rows: As `labels.labelled` returns them.
        cutoff: Only rows whose label is known before it are used.
        parameters: The size of the window and the smallest training set.

    Raises:
        NotEnoughHistory: The training rows or sessions are fewer than the parameters ask for.
    """
    known = rows.select("ts", "known_at").filter(pl.col("known_at") < cutoff)
    sessions = known["ts"].unique().sort()
    size = min(parameters.validation_sessions, int(len(sessions) * parameters.validation_share))
    if size == 0:
        raise not_enough(rows.clear(), cutoff, parameters)
    window = Window(sessions[-size], sessions[-1], cutoff)
    train = rows.filter(pl.col("known_at") < window.start)
    enough = (
        train.height >= parameters.minimum_training_rows
        and train["ts"].n_unique() >= parameters.minimum_training_sessions
    )
    if not enough:
        raise not_enough(train, cutoff, parameters)
    return Split(train, window.select(rows), window)


def not_enough(train: pl.DataFrame, cutoff: datetime, parameters: Parameters) -> NotEnoughHistory:
    """Return the error that says how much history there is, and how much it takes."""
    return NotEnoughHistory(
        f"not enough history before {cutoff:%Y-%m-%d}: {train.height} training rows over"
        f" {train['ts'].n_unique()} sessions, and it takes {parameters.minimum_training_rows} over"
        f" {parameters.minimum_training_sessions}: load earlier bars, or wait for later ones"
    )
