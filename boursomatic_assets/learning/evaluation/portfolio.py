"""Portfolio: long the top decile of each session by score, short the bottom one.

What belongs here: its daily returns and traded amounts, and the metrics of such days.
Kept elsewhere: which instruments are picked (`ranking.py`).

Each session opens a share of its market's book at the close: half of it long, half short, equal amounts of every
pick of a side. It is closed at the end of the horizon, so the trades of several sessions overlap. The book has a
constant size: nothing is rebalanced in between, gains are not reinvested. Opposite trades of one instrument on one
day are netted. An instrument that stops trading keeps its last price.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import KEY, SESSIONS_PER_YEAR, Floats, Positions
from boursomatic_assets.learning.evaluation.ranking import sum_by_group


@dataclass(frozen=True)
class PriceMatrix:
    """The closes of one market: sessions x instruments, NaN before an instrument's first one, then no gaps."""

    sessions: npt.NDArray[np.datetime64]
    instruments: pl.Series
    close: Floats

    @classmethod
    def from_closes(cls, closes: pl.DataFrame) -> "PriceMatrix":
        """Arrange instrument_id, ts and c; a session without a bar of an instrument keeps its last close."""
        sessions, row = np.unique(closes["ts"].to_numpy(), return_inverse=True)
        instruments = closes["instrument_id"].unique().sort()
        close = np.full((len(sessions), len(instruments)), np.nan)
        close[row, instruments.search_sorted(closes["instrument_id"]).to_numpy()] = closes["c"].to_numpy()
        for previous, current in pairwise(close):
            np.copyto(current, previous, where=np.isnan(current))
        return cls(sessions, instruments, close)


@dataclass(frozen=True)
class Trades:
    """Picks as indices in a price matrix: bought (units below 0: sold short) at `start`, closed at `end`."""

    start: Positions
    end: Positions
    instrument: Positions
    units: Floats

    @classmethod
    def from_picks(cls, picks: pl.DataFrame, prices: PriceMatrix, share: float) -> "Trades":
        """Open this share of the book in each session of the picks; units are per book of size 1."""
        start, end = (np.searchsorted(prices.sessions, picks[name].to_numpy()) for name in ("ts", "known_at"))
        instrument = prices.instruments.search_sorted(picks["instrument_id"]).to_numpy().astype(np.intp)
        amount = picks["side"].to_numpy() * picks["share"].to_numpy() * share / 2
        return cls(start, end, instrument, amount / prices.close[start, instrument])


def daily_results(
    deciles: Mapping[str, pl.DataFrame], closes: pl.DataFrame, share: float, cost: float
) -> pl.DataFrame:
    """Return the daily results of the portfolio of each score column in one market.

    The results of a session depend on closes up to it and on earlier picks only, to the last bit.

    Args:
        deciles: By score column, as `ranking.pick_deciles` returns them, with ts and known_at.
        closes: instrument_id, ts and c of the instruments of the market.
        share: The share of the book that each session opens.
        cost: The cost of buying or selling, as a share of the amount: 0.001 is 0.1 %.

    Returns:
        ts, and by score column earned_... (net of costs) and traded_... (bought and sold), as shares of the book.

    Raises:
        ValueError: A pick has no close to be opened at.
    """
    prices = PriceMatrix.from_closes(closes)
    days = {"ts": pl.Series(prices.sessions, dtype=pl.Datetime("us"))}
    for name, picks in deciles.items():
        for instrument, ts in picks.join(closes, on=KEY, how="anti").select(KEY).head(1).iter_rows():
            raise ValueError(
                f"{instrument} is in the record at {ts:%Y-%m-%d} but has no daily close then:"
                " load the closes of every instrument and session of the record"
            )
        trades = Trades.from_picks(picks, prices, share)
        amount = daily_trading(trades, prices)
        days[f"earned_{name}"] = pl.Series(daily_gains(trades, prices) - cost * amount)
        days[f"traded_{name}"] = pl.Series(amount)
    return pl.DataFrame(days)


def daily_gains(trades: Trades, prices: PriceMatrix) -> Floats:
    """Return the gains of the open positions on each session of the prices, before costs."""
    earned = np.zeros(len(prices.sessions))
    longest = int((trades.end - trades.start).max(initial=0))
    for age in range(1, longest + 1):
        day = trades.start + age
        is_open = (day <= trades.end) & (day < len(earned))
        day, instrument = day[is_open], trades.instrument[is_open]
        change = prices.close[day, instrument] - prices.close[day - 1, instrument]
        earned += sum_by_group(day, trades.units[is_open] * change, len(earned))
    return earned


def daily_trading(trades: Trades, prices: PriceMatrix) -> Floats:
    """Return the amounts bought and sold on each session, netted within an instrument."""
    closed = trades.end < len(prices.sessions)
    day = np.concatenate([trades.start, trades.end[closed]])
    instrument = np.concatenate([trades.instrument, trades.instrument[closed]])
    units = np.concatenate([trades.units, -trades.units[closed]])
    order, group = np.unique(day * len(prices.instruments) + instrument, return_inverse=True)
    amount = np.abs(sum_by_group(group, units * prices.close[day, instrument], len(order)))
    return sum_by_group(order // len(prices.instruments), amount, len(prices.sessions))


def combine_markets(days: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the days of the whole portfolio: each market that has opened is an equal share of the book.

    The days of a market run from its first session to its last one: later returns are also those of later
    sessions, whose label is unknown.

    Args:
        days: market and the columns of `daily_results`.
        sessions: market and ts of the sessions that count.

    Returns:
        ts and the columns of `daily_results`, sorted by time; a market that is closed on a day earns nothing on
        it.
    """
    spans = sessions.group_by("market").agg(first=pl.col("ts").min(), last=pl.col("ts").max())
    in_span = pl.col("ts").is_between("first", "last")
    used = days.join(spans, on="market", maintain_order="left").filter(in_span).sort("ts", "market")
    opened = np.searchsorted(spans["first"].sort().to_numpy(), used["ts"].to_numpy(), side="right")
    dates, group = np.unique(used["ts"].to_numpy(), return_inverse=True)
    columns = [name for name in days.columns if name.startswith(("earned_", "traded_"))]
    sums = {name: sum_by_group(group, used[name].to_numpy() / opened, len(dates)) for name in columns}
    return pl.DataFrame({"ts": dates, **sums})


def sharpe(returns: Floats) -> float | None:
    """Return mean / standard deviation of daily returns x sqrt(252), or None if they are all equal."""
    deviation = returns.std(ddof=1) if len(returns) > 1 else 0.0
    return float(returns.mean() / deviation * math.sqrt(SESSIONS_PER_YEAR)) if deviation > 0 else None


def max_drawdown(returns: Floats) -> float | None:
    """Return the deepest fall of the compounded book below its best value so far: 0.12 is a loss of 12 %.

    A book that loses more than its value, as short sales can, has lost all of it: 1.
    """
    value = np.cumprod(np.concatenate(([1.0], np.maximum(1 + returns, 0))))
    return float((1 - value / np.maximum.accumulate(value)).max()) if len(returns) else None


def turnover(amounts: Floats) -> float | None:
    """Return the amounts bought and sold in a year of 252 sessions, as a multiple of the book."""
    return float(amounts.mean() * SESSIONS_PER_YEAR) if len(amounts) else None
