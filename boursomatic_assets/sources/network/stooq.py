"""Bars from Stooq, by its CSV download.

What belongs here: Stooq's symbols, the address of a download, and the parsing of responses.
Kept elsewhere: pace and retries (`services.py`), files that were downloaded by hand (`sources/files/`).

What it lacks: shares of Euronext (it lists American, British, German, Japanese, Hong Kong, Hungarian and Polish
ones), and 15m bars by this way; both raise an error. What it needs: since 2026 a key, which a person
gets from a page of Stooq after a captcha (set BOURSOMATIC_STOOQ_KEY), and only so many downloads a day. Where it
suspects a robot it answers with a page instead of bars; that is reported, and not circumvented.

Prices are adjusted for splits and not for dividends, as Yahoo's are here: `o=0100000` asks for that. Without it,
the bars of one source would not join those of the other.
"""

import datetime as dt
import email.utils
import http
import http.client
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.network.services import (
    ListedSource,
    NoBarsError,
    PacedClient,
    RefusedError,
    TransientError,
    fetch_bars,
    select_listed,
    transient,
)

ADDRESS = "https://stooq.com/q/d/l/"
SKIP_DIVIDEND_ADJUSTMENT = "0100000"
"""Which adjustments to leave out: splits, dividends, four kinds of rights, others."""

HEADER = "Date,Open,High,Low,Close"
PRICES = {"o": "Open", "h": "High", "l": "Low", "c": "Close", "v": "Volume"}
TIMEOUT = 30.0

RATE_LIMIT_SECONDS = 60.0
"""How long to wait after a 429 that does not say how long."""

REFUSAL_MESSAGES = {
    "Exceeded the daily hits limit": "the downloads of this day are used up: ask again tomorrow",
    "apikey": "it wants a key: open https://stooq.com/q/d/?s=aapl.us&get_apikey in a browser, and set"
    " BOURSOMATIC_STOOQ_KEY to the key that it shows",
    "<": "it answers with a page for people instead of bars: download them in a browser, and read the files with"
    " BOURSOMATIC_SOURCE=files",
}
"""Text in a response that refuses every request, and what to do about it."""


@dataclass(frozen=True)
class Stooq(ListedSource):
    """Daily bars of listed American instruments.

    Attributes:
        listed: the instruments, with the columns of `sources.INSTRUMENTS`.
        key: what Stooq lets download with.
        address: of the download, without its query.
    """

    listed: pl.DataFrame
    key: str | None = field(default=None, repr=False)
    client: PacedClient = field(default_factory=PacedClient)
    address: str = ADDRESS
    name: str = "stooq"

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of one market with `ts` in [start, end), as `RAW_BARS`; a row with the reason for symbols without.

        Raises:
            SourceError: there is not one bar, or it is not the American market, or not daily bars.
        """
        if market.name != "US" or interval != "daily":
            raise SourceError(
                f"stooq: there are no {interval} bars of {market.name}: it has daily ones of US, and yahoo or"
                " files have others"
            )
        listed = select_listed(self.listed, market, start, end)
        return fetch_bars(self.name, self.client, listed, start, partial(self._download, start=start, end=end))

    def file_of(self, symbol: str, exchange: str) -> str:
        """What stands for an instrument in the column `file`."""
        return _file_of(_stooq_symbol(symbol))

    def _download(self, symbol: str, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
        """The bars of one symbol."""
        stooq_symbol = _stooq_symbol(symbol)
        last = end - dt.timedelta(microseconds=1)
        query = {
            "s": stooq_symbol,
            "d1": f"{start:%Y%m%d}",
            "d2": f"{last:%Y%m%d}",
            "i": "d",
            "o": SKIP_DIVIDEND_ADJUSTMENT,
        }
        if self.key:
            query["apikey"] = self.key
        answer = _get_text(f"{self.address}?{urllib.parse.urlencode(query)}")
        bars = parse_bars(answer, stooq_symbol).filter(pl.col("ts").is_between(start, end, closed="left"))
        if bars.is_empty():
            raise NoBarsError(f"no bars of {stooq_symbol} from {start} to {end}")
        return bars


def _stooq_symbol(symbol: str) -> str:
    return f"{symbol.replace('.', '-').lower()}.us"


def _file_of(stooq_symbol: str) -> str:
    return f"stooq:{stooq_symbol}"


def parse_bars(answer: str, stooq_symbol: str) -> pl.DataFrame:
    """The bars of an answer, as `fetch_bars` takes them.

    Args:
        answer: lines of Date,Open,High,Low,Close,Volume, or what Stooq says instead.
        stooq_symbol: Stooq's name of the symbol.

    Raises:
        NoBarsError: Stooq has no bars of it.
        RefusedError: it refuses this and every other download.
        TransientError: the answer is cut short, or none that is known.
    """
    stripped = answer.strip()
    if stripped in ("", "No data", HEADER, f"{HEADER},Volume"):
        raise NoBarsError(f"no data of {stooq_symbol}")
    if not stripped.startswith(HEADER):
        for sign, what_to_do in REFUSAL_MESSAGES.items():
            if sign in stripped:
                raise RefusedError(what_to_do)
        raise TransientError(f"wanted {HEADER},Volume of {stooq_symbol}, got {stripped[:60]!r}")
    if not answer.endswith("\n"):
        raise TransientError(f"the bars of {stooq_symbol} end within a line")
    try:
        rows = pl.read_csv(answer.encode(), infer_schema=False)
        dates = rows["Date"].str.to_date("%Y-%m-%d")
    except pl.exceptions.PolarsError:
        raise TransientError(f"the bars of {stooq_symbol} have a cell or a date of another form") from None
    return rows.select(
        dates.cast(pl.Datetime("us")).alias("ts"),
        *(
            (pl.col(name).cast(pl.Float64, strict=False) if name in rows.columns else pl.lit(None)).alias(ours)
            for ours, name in PRICES.items()
        ),
        interval=pl.lit("daily"),
        file=pl.lit(_file_of(stooq_symbol)),
        raw=pl.struct(rows.columns).struct.json_encode(),
    ).cast(dict.fromkeys(PRICES, pl.Float64))


def _get_text(address: str) -> str:
    """What is at an address; no message shows the address, which may hold the key."""
    request = urllib.request.Request(address, headers={"User-Agent": "boursomatic"})  # noqa: S310  it is Stooq's
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310  # nosec B310
            body: bytes = response.read()
    except urllib.error.HTTPError as error:
        with error:
            raise _error_of_status(error.code, error.headers.get("Retry-After")) from None
    except (OSError, http.client.HTTPException) as error:
        raise transient(error) from None
    return body.decode("utf-8", "replace")


def _error_of_status(code: int, retry_after: str | None) -> TransientError | RefusedError:
    """What an HTTP status that is not OK means."""
    seconds = _parse_retry_after(retry_after)
    wait_text = "" if seconds is None else f", it asks for {seconds:.0f} s of peace"
    if code == http.HTTPStatus.TOO_MANY_REQUESTS:
        return TransientError(
            f"too many questions (429){wait_text}", RATE_LIMIT_SECONDS if seconds is None else seconds
        )
    if code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(f"HTTP {code}{wait_text}", seconds)
    return RefusedError(f"it refuses (HTTP {code}): look at its pages in a browser")


def _parse_retry_after(retry_after: str | None) -> float | None:
    """The header Retry-After in seconds: it is a number of them, or a date."""
    if not retry_after:
        return None
    if retry_after.isdigit():
        return float(retry_after)
    try:
        until = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:  # as without the header: the error of the status is raised in any case
        return None
    return max((until - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)
