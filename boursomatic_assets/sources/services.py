"""Asking a service in the network for bars, politely and for one instrument after the other.

What belongs here: how often a service is asked, when it is asked again, when it is left alone, and what is
delivered for an instrument that it had nothing for.
Kept elsewhere: what is asked and how answers read (`yahoo.py`, `stooq.py`), who is asked next (`fallback.py`).
"""

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, Self, TypeVar

import numpy as np
import polars as pl
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from boursomatic_assets import absorbed
from boursomatic_assets.markets import Market
from boursomatic_assets.sources import RAW_BARS, Source, SourceError

MOST_SECONDS = 120.0
"""A service that asks for a longer pause than this is not waited for."""

MOST_FAILURES = 3
"""Instruments in a row for which a service may fail before it is left alone."""

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


def _tell(details: RetryDetails) -> None:
    absorbed.record(details.caused_by, f"asked again in {details.wait_for:.1f} s")


set_on_retry_hooks([_tell])  # else stamina writes to the standard output, which belongs to the command line


class NoBarsError(Exception):
    """The service answers, and has no bars of this instrument; the message says why."""


class TransientError(Exception):
    """The service does not answer in order; it may a moment later.

    Attributes:
        seconds: how long it asks to be left in peace, if it says so.
    """

    def __init__(self, why: str, seconds: float | None = None) -> None:
        super().__init__(why)
        self.seconds = seconds


class RefusedError(Exception):
    """The service refuses all further questions; the message says why, and what to do."""


class Listed(Source, Protocol):
    """A dataclass of a source that is asked for each instrument of a list, `listed`."""

    listed: pl.DataFrame

    def instruments(self) -> pl.DataFrame:
        """The listed instruments."""
        return self.listed

    def only(self, listed: pl.DataFrame) -> Self:
        """The same source for fewer instruments, a frame like that of `instruments`."""
        return replace(self, listed=listed)  # type: ignore[type-var]

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are: they carry what the service said."""
        return rows


@dataclass
class Line:
    """The line to one service; what is learnt of it, such as that it is closed, holds for all who share the line.

    Attributes:
        every: seconds from one question to the next, at least.
        attempts: how often a question is asked before its instrument is given up.
        wait: seconds before the second attempt; each further pause is twice as long, and a random part of
            `wait` is added to each.
    """

    every: float = 1.0
    attempts: int = 4
    wait: float = 1.0
    closed: str = ""
    _failures: int = 0
    _free_at: float = 0.0

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer to a question, asked again after trouble.

        Raises:
            NoBarsError: from the question.
            TransientError: the last attempt failed as well.
            RefusedError: the service refuses this and every further question.
        """
        if self.closed:
            raise RefusedError(self.closed)
        try:
            answer = self._patiently(question)
        except RefusedError as error:
            self.closed = str(error)
            raise
        except TransientError as error:
            self._failures += 1
            if error.seconds is not None or self._failures >= MOST_FAILURES:
                self.closed = f"not asked any more after: {error}"
            raise
        except NoBarsError:
            self._failures = 0
            raise
        self._failures = 0
        return answer

    def _patiently(self, question: Callable[[], Answer]) -> Answer:
        for attempt in stamina.retry_context(
            on=pause,
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.wait,
            wait_max=MOST_SECONDS,
            wait_jitter=self.wait,
        ):
            with attempt:
                self._take_turn()
                return question()
        raise AssertionError("the last attempt answers or raises")

    def _take_turn(self) -> None:
        time.sleep(max(self._free_at - time.monotonic(), 0))
        self._free_at = time.monotonic() + self.every


def pause(error: Exception) -> bool | float:
    """Whether to ask again after this error; a number is the seconds that the service asks for."""
    if not isinstance(error, TransientError):
        return False
    if error.seconds is None:
        return True
    return error.seconds if error.seconds <= MOST_SECONDS else False


def wanted(listed: pl.DataFrame, market: Market, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
    """The listed instruments that a market trades in [start, end): none if it has no session then."""
    sessions = market.sessions()
    open_days = (sessions >= np.datetime64(start.date())) & (sessions < np.datetime64(end))
    return listed.filter(pl.col("exchange").is_in(market.exchanges)) if open_days.any() else listed.clear()


def deliver(
    name: str, line: Line, listed: pl.DataFrame, start: dt.datetime, ask: Callable[[str], pl.DataFrame]
) -> pl.DataFrame:
    """The bars of all listed instruments, and a row with the reason for each of which none came.

    Args:
        name: of the source, for messages.
        line: the line to its service.
        listed: symbol and exchange of what is wanted.
        start: from when on bars are wanted.
        ask: the bars of one symbol, with the columns of `RAW_BARS` but for symbol, exchange and line.

    Raises:
        SourceError: there is not one bar.
    """
    frames, reasons = [], []
    for symbol, exchange in listed.select("symbol", "exchange").rows():
        try:
            bars = line.ask(partial(ask, symbol))
            frames.append(bars.with_columns(symbol=pl.lit(symbol), exchange=pl.lit(exchange)))
        except (NoBarsError, TransientError, RefusedError) as error:
            reasons.append(
                (symbol, exchange, f"{name}: {error}")
            )  # becomes a row that is refused with this reason
    if reasons and not frames:
        raise SourceError(f"{reasons[0][2]} (none of {len(reasons)} instruments was delivered)")
    if reasons:
        _log.warning("%s delivered %d of %d instruments: %s", name, len(frames), listed.height, reasons[0][2])
    return pl.concat([not_delivered(reasons, start), *frames], how="diagonal")


def not_delivered(reasons: Iterable[tuple[str, str, str]], start: dt.datetime) -> pl.DataFrame:
    """A row for each symbol and exchange without bars from a moment on, which the contract refuses, saying why."""
    rows = [
        dict.fromkeys(RAW_BARS)
        | {
            "symbol": symbol,
            "exchange": exchange,
            "ts": start,
            "raw": json.dumps({"symbol": symbol, "error": why}),
        }
        for symbol, exchange, why in reasons
    ]
    return pl.DataFrame(rows, schema=RAW_BARS)
