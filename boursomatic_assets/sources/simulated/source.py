"""A seeded market: bars of made-up companies, which need no network and never change.

What belongs here: instruments and raw bars as a source delivers them.
Kept elsewhere: closes and trading sessions (`paths.py`), the rest of a bar (`candles.py`), the calendar
(`calendars/markets.py`), which bars are valid (`quality/contract.py`).

Prices and volumes are those of an instrument's first shares: a split shows in no bar, and no later event rewrites
one, as with a vendor who adjusts the past to the newest shares. `adjusted=False` delivers the shares of the day.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Floats, Ints, Masks, Times
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import FILES, INSTRUMENTS, NAME, RAW_BARS
from boursomatic_assets.sources.raw_rows import read_raw_rows
from boursomatic_assets.sources.simulated.candles import Candles, candles_15m, daily_candles
from boursomatic_assets.sources.simulated.draws import Keys, draw_uniforms, keys_of_names
from boursomatic_assets.sources.simulated.paths import Cents, Walk, shares_after_splits

FIRST_DATE = np.datetime64("2000-01-01")
"""No bar is older. Every path starts here, whatever range is asked for."""

SECTORS = {
    "Technology": "Systems",
    "Industrials": "Industries",
    "Health Care": "Therapeutics",
    "Energy": "Energy",
    "Financials": "Capital",
    "Consumer Staples": "Foods",
    "Materials": "Minerals",
    "Utilities": "Power",
}
"""Sectors, and the second word of their companies' names."""

USUAL_VOLUME = {"small": 1e5, "mid": 5e5, "large": 3e6}
"""Shares a session, by market capitalisation."""

PE_BUCKETS = ("low", "medium", "high")

BAR_LENGTH = np.timedelta64(15, "m").astype("timedelta64[us]")

DRAWS_PER_DATE = 100
"""Random numbers are found by date and place: a day's bar has place 0, its 15m bars have 1, 2, 3, ..."""

BARS_PER_BATCH = 100_000
"""Bars computed at once, few enough for a processor's cache."""


