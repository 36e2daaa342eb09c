"""How far a step is: in its run's log, and on the command line.

What belongs here: a line for each piece that is done, in words for people. Kept elsewhere: the pieces
(`chunks.py`), how the command line shows the lines (`cli/running/progress.py`).
"""

import logging
import time
from collections.abc import Callable, Sequence

from boursomatic_assets.calendars.slices import Slice

logger = logging.getLogger(__name__)
"""What the command line listens to; in other processes nobody does."""

MILLION, MINUTE, HOUR = 1_000_000, 60, 3600
SHORT, LONG = 90, 90 * MINUTE
"""Seconds until which a time is told in seconds, and in minutes."""


class Progress:
    """Counts the sessions and rows of a step, and tells of each piece."""

    def __init__(self, asset: str, parts: Sequence[Slice], log: Callable[[str], None]) -> None:
        """Take the asset's name, all that the step is to do, and the run's log."""
        self._asset, self._log, self._started = asset, log, time.monotonic()
        self._sessions = sum(len(part.sessions) for part in parts)
        self._done = self._rows = 0

    def add(self, piece: Slice, rows: int) -> None:
        """Tell of a piece that is written."""
        self._done += len(piece.sessions)
        self._rows += rows
        tell(describe(self._asset, self._done, self._sessions, self._rows, self._seconds()), self._log)

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def tell(line: str, log: Callable[[str], None]) -> None:
    """Tell something of a step: to its run's log, and to who listens in this process."""
    log(line)
    logger.info(line)


def describe(asset: str, done: int, sessions: int, rows: int, seconds: float) -> str:
    """Such as `features: 412 of 2,583 sessions, 1.2 M rows, 38 s, about 3 min left`."""
    if not sessions:
        return f"{asset}: the market is closed on these dates, {duration(seconds)}"
    line = f"{asset}: {done:,} of {sessions:,} sessions, {_amount(rows)} rows, {duration(seconds)}"
    left = seconds * (sessions - done) / done if done else 0.0
    return f"{line}, about {duration(left)} left" if done < sessions and done else line


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours, whichever is read at a glance."""
    if seconds < SHORT:
        return f"{seconds:.1f} s" if seconds < 1 else f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < LONG else f"{seconds / HOUR:.1f} h"


def _amount(rows: int) -> str:
    return f"{rows / MILLION:.1f} M" if rows >= MILLION else f"{rows:,}"
