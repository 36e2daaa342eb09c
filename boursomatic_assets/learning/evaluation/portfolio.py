"""The portfolio that scores are judged by: long the top decile of each session, short the bottom one.

What belongs here: what it earns and trades day by day, and the metrics of such days. Kept elsewhere: which
instruments are picked (`ranking`).

Each session opens a part of its market's book at the close: half of that part long, half short, equal amounts
of every pick of a side. It is closed at the end of the horizon, so that several openings overlap. The book has a
constant size: nothing is rebalanced in between, gains are not reinvested. What one opening sells of an
instrument while another one buys it is not traded. An instrument that stops trading keeps its last price.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import KEY, SESSIONS_PER_YEAR, Floats, Positions
from boursomatic_assets.learning.evaluation.ranking import sum_by


@dataclass(frozen=True)
class Panel:
    """The closes of one market: sessions x instruments, NaN before an instrument's first one, then no gaps."""

    sessions: npt.NDArray[np.datetime64]
    instruments: pl.Series
    close: Floats

    @classmethod
    def of(cls, closes: pl.DataFrame) -> "Panel":
        """Arrange instrument_id, ts and c; a session without a bar of an instrument keeps its last close."""
        sessions, row = np.unique(closes["ts"].to_numpy(), return_inverse=True)
        instruments = closes["instrument_id"].unique().sort()
        close = np.full((len(sessions), len(instruments)), np.nan)
        close[row, instruments.search_sorted(closes["instrument_id"]).to_numpy()] = closes["c"].to_numpy()
        for before, now in pairwise(close):
            np.copyto(now, before, where=np.isnan(now))
        return cls(sessions, instruments, close)


@dataclass(frozen=True)
class Openings:
    """Picks as places in a panel: bought (or sold short, if units are negative) at `start`, closed at `end`."""

    start: Positions
    end: Positions
    instrument: Positions
    units: Floats

    @classmethod
    def of(cls, picked: pl.DataFrame, panel: Panel, part: float) -> "Openings":
        """Place picks, each session of which opens this part of the book; units are per book of size 1."""
        start, end = (np.searchsorted(panel.sessions, picked[name].to_numpy()) for name in ("ts", "known_at"))
        instrument = panel.instruments.search_sorted(picked["instrument_id"]).to_numpy().astype(np.intp)
        amount = picked["side"].to_numpy() * picked["share"].to_numpy() * part / 2
        return cls(start, end, instrument, amount / panel.close[start, instrument])


def daily(picked: Mapping[str, pl.DataFrame], closes: pl.DataFrame, part: float, cost: float) -> pl.DataFrame:
    """Return what the portfolio of each contestant earns and trades in one market, session by session.

    A session's figures depend on closes up to it and on earlier picks only, to the last bit.

    Args:
        picked: By contestant, as `ranking.picks` returns them, with ts and known_at, the end of the horizon.
        closes: instrument_id, ts and c of the instruments of the market.
        part: Part of the book that each session opens.
        cost: Part of an amount that buying or selling it costs: 0.001 is 0.1 %.

    Returns:
        ts, and by contestant earned_... (net of costs) and traded_... (bought and sold), in parts of the book.

    Raises:
        ValueError: A pick has no close to be opened at.
    """
    panel = Panel.of(closes)
    days = {"ts": pl.Series(panel.sessions, dtype=pl.Datetime("us"))}
    for name, picks in picked.items():
        for instrument, ts in picks.join(closes, on=KEY, how="anti").select(KEY).head(1).iter_rows():
            raise ValueError(
                f"{instrument} is in the record at {ts:%Y-%m-%d} but has no daily close then:"
                " load the closes of every instrument and session of the record"
            )
        openings = Openings.of(picks, panel, part)
        amount = traded(openings, panel)
        days[f"earned_{name}"] = pl.Series(gains(openings, panel) - cost * amount)
        days[f"traded_{name}"] = pl.Series(amount)
    return pl.DataFrame(days)


def gains(openings: Openings, panel: Panel) -> Floats:
    """Return what the open positions gain on each session of the panel, before costs."""
    earned = np.zeros(len(panel.sessions))
    longest = int((openings.end - openings.start).max(initial=0))
    for held in range(1, longest + 1):
        day = openings.start + held
        still = (day <= openings.end) & (day < len(earned))
        day, instrument = day[still], openings.instrument[still]
        step = panel.close[day, instrument] - panel.close[day - 1, instrument]
        earned += sum_by(day, openings.units[still] * step, len(earned))
    return earned


def traded(openings: Openings, panel: Panel) -> Floats:
    """Return what is bought and sold on each session, what cancels out within an instrument left out."""
    closed = openings.end < len(panel.sessions)
    day = np.concatenate([openings.start, openings.end[closed]])
    instrument = np.concatenate([openings.instrument, openings.instrument[closed]])
    units = np.concatenate([openings.units, -openings.units[closed]])
    both, place = np.unique(day * len(panel.instruments) + instrument, return_inverse=True)
    amount = np.abs(sum_by(place, units * panel.close[day, instrument], len(both)))
    return sum_by(both // len(panel.instruments), amount, len(panel.sessions))


def together(days: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the days of the whole portfolio: each market that has opened is an equal part of the book.

    A market's days are those from its first session to its last one: what it earns later is earned by later
    sessions too.

    Args:
        days: market and the columns of `daily`.
        sessions: market and ts of the sessions that count.

    Returns:
        ts and the columns of `daily`, sorted by time; a market that is closed on a day earns nothing on it.
    """
    spans = sessions.group_by("market").agg(first=pl.col("ts").min(), last=pl.col("ts").max())
    inside = pl.col("ts").is_between("first", "last")
    used = days.join(spans, on="market", maintain_order="left").filter(inside).sort("ts", "market")
    opened = np.searchsorted(spans["first"].sort().to_numpy(), used["ts"].to_numpy(), side="right")
    dates, place = np.unique(used["ts"].to_numpy(), return_inverse=True)
    columns = [name for name in days.columns if name.startswith(("earned_", "traded_"))]
    sums = {name: sum_by(place, used[name].to_numpy() / opened, len(dates)) for name in columns}
    return pl.DataFrame({"ts": dates, **sums})


def sharpe(returns: Floats) -> float | None:
    """Return mean / standard deviation of daily returns x sqrt(252), or None for a book that never moved."""
    deviation = returns.std(ddof=1) if len(returns) > 1 else 0.0
    return float(returns.mean() / deviation * math.sqrt(SESSIONS_PER_YEAR)) if deviation > 0 else None


def max_drawdown(returns: Floats) -> float | None:
    """Return the deepest fall of the compounded book below its best value so far: 0.12 is a loss of 12 %.

    A book that loses more than it has, as short sales can, has lost all of it: 1.
    """
    value = np.cumprod(np.concatenate(([1.0], np.maximum(1 + returns, 0))))
    return float((1 - value / np.maximum.accumulate(value)).max()) if len(returns) else None


def turnover(amounts: Floats) -> float | None:
    """Return what is bought and sold in a year of 252 sessions, in sizes of the book."""
    return float(amounts.mean() * SESSIONS_PER_YEAR) if len(amounts) else None