class Simulated:
    """Simulated bars of both markets; a symbol's bars depend on the seed, not on what else is listed.

    Args:
        instruments: how many a market lists.
        seed: another seed is another market.
        events: whether there are jumps, halts, delistings and newcomers; else all have a bar in every session.
        adjusted: whether bars are adjusted for splits; else a price halves, and volume doubles, when one comes.
        signal: strength of the planted signal, 0 to 2. With 1 the rank IC of -rsi_14 and the return of the next 20
            sessions is 0.15, and it grows with the strength; with 0 prices are random walks, without skill to be
            found.
    """

    name = "simulated"

    def __init__(
        self,
        instruments: int = 24,
        seed: int = 7,
        *,
        events: bool = True,
        adjusted: bool = True,
        signal: float = 1,
    ) -> None:
        self._count = instruments
        self._seed = seed
        self._events = events
        self._adjusted = adjusted
        self._signal = signal

    def instruments(self) -> pl.DataFrame:
        """The instruments of both markets, with the columns of `INSTRUMENTS`."""
        return pl.concat(_instruments(market, self._count) for market in MARKETS.values())

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of one market with `ts` in [start, end), by session, symbol and time, as `RAW_BARS`.

        Intervals are daily and 15m; of any other there are none.
        """
        sessions = _sessions(market)
        rows = np.arange(*np.searchsorted(sessions, np.array([start.date(), end], sessions.dtype)))
        world = _simulate_market(market, self._count, self._seed, self._events, self._adjusted, self._signal)
        parts: Iterator[pl.DataFrame] = iter(())
        if interval == "daily":
            parts = _daily_bars(world, sessions, rows)
        elif interval == "15m":
            parts = _bars_15m(world, market, sessions, rows)
        asked = (part.filter(pl.col("ts").is_between(start, end, closed="left")) for part in parts)
        bars = pl.concat([pl.DataFrame(schema=RAW_BARS), *asked], how="diagonal")
        return bars.with_columns(interval=pl.lit(interval))

    def files(self) -> pl.DataFrame:
        """No file."""
        return pl.DataFrame(schema=FILES)

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are: they stand in no file."""
        return rows

    def read_again(self, rejected: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows as raw bars, with the columns of `raw_rows.READ_AGAIN`."""
        return read_raw_rows(rejected)


@dataclass(frozen=True)
class _SimulatedMarket:
    """One market's instruments: what is the same in all sessions, and what remembers the sessions before."""

    listed: pl.DataFrame
    keys: Keys
    sigma: Floats
    usual: Floats
    closes: Cents
    trading: Masks
    shares: Cents | None

    def candles(self, session: Ints, place: Ints, date: Ints) -> Candles:
        """The daily bars at these rows and columns of the paths; `date` numbers a session in any calendar."""
        return daily_candles(
            before=self.closes[np.maximum(session - 1, 0), place].astype(float),
            close=self.closes[session, place].astype(float),
            sigma=self.sigma[place],
            usual=self.usual[place],
            shares=np.ones(1) if self.shares is None else self.shares[session, place].astype(float),
            drawn=draw_uniforms(self.keys[place], date * DRAWS_PER_DATE),
        )


def _instruments(market: Market, count: int) -> pl.DataFrame:
    """Companies that cannot be real ones: neither market lists a symbol of seven characters."""
    symbols = [f"SIM{market.name[0]}{number:03d}" for number in range(1, count + 1)]
    sectors = [list(SECTORS)[place % len(SECTORS)] for place in range(count)]
    columns = {
        "symbol": symbols,
        "exchange": [market.exchanges[place % len(market.exchanges)] for place in range(count)],
        "name": [f"{symbol} {SECTORS[sector]}" for symbol, sector in zip(symbols, sectors, strict=True)],
        "sector": sectors,
        "market_cap_bucket": [list(USUAL_VOLUME)[place // len(SECTORS) % 3] for place in range(count)],
        "pe_bucket": [PE_BUCKETS[place % 3] for place in range(count)],
    }
    return pl.DataFrame(columns, schema=INSTRUMENTS)


def _sessions(market: Market) -> Times:
    sessions = market.sessions()
    return sessions[sessions >= FIRST_DATE].astype("datetime64[us]")


@lru_cache(maxsize=4)
def _simulate_market(
    market: Market, count: int, seed: int, events: bool, adjusted: bool, signal: float
) -> _SimulatedMarket:
    listed = _instruments(market, count)
    symbols, sectors = listed["symbol"].to_list(), listed["sector"].to_list()
    walk = Walk(seed, market.name, len(_sessions(market)), events, signal)
    closes = walk.closes(symbols, sectors)
    return _SimulatedMarket(
        listed=listed.select(pl.col("symbol", "exchange").cast(NAME)),
        keys=keys_of_names(f"{seed} {market.name} {symbol}" for symbol in symbols),
        sigma=walk.volatility(symbols),
        usual=np.array([USUAL_VOLUME[bucket] for bucket in listed["market_cap_bucket"]]),
        closes=closes,
        trading=walk.trading(symbols),
        shares=None if adjusted else shares_after_splits(closes),
    )


def _daily_bars(world: _SimulatedMarket, sessions: Times, rows: Ints) -> Iterator[pl.DataFrame]:
    """Daily bars of these sessions."""
    for part in _batches(rows, BARS_PER_BATCH // len(world.listed)):
        session, place, date = _traded_bars(world, sessions, part)
        yield _frame(world.listed[place], sessions[session], world.candles(session, place, date))


def _bars_15m(world: _SimulatedMarket, market: Market, sessions: Times, rows: Ints) -> Iterator[pl.DataFrame]:
    """15m bars, as many as fit between a session's open and its close."""
    dates = sessions[rows].astype("datetime64[D]").tolist()
    opens = np.array([market.open_time(date) for date in dates], sessions.dtype)
    closes = np.array([market.close_time(date) for date in dates], sessions.dtype)
    counts = -((opens - closes) // BAR_LENGTH)
    at_once = BARS_PER_BATCH // (len(world.listed) * counts.max(initial=1))
    for same_length in np.split(np.arange(rows.size), np.flatnonzero(np.diff(counts)) + 1):
        for part in _batches(same_length, at_once):
            slot = np.arange(counts[part[0]])
            session, place, date = _traded_bars(world, sessions, rows[part])
            times = opens[session - rows[0], None] + BAR_LENGTH * slot
            drawn = draw_uniforms(world.keys[place, None], date[:, None] * DRAWS_PER_DATE + slot + 1)
            bars = candles_15m(world.candles(session, place, date), drawn)
            yield _frame(world.listed[np.repeat(place, slot.size)], times, bars)


def _batches(rows: Ints, at_once: int) -> Iterator[Ints]:
    """These rows, a few at a time."""
    at_once = max(at_once, 1)
    return (rows[first : first + at_once] for first in range(0, rows.size, at_once))


def _traded_bars(world: _SimulatedMarket, sessions: Times, rows: Ints) -> tuple[Ints, Ints, Ints]:
    """Row, column and date, in days since 1970, of each instrument that trades in these consecutive sessions."""
    session, place = np.nonzero(world.trading[rows[0] : rows[-1] + 1])
    session += rows[0]
    return session, place, sessions[session].astype("datetime64[D]").astype(np.int64)


def _frame(listed: pl.DataFrame, times: Times, bars: Candles) -> pl.DataFrame:
    """Symbol, exchange, ts, o, h, l, c, v of arrays of any shape that name their rows in the same order."""
    prices = {name: cents.ravel() / 100 for name, cents in zip("ohlc", bars[:4], strict=True)}
    return listed.with_columns(ts=times.ravel(), **prices, v=bars.volume.ravel())
