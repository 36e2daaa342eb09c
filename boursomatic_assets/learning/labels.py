"""Labels: what a close was followed by, and when that became known.

A horizon is counted in sessions of the market. An instrument that stops trading inside it, or has no bar on its
last session, keeps its last price. Which labels may be used for what is decided in `walk`.
"""

import math

import numpy as np
import polars as pl

from boursomatic_assets.arrays import MICROSECONDS_PER_DAY, Ints
from boursomatic_assets.calendars.markets import MARKETS

CLASSES = ("SELL", "HOLD", "BUY")
"""The three labels, in the order of probabilities."""


"""Microseconds."""

BREAK = 50.0
"""Prices that are so many times as high, or as low, from one close to the next stand on two bases (a reverse
split, an error), and a return across them is none. In the bars that this was tried on, genuine moves were 22-fold
at most (a warrant), and errors 68-fold at least."""


def sample_sessions(rows: pl.DataFrame, stride: int) -> pl.DataFrame:
    """Return the rows of every stride-th session of each market, counted from the calendar's first one.

    Args:
        rows: market, ts and any others.
        stride: Sessions from one that is kept to the next.
    """
    kept = {name: market.sessions()[::stride].astype("datetime64[us]") for name, market in MARKETS.items()}
    own = [
        (pl.col("market") == name) & pl.col("ts").is_in(pl.Series(sessions).implode())
        for name, sessions in kept.items()
    ]
    return rows.filter(pl.any_horizontal(own))


def label_rows(rows: pl.DataFrame, closes: pl.DataFrame, horizon: int, threshold: float) -> pl.DataFrame:
    """Return what each row was followed by, in the order of the rows.

    BUY is a forward return above threshold x vol_20d x sqrt(horizon), SELL one below its negative, HOLD the rest.

    Args:
        rows: market, instrument_id (an Enum), ts and vol_20d; each row has its close.
        closes: market, instrument_id (the same Enum), ts, c, sorted by instrument and time.
        horizon: Sessions of the market to look forward.
        threshold: In volatilities over the horizon.

    Returns:
        forward_return (a fraction: 0.05 is 5 %), z (the same in volatilities over the horizon), known_at (the ts
        of the session that ends the horizon) and label (an Enum of LABELS); all are null where that session is
        not loaded or prices break before it (BREAK), z and label also without a volatility.
    """
    end = _ends(rows, closes, horizon)
    keys, prices = _key(closes, _days(closes)), closes["c"].to_numpy()
    start, last = (
        np.searchsorted(keys, _key(rows, days), side="right") - 1 for days in (_days(rows), np.maximum(end, 0))
    )
    broken = breaks(closes)
    known = pl.Series((end >= 0) & (broken[last] == broken[start]))
    edge = rows["vol_20d"] * math.sqrt(horizon)
    z = pl.col("z")
    label = pl.when(z > threshold).then(pl.lit("BUY")).when(z < -threshold).then(pl.lit("SELL"))
    return (
        pl.DataFrame({"known": known, "forward_return": prices[last] / prices[start] - 1, "edge": edge})
        .with_columns(
            z=pl.when(pl.col("edge") > 0).then(pl.col("forward_return") / pl.col("edge")),
            known_at=pl.Series(end * MICROSECONDS_PER_DAY).cast(pl.Datetime("us")),
        )
        .select(pl.when("known").then(name).alias(name) for name in ("forward_return", "z", "known_at"))
        .with_columns(label=pl.when(z.is_not_null()).then(label.otherwise(pl.lit("HOLD"))).cast(pl.Enum(CLASSES)))
    )


def _ends(rows: pl.DataFrame, closes: pl.DataFrame, horizon: int) -> Ints:
    """The day on which each row's horizon ends, -1 where the market's session of that day is not loaded."""
    ends = np.full(rows.height, -1)
    markets, days = rows["market"].to_numpy(), _days(rows)
    for name, market in MARKETS.items():
        own = markets == name
        sessions = market.sessions().astype(np.int64)
        loaded = np.unique(_days(closes.filter(pl.col("market") == name)))
        place = np.searchsorted(sessions, days[own]) + horizon
        end = np.append(sessions, np.full(horizon + 1, -1))[place]
        ends[own] = np.where(np.isin(end, loaded), end, -1)
    return ends


def breaks(closes: pl.DataFrame) -> Ints:
    """How many breaks there are up to each close: without one in between, two closes have the same number.

    Args:
        closes: c, sorted by instrument and time; breaks between two instruments count alike on both sides.
    """
    prices = closes["c"].to_numpy()
    ratio = np.append(1.0, prices[1:] / prices[:-1])
    counted: Ints = np.cumsum((ratio >= BREAK) | (ratio <= 1 / BREAK))
    return counted


def _days(rows: pl.DataFrame) -> Ints:
    days: Ints = rows["ts"].to_physical().to_numpy() // MICROSECONDS_PER_DAY
    return days


def _key(rows: pl.DataFrame, days: Ints) -> Ints:
    """One number for each row and day that sorts by instrument, then by day."""
    return (rows["instrument_id"].to_physical().to_numpy().astype(np.int64) << 32) + days
