"""Labels: the return that followed a close, its class, and when it became known.

What belongs here: sampled sessions, forward returns and labels.
Kept elsewhere: which prices are on one basis (`features/price_basis.py`), which labels a due date may use
(`walk.py`), outcomes of recommendations (`advice/outcomes.py`).

A horizon is counted in sessions of the market. An instrument that stops trading inside it, or has no bar on its
last session, keeps its last price.
"""

import math

import numpy as np
import polars as pl

from boursomatic_assets.arrays import MICROSECONDS_PER_DAY, Ints
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.vocabulary import LABELS

CLASSES = LABELS[::-1]
"""The labels as classes, from the lowest return to the highest: the order of all probabilities."""


def sample_sessions(rows: pl.DataFrame, stride: int) -> pl.DataFrame:
    """Return the rows of every stride-th session of each market, counted from the calendar's first one.

    Args:
        rows: market, ts and any others.
        stride: Sessions from one that is kept to the next.
    """
    sampled = {name: market.sessions()[::stride].astype("datetime64[us]") for name, market in MARKETS.items()}
    in_sample = [
        (pl.col("market") == name) & pl.col("ts").is_in(pl.Series(sessions).implode())
        for name, sessions in sampled.items()
    ]
    return rows.filter(pl.any_horizontal(in_sample))


def label_rows(rows: pl.DataFrame, closes: pl.DataFrame, horizon: int, threshold: float) -> pl.DataFrame:
    """Return the label of each row, with its forward return, in the order of the rows.

    BUY is a forward return above threshold x vol_20d x sqrt(horizon), SELL one below its negative, HOLD the rest.

    Args:
        rows: market, instrument_id (an Enum), ts and vol_20d; each row has its close.
        closes: market, instrument_id (the same Enum), ts, c, sorted by instrument and time; and `basis`, as
            `price_basis.on_first_basis` adds it, unless all closes of an instrument are on one.
        horizon: Sessions of the market to look forward.
        threshold: In volatilities over the horizon.

    Returns:
        forward_return (a fraction: 0.05 is 5 %), z (the same in volatilities over the horizon), known_at (the ts
        of the session that ends the horizon) and label (an Enum of CLASSES); all are null where that session is
        not loaded, or where prices are suspected to be on another basis, z and label also without a volatility.
    """
    end = _horizon_ends(rows, closes, horizon)
    keys, prices = _sort_key(closes, _days(closes)), closes["c"].to_numpy()
    start, last = (
        np.searchsorted(keys, _sort_key(rows, days), side="right") - 1
        for days in (_days(rows), np.maximum(end, 0))
    )
    basis = closes["basis"].to_numpy() if "basis" in closes else np.zeros(closes.height)
    known = pl.Series((end >= 0) & (basis[last] == basis[start]))
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


def _horizon_ends(rows: pl.DataFrame, closes: pl.DataFrame, horizon: int) -> Ints:
    """Return the day on which each row's horizon ends, -1 where the market's session of that day is not loaded."""
    ends = np.full(rows.height, -1)
    markets, days = rows["market"].to_numpy(), _days(rows)
    for name, market in MARKETS.items():
        of_market = markets == name
        sessions = market.sessions().astype(np.int64)
        loaded = np.unique(_days(closes.filter(pl.col("market") == name)))
        place = np.searchsorted(sessions, days[of_market]) + horizon
        end = np.append(sessions, np.full(horizon + 1, -1))[place]
        ends[of_market] = np.where(np.isin(end, loaded), end, -1)
    return ends


def _days(rows: pl.DataFrame) -> Ints:
    days: Ints = rows["ts"].to_physical().to_numpy() // MICROSECONDS_PER_DAY
    return days


def _sort_key(rows: pl.DataFrame, days: Ints) -> Ints:
    """Return one number for each row and day that sorts by instrument, then by day."""
    return (rows["instrument_id"].to_physical().to_numpy().astype(np.int64) << 32) + days
