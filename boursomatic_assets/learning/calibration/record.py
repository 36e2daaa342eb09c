"""Record: out-of-sample scores whose outcome is known, as sums over cells of their rank.

What belongs here: the sums that curves and zones are computed from, until any cutoff.
Kept elsewhere: how rows are scored (`learning/walk.py`), the cutoff of a due date (`learning/training.py`).
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Floats, Times

RANK_CELLS = 20
"""Cells by the rank of a score within its market's session: each holds a twentieth of a session."""

_SUMMED = ("rows", "better", "worse", "relative_return")


@dataclass(frozen=True)
class CellSums:
    """Sums over the rows of each cell, RANK_CELLS numbers each, from the lowest ranks to the highest.

    Attributes:
        rows: Number of rows.
        better: How many of them ended in the best third of their session.
        worse: How many ended in the worst.
        relative_return: Sum of `labels.label_rows`'s relative returns.
        forward_return: Sum of forward returns over all cells.
        sessions: Sessions of a market that the rows are of.
    """

    rows: Floats
    better: Floats
    worse: Floats
    relative_return: Floats
    forward_return: float
    sessions: int

    def __add__(self, other: "CellSums") -> "CellSums":
        """Return the sums of the rows of both, which are of different sessions."""
        rows, better, worse, relative_return = (getattr(self, name) + getattr(other, name) for name in _SUMMED)
        return CellSums(
            rows,
            better,
            worse,
            relative_return,
            self.forward_return + other.forward_return,
            self.sessions + other.sessions,
        )


_NONE = np.zeros(RANK_CELLS)

NO_ROWS = CellSums(_NONE, _NONE, _NONE, _NONE, 0.0, 0)
"""The sums of a record without a row."""


@dataclass(frozen=True)
class MarketRecord:
    """The record of one market and horizon, summed up session by session.

    Attributes:
        known_at: When the outcome of each session was known, in order.
        cumulative: Sums of all sessions before each, and of all of them: sessions + 1 x 4 x RANK_CELLS.
        forward_return: The same sums of forward returns.
    """

    known_at: Times
    cumulative: Floats
    forward_return: Floats

    @classmethod
    def from_rows(cls, rows: pl.DataFrame) -> "MarketRecord":
        """Sum up rows.

        Args:
            rows: Of one market, by time: ts, score_rank, label, relative_return, forward_return and known_at; rows
                without a label are left out.
        """
        known = rows.drop_nulls("label")
        sessions = known.group_by("ts", maintain_order=True).agg(pl.col("known_at").first())
        session = known.select(pl.col("ts").rle_id())["ts"].to_numpy().astype(np.int64)
        cell = np.minimum((known["score_rank"].to_numpy() * RANK_CELLS).astype(np.int64), RANK_CELLS - 1)
        shape = (sessions.height, RANK_CELLS)

        def sums(amounts: pl.Series | None) -> Floats:
            weights = None if amounts is None else amounts.cast(pl.Float64).to_numpy()
            flat = np.bincount(session * RANK_CELLS + cell, weights, shape[0] * shape[1])
            return flat.astype(np.float64).reshape(shape)

        label = known["label"].cast(pl.String)
        by_session = np.stack(
            [sums(None), sums(label == "BUY"), sums(label == "SELL"), sums(known["relative_return"])], axis=1
        )
        forward = np.bincount(session, known["forward_return"].to_numpy(), sessions.height).astype(np.float64)
        return cls(
            sessions["known_at"].to_numpy(),
            np.concatenate([np.zeros((1, *by_session.shape[1:])), by_session.cumsum(axis=0)]),
            np.concatenate([[0.0], forward.cumsum()]),
        )

    def before(self, cutoff: datetime) -> CellSums:
        """Return the sums of the sessions whose outcome was known before a cutoff."""
        sessions = int(np.searchsorted(self.known_at, np.datetime64(cutoff)))
        rows, better, worse, relative_return = self.cumulative[sessions]
        return CellSums(rows, better, worse, relative_return, float(self.forward_return[sessions]), sessions)
