"""A seeded market: bars of made-up companies, which need no network and never change.

What belongs here: instruments and raw bars as a source delivers them.
Kept elsewhere: the calendar (`markets.py`), judging rows (`contracts.py`).

A close is a random walk (market, sector and own moves, with fat tails and clustered volatility) plus a
planted signal: each price overshoots, and half of an overshoot is gone after about a week. So what fell
behind its peers over the last 5 sessions tends to outrun them over the next ones: a low ret_5d is good
news, as in real markets (short-term reversal, Lehmann 1990, Jegadeesh 1990).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.markets import MARKETS, Market
from boursomatic_assets.sources import INSTRUMENTS, RAW_BARS

OPENING = np.datetime64("2000-01-01")
"""No bar is older. Every path starts here, whatever range is asked for."""

OVERSHOOT = 0.02
"""Standard deviation of the planted overshoot, in log price."""

KEPT = 0.9
"""Share of an overshoot that is left one session later; half of it after 6.6 sessions."""

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

Floats = npt.NDArray[np.float64]


class Simulated:
    """Simulated bars of both markets; a symbol's path depends on the seed, not on what else is listed."""

    name = "simulated"

    def __init__(self, instruments: int = 24, seed: int = 7) -> None:
        self._count = instruments
        self._seed = seed

    def instruments(self) -> pl.DataFrame:
        """The instruments of both markets, with the columns of `INSTRUMENTS`."""
        return pl.concat(_instruments(market, self._count) for market in MARKETS.values())

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Daily bars of one market with `ts` in [start, end), by session and symbol, as `RAW_BARS`."""
        if interval != "daily":
            return pl.DataFrame(schema=RAW_BARS)
        sessions = _sessions(market)
        rows = slice(*np.searchsorted(sessions, np.array([start, end], sessions.dtype)))
        listed = _instruments(market, self._count).select("symbol", "exchange")
        paths = _paths(market, self._count, self._seed)
        bars = pl.DataFrame({"ts": sessions[rows]}).join(listed, how="cross")
        bars = bars.with_columns(pl.Series(name, path[rows].ravel()) for name, path in paths.items())
        bars = bars.with_columns(interval=pl.lit("daily"))
        return pl.concat([pl.DataFrame(schema=RAW_BARS), bars], how="diagonal")

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are: they stand in no file."""
        return rows


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


def _sessions(market: Market) -> npt.NDArray[np.datetime64]:
    sessions = market.sessions()
    return sessions[sessions >= OPENING].astype("datetime64[us]")


@lru_cache(maxsize=4)
def _paths(market: Market, count: int, seed: int) -> dict[str, Floats]:
    """o, h, l, c, v since OPENING, each of shape sessions x instruments."""
    listed = _instruments(market, count)
    symbols, sectors = listed["symbol"].to_list(), listed["sector"].to_list()
    noise = _Noise(f"{seed} {market.name}", len(_sessions(market)))
    level, beta, restless = noise.traits(symbols)
    sigma = 0.009 + 0.007 * restless
    own = sigma * noise.moves(symbols)
    moves = own + 0.005 * noise.moves(sectors) + 0.008 * (0.7 + 0.6 * beta) * noise.moves([market.name])
    value = np.log(20) + 1.8 * level + np.cumsum(moves + 0.0002, axis=0)
    close = np.exp(value + OVERSHOOT * _reverting(noise.normal("overshoot", symbols), KEPT))
    usual = np.array([USUAL_VOLUME[bucket] for bucket in listed["market_cap_bucket"]])
    volume = usual * (0.5 + np.abs(own) / sigma) * np.exp(0.4 * noise.normal("volume", symbols))
    return _candles(close, sigma, noise, symbols) | {"v": np.rint(volume)}


def _candles(close: Floats, sigma: Floats, noise: _Noise, symbols: list[str]) -> dict[str, Floats]:
    """o, h, l, c in cents around the closes: a gap at the open, wicks above and below."""
    before = np.concatenate([close[:1], close[:-1]])
    gap, above, below = (0.4 * sigma * noise.normal(part, symbols) for part in ("gap", "above", "below"))
    opening = before * (close / before) ** 0.4 * np.exp(gap)
    high = np.maximum(opening, close) * np.exp(np.abs(above))
    low = np.minimum(opening, close) * np.exp(-np.abs(below))
    candles = {"o": opening, "h": high, "l": low, "c": close}
    return {name: np.maximum(np.round(price, 2), 0.01) for name, price in candles.items()}


@dataclass(frozen=True)
class _Noise:
    """Random columns, one per name: each has its own stream, so neither length nor neighbours change it."""

    key: str
    size: int

    def traits(self, names: list[str]) -> Floats:
        """Three uniform numbers per name, as three rows."""
        return np.column_stack([self._stream("traits", name).random(3) for name in names])

    def normal(self, part: str, names: list[str]) -> Floats:
        """Standard normal columns."""
        return np.column_stack([self._stream(part, name).standard_normal(self.size) for name in names])

    def moves(self, names: list[str]) -> Floats:
        """Columns of about unit variance with fat tails (Student's t, 5 degrees) and clustered volatility."""
        shocks = np.column_stack([self._stream("moves", name).standard_t(5, self.size) for name in names])
        turbulence = 0.5 * _reverting(self.normal("turbulence", names), 0.97)
        moves: Floats = shocks * np.sqrt(3 / 5) * np.exp(turbulence - 0.5**2)
        return moves

    def _stream(self, part: str, name: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.key} {part} {name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest))


def _reverting(shocks: Floats, kept: float) -> Floats:
    """First-order autoregression of unit variance: each row keeps a share of the row before it."""
    path: Floats = shocks * np.sqrt(1 - kept**2)
    for row in range(1, len(path)):
        path[row] += kept * path[row - 1]
    return path
