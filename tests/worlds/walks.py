"""A quiet market for tests: random walks in cents, of which nothing is strange until a test changes it."""

from functools import cache
from typing import Any

import numpy as np
import polars as pl

from boursomatic_assets.calendars.markets import MARKETS

SESSIONS = MARKETS["US"].sessions()
"""All sessions of the market that the walks trade in."""

FIRST = int(np.searchsorted(SESSIONS, np.datetime64("2019-01-02")))
LENGTH = 180
DAYS = SESSIONS[FIRST : FIRST + LENGTH].astype("datetime64[us]").tolist()
"""The sessions on which every walk has a bar: the bar of an instrument on DAYS[k] is its k-th."""


@cache
def walks(names: str, *, sigma: float = 0.01, seed: int = 1) -> pl.DataFrame:
    """A bar per instrument ("A B C") and day of DAYS, as `price_bars` has them."""
    frames = [_walk(name, sigma, np.random.default_rng([seed, *name.encode()])) for name in names.split()]
    return pl.concat(frames).sort("ts", "instrument_id")


def quiet_market(size: int = 10, **how: Any) -> pl.DataFrame:
    """Walks of so many instruments, named A, B, C, ..."""
    return walks(" ".join(map(chr, range(65, 65 + size))), **how)


def scale_prices(bars: pl.DataFrame, factor: float, where: pl.Expr, names: str = "ohlc") -> pl.DataFrame:
    """The bars with some prices times a factor, on some rows."""
    return bars.with_columns(pl.when(where).then(pl.col(*names) * factor).otherwise(pl.col(*names)))


def is_bar(name: str, day: int) -> pl.Expr:
    """The one row of an instrument's bar."""
    return (pl.col("instrument_id") == name) & (pl.col("ts") == DAYS[day])


def is_since(name: str, day: int) -> pl.Expr:
    """The rows of an instrument from a day on."""
    return (pl.col("instrument_id") == name) & (pl.col("ts") >= DAYS[day])


def _walk(name: str, sigma: float, random: np.random.Generator) -> pl.DataFrame:
    close = 100 * np.exp(np.cumsum(sigma * random.standard_normal(LENGTH)))
    opening = close * np.exp(sigma / 2 * random.standard_normal(LENGTH))
    above, below = np.exp(sigma / 2 * np.abs(random.standard_normal((2, LENGTH))))
    prices = {
        "o": opening,
        "h": np.maximum(opening, close) * above,
        "l": np.minimum(opening, close) / below,
        "c": close,
    }
    cents = {column: np.round(price, 2) for column, price in prices.items()}
    volume = random.integers(1_000, 1_000_000, LENGTH).astype(float)
    days = pl.Series("ts", DAYS, pl.Datetime("us"))
    return pl.DataFrame({"ts": days, **cents, "v": volume}).with_columns(instrument_id=pl.lit(name))
