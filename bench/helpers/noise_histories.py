"""Histories of simulated bars: three kinds without any signal, and one with a weak one.

What belongs here: how each kind is made, as the frames that a walk forward learns from and is judged by.
Kept elsewhere: what is published of them (`noise_published.py`), the count (`noise.py`).

Each kind breaks the link between features and what follows at another place, and each is without any signal by
construction: given all that came before, the rank IC of a session is as likely positive as negative.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.sources.simulated.source import Simulated
from helpers.prepared import features_of, kept_bars

INSTRUMENTS = 24
"""Of each market: as many as the platform simulates by default."""

FIRST, LAST = dt.date(2018, 1, 2), dt.date(2021, 7, 30)
"""Seven months until there is a version, and three years of versions."""

SHIFT = 750
"""Sessions from a row's features to the close that its label starts from: three years."""

WEAK = 0.68
"""The strength of the planted signal with which the rank IC of -rsi_14 and the next 20 sessions is 0.1."""


@dataclass(frozen=True)
class Made:
    """One history.

    Attributes:
        features: market, instrument_id, ts and all features as columns, of every session.
        bars: market, instrument_id, ts, o, h, l, c and v of the same rows: what advice is given on.
        followed: The same, but for what labels are the returns of.
    """

    features: pl.DataFrame
    bars: pl.DataFrame
    followed: pl.DataFrame


def walks(seed: int) -> Made:
    """Bars of the simulated market without any signal."""
    return _of_bars(_bars(seed, 0))


def shuffled_sessions(seed: int) -> Made:
    """Bars of the simulated market with its usual signal, their sessions in another order, and mirrored by a coin.

    A session moves as a whole: what the instruments of a market have in common stays. The coin is there because a
    shuffle alone keeps the sum of an instrument's returns, so that what has risen tends to fall. The first session
    has no return, and no bar where it comes to lie.
    """
    random = np.random.default_rng(seed)
    return _of_bars(pl.concat(shuffle_sessions(rows, random) for rows in _bars(seed, 1).partition_by("market")))


def shifted_labels(seed: int) -> Made:
    """Bars of the simulated market with its usual signal, but what follows is what followed SHIFT sessions later.

    Labels, calibration and evidence see the closes of three years later; features and advice those of their time.
    """
    bars = _bars(seed, 1)
    key = ["market", "instrument_id", "ts"]
    later = pl.concat(_moved_back(rows) for rows in _bars(seed, 1, years=4).partition_by("market"))
    bars = bars.join(later, on=key, how="semi")
    made = _of_bars(bars)
    return Made(made.features, bars, later.filter(pl.col("ts") <= bars["ts"].max()))


def weak_signal(seed: int) -> Made:
    """Bars of the simulated market with a planted rank IC of 0.1."""
    return _of_bars(_bars(seed, WEAK))


KINDS: dict[str, Callable[[int], Made]] = {
    "walks": walks,
    "shuffled sessions": shuffled_sessions,
    "shifted labels": shifted_labels,
    "planted rank IC of 0.1": weak_signal,
}


def _bars(seed: int, signal: float, years: int = 0) -> pl.DataFrame:
    last = LAST.replace(year=LAST.year + years)
    return kept_bars(Simulated(INSTRUMENTS, seed, signal=signal), FIRST, last)


def _of_bars(bars: pl.DataFrame) -> Made:
    return Made(unpack(features_of(bars)).sort("ts", "instrument_id"), bars, bars)


def shuffle_sessions(bars: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """The bars of one market with its sessions' returns in another order, half of them mirrored."""
    before = pl.col("c").shift().over("instrument_id", order_by="ts")
    moves = bars.with_columns((pl.col(name) / before).log() for name in "ohlc").drop_nulls("c")
    sessions = bars["ts"].unique().sort()
    places = pl.DataFrame(
        {
            "ts": sessions,
            "to": sessions.gather(random.permutation(sessions.len())),
            "sign": random.choice([-1.0, 1.0], sessions.len()),
        }
    )
    moves = moves.join(places, on="ts").with_columns(
        *(pl.col(name) * pl.col("sign") for name in "oc"),
        h=pl.when(pl.col("sign") > 0).then("h").otherwise(-pl.col("l")),
        l=pl.when(pl.col("sign") > 0).then("l").otherwise(-pl.col("h")),
    )
    starts = bars.group_by("instrument_id").agg(start=pl.col("c").sort_by("ts").first().log())
    moves = moves.with_columns(ts="to").join(starts, on="instrument_id").sort("instrument_id", "ts")
    after = pl.col("start") + pl.col("c").cum_sum().over("instrument_id")
    before = after - pl.col("c")
    prices = ((before + pl.col(name)).exp().alias(name) for name in "ohlc")
    return moves.select("market", "instrument_id", "ts", *prices, "v")


def _moved_back(bars: pl.DataFrame) -> pl.DataFrame:
    """The bars of one market, each on the session SHIFT sessions before its own."""
    sessions = MARKETS[bars["market"][0]].sessions().astype("datetime64[us]")
    place = np.searchsorted(sessions, bars["ts"].to_numpy()) - SHIFT
    return bars.with_columns(ts=pl.Series(sessions[place])).filter(pl.col("ts") >= bars["ts"].min())
