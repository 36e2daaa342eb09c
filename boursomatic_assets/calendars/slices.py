"""Slices: a slice is the part of a table that one market and some consecutive session dates own.

What belongs here: the value that assets, sources, the IO manager and checks share, and rows outside of slices.
Kept elsewhere: how Dagster's partition keys become slices (`orchestration/partitions.py`), SQL (`tables/`).
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import Market, all_sessions


class Period(Protocol):
    """Some time of one market: a slice, a year or a month."""

    @property
    def market(self) -> Market:
        """The market."""

    @property
    def start(self) -> dt.datetime:
        """Its first instant, naive UTC."""

    @property
    def end(self) -> dt.datetime:
        """The first instant after it."""


@dataclass(frozen=True)
class Slice:
    """One market over consecutive partition dates (dates on which at least one market trades)."""

    market: Market
    dates: tuple[dt.date, ...]

    @property
    def start(self) -> dt.datetime:
        """First instant of the slice, naive UTC."""
        return dt.datetime.combine(self.dates[0], dt.time())

    @property
    def end(self) -> dt.datetime:
        """First instant after the slice: the midnight that begins the next partition date.

        A row on a date that is no session (a holiday in a vendor's file) falls to the session before
        it, where it is rejected with a reason instead of being lost between two partitions. After the
        last date of the calendars, it is the next midnight.
        """
        dates, last = all_sessions(), np.datetime64(self.dates[-1])
        following = dates[np.searchsorted(dates, last, side="right") :]
        return dt.datetime.combine(next(iter(following), last + 1).item(), dt.time())

    @property
    def sessions(self) -> tuple[dt.date, ...]:
        """The dates on which this market trades."""
        return tuple(date for date in self.dates if self.market.is_session(date))

    def chunks(self, dates: int) -> "Iterator[Slice]":
        """The slice, cut into consecutive ones of at most so many dates."""
        for first in range(0, len(self.dates), dates):
            yield Slice(self.market, self.dates[first : first + dates])

    def looking_back(self, sessions: int) -> "Slice":
        """The slice, begun so many sessions of its market earlier, or where the market's calendar begins."""
        own, dates = self.market.sessions(), all_sessions()
        first = own[max(int(np.searchsorted(own, np.datetime64(self.dates[0]))) - sessions, 0)]
        earlier = dates[(dates >= first) & (dates < np.datetime64(self.dates[0]))]
        return Slice(self.market, (*earlier.tolist(), *self.dates))

    def looking_ahead(self, sessions: int) -> "Slice":
        """The slice, ended so many sessions of its market later, or where the market's calendar ends."""
        own, dates = self.market.sessions(), all_sessions()
        end = np.searchsorted(own, np.datetime64(self.dates[-1]), side="right") - 1 + sessions
        later = dates[(dates > np.datetime64(self.dates[-1])) & (dates <= own[min(int(end), len(own) - 1)])]
        return Slice(self.market, (*self.dates, *later.tolist()))

    def __str__(self) -> str:
        ends = dict.fromkeys((self.dates[0].isoformat(), self.dates[-1].isoformat()))
        return f"{self.market.name} {' .. '.join(ends)}"


def slices_of(market: Market, dates: Iterable[dt.date]) -> list[Slice]:
    """The fewest slices that hold these partition dates, in order; scattered dates give several."""
    ordered = np.unique(np.array(sorted(dates), dtype="datetime64[D]"))
    ordinals = np.searchsorted(all_sessions(), ordered)
    parts = np.split(ordered, np.flatnonzero(np.diff(ordinals) != 1) + 1)
    return [Slice(market, tuple(part.tolist())) for part in parts if part.size]


def rows_outside(rows: pl.DataFrame, time: str, parts: Sequence[Slice]) -> pl.DataFrame:
    """The rows whose time lies in none of some slices of their market; rows without a time stay.

    Without slices nothing is filtered: polars 2.1 cuts a large frame for its threads, and computes a predicate
    that reads no column once for each part (`ShapeError: filter predicate length of 2 ...`).
    """
    if not parts:
        return rows
    inside = pl.any_horizontal(pl.col(time).is_between(one.start, one.end, closed="left") for one in parts)
    return rows.filter(~inside.fill_null(False))


class NotClosedError(ValueError):
    """A session is not over yet, so its bars are not final; the text names it and when it closes."""


def require_closed(part: Slice) -> Slice:
    """The slice, if its last session is over.

    Raises:
        NotClosedError: It is not.
    """
    if part.sessions and (closes := part.market.close_time(part.sessions[-1])) > utc_now():
        raise NotClosedError(
            f"the {part.market.name} session {part.sessions[-1]} closes at {closes:%Y-%m-%d %H:%M} UTC:"
            " ask for it after that, or for earlier sessions now"
        )
    return part
