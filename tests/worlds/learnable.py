"""Two small markets to learn from: random walks whose features predict the future, or do not."""

import datetime as dt

import numpy as np
import polars as pl

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.additional_features import RANKED_FEATURES
from boursomatic_assets.features.market_context import CONTEXT

FIRST = dt.date(2020, 1, 2)

Frames = tuple[pl.DataFrame, pl.DataFrame]
"""Features and bars, as `History.of` takes them."""


def markets(signal: float = 0.0, sessions: int = 360, instruments: int = 16, seed: int = 7) -> Frames:
    """Both markets from FIRST on; `signal` is the share of the future return in `ret_5d`, per unit of noise."""
    parts = [_market(name, signal, sessions, instruments, seed) for name in MARKETS]
    features, bars = (pl.concat(frames) for frames in zip(*parts, strict=True))
    ranked = pl.col(RANKED_FEATURES)
    ranks = ((ranked.rank() - 0.5) / ranked.count()).over("market", "ts").name.suffix("_rank")
    return features.with_columns(ranks), bars


def scrambled(frame: pl.DataFrame, since: dt.date) -> pl.DataFrame:
    """The same frame with every number changed in the rows from a date on."""
    numbers = pl.selectors.float()
    return frame.with_columns(pl.when(pl.col("ts").dt.date() >= since).then(numbers * 3 + 1).otherwise(numbers))


def _market(name: str, signal: float, sessions: int, instruments: int, seed: int) -> Frames:
    random = np.random.default_rng([seed, len(name)])
    calendar = MARKETS[name].sessions()
    days = calendar[calendar >= np.datetime64(FIRST)][:sessions].astype("datetime64[us]")
    steps = random.normal(0, 0.02, (instruments, sessions))
    close = 50 * np.exp(steps.cumsum(axis=1))
    shape = {
        "market": np.repeat(name, close.size),
        "instrument_id": np.repeat([f"{name} {i:02d}" for i in range(instruments)], sessions),
        "ts": np.tile(days, instruments),
    }
    columns = {feature: random.normal(0, 1, close.size) for feature in (*RANKED_FEATURES, *CONTEXT)}
    future = np.roll(np.log(close), -20, axis=1) - np.log(close)
    columns["ret_5d"] += signal * future.ravel() / (0.02 * np.sqrt(20))
    columns["vol_20d"] = np.full(close.size, 0.02)
    columns["vol_ratio"] = np.exp(random.normal(0, 0.2, close.size))
    return pl.DataFrame({**shape, **columns}), pl.DataFrame({**shape, "c": close.ravel()})
