"""Bars from Yahoo Finance, through yfinance.

What belongs here: Yahoo's symbols, the request for one of them, and its response as raw bars.
Kept elsewhere: pace and retries (`services.py`), the list of symbols (`sources/simulated/universe.py`).

Prices are as traded, but for splits: dividends are not taken out (`auto_adjust=False`). Otherwise every dividend
would rewrite all bars before it, and what is fetched today would not join what was stored yesterday. What Yahoo
calls `Adj Close` stays in `raw`, with the rest of the row. Rows that Yahoo leaves empty are delivered, and
rejected by the contract.

Yahoo answers for one symbol at a time, whatever the range. `yf.download` asks the same questions, but only logs
why a symbol failed, and fills all symbols up to the same dates with rows that nobody delivered; so each symbol's
history is asked for by itself, on the market's own clock, which spares a question for its time zone.
"""

import datetime as dt
import warnings
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import yfinance
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError, YFTickerMissingError
from yfinance.scrapers.history import PriceHistory

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.network.services import (
    ListedSource,
    NoBarsError,
    PacedClient,
    TransientError,
    fetch_bars,
    select_listed,
    transient,
)

INTERVALS = {"daily": "1d", "15m": "15m"}
"""Our intervals, and Yahoo's names of them."""

INTRADAY_DAYS = 60
"""How far back Yahoo has 15m bars."""

RATE_LIMIT_SECONDS = 60.0
"""How long to wait after a 429; Yahoo counts questions a minute, and does not say when it listens again."""

TIMEOUT = 30.0

PRICES = {"o": "Open", "h": "High", "l": "Low", "c": "Close", "v": "Volume"}


@dataclass(frozen=True)
class Yahoo(ListedSource):
    """Daily and 15m bars of listed instruments.

    Attributes:
        listed: the instruments, with the columns of `sources.INSTRUMENTS`.
        cookies: the folder in which yfinance keeps Yahoo's cookies.
        session: a session of curl_cffi or requests, else one that yfinance makes.
    """

    listed: pl.DataFrame
    cookies: Path
    client: PacedClient = field(default_factory=PacedClient)
    session: Any = None
    name: str = "yahoo"

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of one market with `ts` in [start, end), as `RAW_BARS`; a row with the reason for symbols without.

        Raises:
            SourceError: there is not one bar, or the interval or the time is one that Yahoo has no bars of.
        """
        _require_available(interval, start)
        _configure_yfinance(self.cookies)
        fetch = partial(self._history, market=market, start=start, end=end, interval=interval)
        return fetch_bars(self.name, self.client, select_listed(self.listed, market, start, end), start, fetch)

    def file_of(self, symbol: str, exchange: str) -> str:
        """What stands for an instrument in the column `file`."""
        return _file_of(_yahoo_symbol(symbol, exchange))

    def _history(
        self, symbol: str, market: Market, start: dt.datetime, end: dt.datetime, interval: str
    ) -> pl.DataFrame:
        """The bars of one symbol."""
        yahoo_symbol = _yahoo_symbol(symbol, market.exchanges[0])
        data = YfData(session=self.session)
        data.cache_get.cache_clear()  # it also keeps broken answers, which a second attempt would be given again
        history = PriceHistory(data, yahoo_symbol, market.timezone, session=self.session)
        bars = _fetch_history(history, start, end, interval).filter(
            pl.col("ts").is_between(start, end, closed="left")
        )
        if bars["c"].drop_nulls().is_empty():
            raise NoBarsError(f"no prices of {yahoo_symbol} from {start} to {end}, and {bars.height} empty rows")
        return bars


def _yahoo_symbol(symbol: str, exchange: str) -> str:
    return symbol if exchange in MARKETS["EURONEXT"].exchanges else symbol.replace(".", "-")


def _fetch_history(history: PriceHistory, start: dt.datetime, end: dt.datetime, interval: str) -> pl.DataFrame:
    """The response to one request, as raw bars."""
    daily = interval == "daily"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how yfinance 1.7 uses pandas 3.1
            frame = history.history(
                interval=INTERVALS[interval],
                start=start.date() if daily else start.replace(tzinfo=dt.UTC),
                end=_next_midnight(end).date() if daily else end.replace(tzinfo=dt.UTC),
                auto_adjust=False,
                actions=False,
                keepna=True,
                timeout=TIMEOUT,
            )
        return to_raw_bars(frame, history.ticker, interval)
    except YFRateLimitError:
        raise TransientError("too many questions (429)", RATE_LIMIT_SECONDS) from None
    except YFTickerMissingError as error:
        raise NoBarsError(error.rationale) from None
    except Exception as error:  # whatever yfinance stumbles over in an answer that is cut or of another form
        raise transient(error) from error


def _file_of(yahoo_symbol: str) -> str:
    return f"yahoo:{yahoo_symbol}"


def to_raw_bars(frame: pd.DataFrame, yahoo_symbol: str, interval: str) -> pl.DataFrame:
    """What yfinance returns of one symbol, as `fetch_bars` takes it.

    Args:
        frame: Open, High, Low, Close, Volume and more; the index is the start of a bar on the exchange's clock.
        yahoo_symbol: Yahoo's name of the symbol, for `file`.
        interval: of the bars.
    """
    index = pd.DatetimeIndex(frame.index)
    naive = index.tz_localize(None) if interval == "daily" else index.tz_convert("UTC").tz_localize(None)
    cells = {name: pl.Series(frame[name].to_numpy("float64"), nan_to_null=True) for name in frame.columns}
    rows = pl.DataFrame({"ts": naive.to_numpy().astype("datetime64[us]"), **cells})
    return rows.select(
        "ts",
        *(pl.col(name).alias(ours) for ours, name in PRICES.items()),
        interval=pl.lit(interval),
        file=pl.lit(_file_of(yahoo_symbol)),
        raw=pl.struct(pl.col("ts").cast(pl.String), *cells).struct.json_encode(),
    )


def _require_available(interval: str, start: dt.datetime) -> None:
    if interval not in INTERVALS:
        raise SourceError(f"yahoo: there are no bars of {interval!r}: ask for {' or '.join(INTERVALS)}")
    first = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(days=INTRADAY_DAYS)
    if interval == "15m" and start < first:
        raise SourceError(
            f"yahoo: 15m bars reach back {INTRADAY_DAYS} days, and {start:%Y-%m-%d} is before that:"
            f" ask from {_next_midnight(first):%Y-%m-%d} on"
        )


def _next_midnight(time: dt.datetime) -> dt.datetime:
    midnight = dt.datetime.combine(time.date(), dt.time())
    return midnight if midnight == time else midnight + dt.timedelta(days=1)


@cache
def _configure_yfinance(cookies: Path) -> None:
    """Have yfinance write into this folder only, and raise its errors instead of logging them."""
    yfinance.set_tz_cache_location(str(cookies))
    yfinance.config.debug.hide_exceptions = False
