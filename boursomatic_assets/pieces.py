"""A run's work in pieces: what is computed, written and reported at once.

What belongs here: how large a piece is, which errors a smaller one can cure, and which single dates fail when a
piece does.
Kept elsewhere: what is computed (`assets/`), how it is written (`io_manager.py`).

A run may hold a day or ten years; a piece fits into memory. A row is the same whichever range it was computed
in, so a range may be cut anywhere, and cut again around a date that fails.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import polars as pl

from boursomatic_assets import absorbed, refusals
from boursomatic_assets.delivered import Delivery
from boursomatic_assets.frames import FrameError
from boursomatic_assets.slices import Slice

Rows = pl.DataFrame | Delivery

MOST_FAILURES = 10
"""Dates that may fail before a run gives up on the rest: then it is not the dates that are bad."""


NARROWED = (
    MemoryError,
    ValueError,  # a date's own rows: FrameError, SourceError, a session that is not closed
    ArithmeticError,
    OSError,  # a file of some dates: archived bars, a model
    pl.exceptions.ComputeError,
    pl.exceptions.InvalidOperationError,  # a value that a strict cast cannot take
)
"""Errors that a smaller piece can cure, or that one date can cause; with some of the database's (`refusals.py`).

All others are faults of the code: a piece that raises one fails as a whole, and is not tried again.
"""


@dataclass(frozen=True)
class Piecewise:
    """An asset's rows, computed slice by slice when they are written.

    Attributes:
        parts: the slices of the run, in order.
        compute: the rows of a slice, however it is cut.
        bars: instruments x dates of a piece, at most; what a bar takes depends on the asset.
        lookback: sessions that `compute` reads before a slice. No piece is shorter, or most of what is read
            would be read for nothing.
        summary: what to say of a market after a run, asked with its last slice, and shown at its newest date.
    """

    parts: Sequence[Slice]
    compute: Callable[[Slice], Rows]
    bars: int = 500_000
    lookback: int = 0
    summary: Callable[[Slice], Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, frame: pl.DataFrame, time: str, parts: Sequence[Slice]) -> "Piecewise":
        """Rows that are there already; where a run has several slices, `market` tells them apart.

        Raises:
            FrameError: the frame lacks that column, or has rows that are of no slice.
        """
        if "market" not in frame.columns:
            if len({part.market for part in parts}) > 1:
                raise FrameError("a frame for several markets must carry the column 'market'")
            frame = frame.with_columns(market=pl.lit(parts[0].market.name))

        def rows(part: Slice) -> pl.DataFrame:
            within = pl.col(time).is_between(part.start, part.end, closed="left")
            return frame.filter(within, pl.col("market") == part.market.name).drop("market")

        if lost := frame.height - sum(rows(part).height for part in parts):
            raise FrameError(f"{lost} rows of the frame lie outside of the run's partitions")
        return cls(parts, rows, bars=max(frame.height, 1))

    def pieces(self, instruments: Callable[[Slice], int]) -> Iterator[Slice]:
        """The slices, cut so that each piece fits; `instruments` says how many a slice's market has."""
        for part in self.parts:
            fitting = self.bars // max(instruments(part), 1)
            yield from part.pieces(max(fitting, self.lookback, 1))


def failures(work: Callable[[Slice], None], pieces: Iterator[Slice]) -> list[tuple[Slice, Exception]]:
    """Do a work for each piece; what fails, MOST_FAILURES at most, each with its reason.

    What a failing piece has in good dates is done all the same: the piece is halved until only bad dates are
    left. Only a piece with a fault of the code fails as a whole. After the last failure that is allowed nothing
    more is tried.
    """
    return list(islice(chain.from_iterable(_narrowed(work, piece) for piece in pieces), MOST_FAILURES))


def _narrowed(work: Callable[[Slice], None], piece: Slice) -> Iterator[tuple[Slice, Exception]]:
    """What fails of a piece; its own error is absorbed unless a part of it fails with one of the same type."""
    error = _error(work, piece)
    if error is None:
        return
    if len(piece.dates) == 1 or not _can_be_narrowed(error):
        yield piece, error
        return
    explained = False
    try:
        for half in piece.pieces(-(-len(piece.dates) // 2)):
            for part, reason in _narrowed(work, half):
                explained |= type(reason) is type(error)
                yield part, reason
    finally:  # also where nothing more is tried
        if not explained:
            absorbed.record(error, f"{piece} is done in halves")


def _error(work: Callable[[Slice], None], piece: Slice) -> Exception | None:
    try:
        work(piece)
    except Exception as error:  # either yielded as a failure, or recorded as absorbed
        return error
    return None


def _can_be_narrowed(error: Exception) -> bool:
    return isinstance(error, NARROWED) or refusals.may_be_of_some_rows(error)
