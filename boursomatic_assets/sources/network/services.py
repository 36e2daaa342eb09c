"""Network services: requesting bars, one instrument after the other, at a limited pace.

What belongs here: the pace of requests, retries, when a service is given up, and the rows that stand for
instruments without bars.
Kept elsewhere: requests and the parsing of responses (`yahoo.py`, `stooq.py`), the next service (`fallback.py`).
"""

import datetime as dt
import http.client
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
from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.sources import FILES, NAME, RAW_BARS, Source, SourceError
from boursomatic_assets.sources.raw_rows import read_rows_of_listed

MAX_WAIT_SECONDS = 120.0
"""The longest wait before a retry; a service that asks for a longer one is given up."""

MAX_FAILURES_IN_A_ROW = 3
"""Instruments in a row for which a service may fail before it is given up."""

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


def _record_retry(details: RetryDetails) -> None:
    absorbed.record(details.caused_by, f"asked again in {details.wait_for:.1f} s")


set_on_retry_hooks(
    [_record_retry]
)  # else stamina writes to the standard output, which belongs to the command line


class NoBarsError(Exception):
    """The service answers, and has no bars of this instrument; the message says why."""


class TransientError(Exception):
    """The service fails for now, and may answer a moment later.

    Attributes:
        retry_after: seconds after which it may be asked again, if it says so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedError(Exception):
    """The service refuses all further requests; the message says why, and what to do."""


class ListedSource(Source, Protocol):
    """A source, as a dataclass, that is asked for each instrument of its list, `listed`."""

    listed: pl.DataFrame

    def instruments(self) -> pl.DataFrame:
        """The listed instruments."""
        return self.listed

    def restricted_to(self, listed: pl.DataFrame) -> Self:
        """The same source for fewer instruments, a frame like that of `instruments`."""
        return replace(self, listed=listed)  # type: ignore[type-var]

    def files(self) -> pl.DataFrame:
        """No file."""
        return pl.DataFrame(schema=FILES)

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are: `raw` is the response of the service."""
        return rows

    def file_of(self, symbol: str, exchange: str) -> str:
        """What stands for an instrument in the column `file`: the service, and its name of the symbol."""
        ...

    def read_again(self, rejected: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows of listed instruments as raw bars, with the columns of `raw_rows.READ_AGAIN`."""
        names = self.listed.select("symbol", "exchange").rows()
        return read_rows_of_listed(rejected, {self.file_of(*name): name for name in names})


@dataclass
class PacedClient:
    """Paces and retries the requests to one service; it is closed for good once the service refuses.

    Attributes:
        seconds_between_requests: the least number of seconds between two requests.
        attempts: how often a request is sent before its instrument is given up.
        first_wait: seconds before the second attempt; each further wait is twice as long, plus a random part
            of `first_wait`.
    """

    seconds_between_requests: float = 1.0
    attempts: int = 4
    first_wait: float = 1.0
    closed_reason: str = ""
    _failures: int = 0
    _free_at: float = 0.0

    def request(self, send: Callable[[], Answer]) -> Answer:
        """The result of a request, sent again after transient errors.

        Raises:
            NoBarsError: from the request.
            TransientError: the last attempt failed as well.
            RefusedError: the service refuses this and every further request.
        """
        if self.closed_reason:
            raise RefusedError(self.closed_reason)
        try:
            answer = self._request_with_retries(send)
        except RefusedError as error:
            self.closed_reason = str(error)
            raise
        except TransientError as error:
            self._failures += 1
            if error.retry_after is not None or self._failures >= MAX_FAILURES_IN_A_ROW:
                self.closed_reason = f"not asked any more after: {error}"
            raise
        except NoBarsError:
            self._failures = 0
            raise
        self._failures = 0
        return answer

    def _request_with_retries(self, send: Callable[[], Answer]) -> Answer:
        for attempt in stamina.retry_context(
            on=should_retry,
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.first_wait,
            wait_max=MAX_WAIT_SECONDS,
            wait_jitter=self.first_wait,
        ):
            with attempt:
                self._wait_for_turn()
                return send()
        raise AssertionError("the last attempt returns or raises")

    def _wait_for_turn(self) -> None:
        time.sleep(max(self._free_at - time.monotonic(), 0))
        self._free_at = time.monotonic() + self.seconds_between_requests


def transient(error: Exception) -> TransientError:
    """What went wrong with a request, without a library's words: they hold addresses and parts of answers."""
    if isinstance(error, OSError | http.client.HTTPException):
        reason = getattr(error, "reason", error)
        return TransientError(f"it does not answer ({type(reason).__name__})")
    return TransientError(f"its answer is cut or of another form ({type(error).__name__})")


def should_retry(error: Exception) -> bool | float:
    """Whether to ask again after this error; a number is the seconds that the service asks for."""
    if not isinstance(error, TransientError):
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= MAX_WAIT_SECONDS else False


def select_listed(listed: pl.DataFrame, market: Market, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
    """The listed instruments that a market trades in [start, end): none if it has no session then."""
    sessions = market.sessions()
    open_days = (sessions >= np.datetime64(start.date())) & (sessions < np.datetime64(end))
    return listed.filter(pl.col("exchange").is_in(market.exchanges)) if open_days.any() else listed.clear()


def fetch_bars(
    source_name: str,
    client: PacedClient,
    listed: pl.DataFrame,
    start: dt.datetime,
    fetch_symbol: Callable[[str], pl.DataFrame],
) -> pl.DataFrame:
    """The bars of all listed instruments, and a row with the reason for each of which none came.

    Args:
        source_name: of the source, for messages.
        client: sends the requests to its service.
        listed: symbol and exchange of the instruments to fetch.
        start: of the range of bars.
        fetch_symbol: returns the bars of one symbol, with the columns of `RAW_BARS` but symbol, exchange and line.

    Raises:
        SourceError: there is not one bar.
    """
    frames, reasons = [], []
    for symbol, exchange in listed.select("symbol", "exchange").rows():
        try:
            bars = client.request(partial(fetch_symbol, symbol))
            frames.append(bars.with_columns(symbol=pl.lit(symbol, NAME), exchange=pl.lit(exchange, NAME)))
        except (
            NoBarsError,
            TransientError,
            RefusedError,
        ) as error:  # becomes a rejected row
            reasons.append((symbol, exchange, f"{source_name}: {error}"))
    if reasons and not frames:
        raise SourceError(f"{reasons[0][2]} (none of {len(reasons):,} instruments was delivered)")
    if reasons:
        _log.warning(
            "%s delivered %d of %d instruments: %s", source_name, len(frames), listed.height, reasons[0][2]
        )
    return pl.concat([rows_without_bars(reasons, start), *frames], how="diagonal")


def rows_without_bars(reasons: Iterable[tuple[str, str, str]], start: dt.datetime) -> pl.DataFrame:
    """A row for each symbol and exchange without bars; the contract rejects it with the reason."""
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
