"""The chunks of a run: slices that are computed, written and reported at once.

What belongs here: how large a chunk is, which errors a smaller chunk may avoid, which dates of a chunk fail.
Kept elsewhere: what is computed (`assets/`), how a chunk is written (`chunk_writes.py`).

A run may hold a day or ten years; a chunk fits into memory. A row is the same whichever range it is computed in,
so a range may be cut anywhere, and cut again around a date that fails.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import AwayError, again, errors
from boursomatic_assets.database.locks import LockWaitError
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables.claims.holding import GivenUpError
from boursomatic_assets.tables.frames import FrameError

Rows = pl.DataFrame | Delivery

MAX_FAILURES = 10
"""Failures after which a run stops: the cause is then hardly a single date."""

NARROWABLE_ERRORS = (
    MemoryError,
    ValueError,  # a date's own rows: FrameError, SourceError, a session that is not closed
    ArithmeticError,
    OSError,  # a file of some dates: archived bars, a model
    pl.exceptions.ComputeError,
    pl.exceptions.InvalidOperationError,  # a value that a strict cast cannot take
)
"""Errors that a smaller chunk may avoid, or that a single date may cause; some database errors belong to them too
(`database/errors.py`).

All other errors are defects of the code: a chunk that raises one fails as a whole, and is not tried again.
"""


@dataclass(frozen=True)
class ChunkedRows:
    """An asset's rows, computed chunk by chunk while they are written.

    Attributes:
        parts: The slices of the run, in order.
        compute: Returns the rows of a slice; the same rows, however the run is cut.
        bars: Instruments x dates of a chunk, at most; the memory that one takes depends on the asset.
        lookback: Sessions that `compute` reads before a slice. No chunk is shorter, so that most of what is read
            is used.
        describe: Returns metadata of single dates of a slice, given its rows: the date's own figures, or a `note`
            that says why it has no row.
        summary: Returns metadata of a market after a run, given its last slice; shown at its newest date.
    """

    parts: Sequence[Slice]
    compute: Callable[[Slice], Rows]
    bars: int = 500_000
    lookback: int = 0
    describe: Callable[[Slice, pl.DataFrame], Mapping[dt.date, Mapping[str, Any]]] | None = None
    summary: Callable[[Slice], Mapping[str, Any]] | None = None

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, time: str, parts: Sequence[Slice]) -> "ChunkedRows":
        """Rows of a frame that is computed already; for several markets it has the column `market`.

        Raises:
            FrameError: The frame lacks that column, or has rows outside of all slices.
        """
        if "market" not in frame.columns:
            if len({part.market for part in parts}) > 1:
                raise FrameError("a frame for several markets must carry the column 'market'")
            frame = frame.with_columns(market=pl.lit(parts[0].market.name))

        def rows(part: Slice) -> pl.DataFrame:
            within = pl.col(time).is_between(part.start, part.end, closed="left")
            return frame.filter(within, pl.col("market") == part.market.name).drop("market")

        if outside := frame.height - sum(rows(part).height for part in parts):
            raise FrameError(f"{outside} rows of the frame lie outside of the run's partitions")
        return cls(parts, rows, bars=max(frame.height, 1))

    def chunks(self, instruments: Callable[[Slice], int]) -> Iterator[Slice]:
        """The slices, cut into chunks; `instruments` returns how many instruments a slice's market has."""
        for part in self.parts:
            dates_that_fit = self.bars // max(instruments(part), 1)
            yield from part.chunks(max(dates_that_fit, self.lookback, 1))


def run_chunks(work: Callable[[Slice], None], chunks: Iterator[Slice]) -> list[tuple[Slice, Exception]]:
    """Call `work` for each chunk, and isolate failing dates.

    A chunk that fails is halved until only failing dates are left; all other dates are done. A chunk that fails
    by a defect of the code fails as a whole. After MAX_FAILURES failures nothing more is tried.

    Returns:
        The slices that failed, each with its error.

    Raises:
        GivenUpError: The run was given up.
        AwayError: The server stays away.
        LockWaitError: A lock was waited for as long as a command may.
    """
    return list(islice(chain.from_iterable(_isolate_failures(work, chunk) for chunk in chunks), MAX_FAILURES))


def _isolate_failures(work: Callable[[Slice], None], chunk: Slice) -> Iterator[tuple[Slice, Exception]]:
    """The failing dates of a chunk; an error that no date explains is recorded as absorbed."""
    error = _try_chunk(work, chunk)
    if error is None:
        return
    if len(chunk.dates) == 1 or not _is_narrowable(error):
        yield chunk, error
        return
    explained = False
    try:
        for half in chunk.chunks(-(-len(chunk.dates) // 2)):
            for part, cause in _isolate_failures(work, half):
                explained |= type(cause) is type(error)
                yield part, cause
    finally:  # also after MAX_FAILURES, when nothing more is tried
        if not explained:
            absorbed.record(error, f"{chunk} is done in halves")


def _try_chunk(work: Callable[[Slice], None], chunk: Slice) -> Exception | None:
    """Call `work` for a chunk, again if the connection is lost, and return the error that it raises."""
    try:
        again(lambda: work(chunk))
    except (GivenUpError, AwayError, LockWaitError):  # nothing more can be written
        raise
    except Exception as error:  # either yielded as a failure, or recorded as absorbed
        return error
    return None


def _is_narrowable(error: Exception) -> bool:
    """Whether an error may be avoided by a smaller chunk, or caused by a single date."""
    return isinstance(error, NARROWABLE_ERRORS) or errors.may_depend_on_rows(error)
