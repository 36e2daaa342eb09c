"""Ranking: how well scores rank the instruments of one session by their forward return.

What belongs here: the rank correlation and the deciles of each session, and means of a series of them.
Kept elsewhere: how sure such a mean is (`intervals.py`), the daily results of a portfolio of the deciles
(`portfolio.py`), which sessions count (`metrics.py`).

A session here is one of one market. Its number, `session`, is a column of the rows.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import SESSIONS_PER_YEAR, Floats

MINIMUM_RANKED = 10
"""A session with fewer rows has no rank correlation."""


def sum_by_group(group: npt.NDArray[np.integer[Any]], amounts: Floats, size: int) -> Floats:
    """Return the sum of the amounts of each group, added in their order: the last bit depends on it."""
    return np.bincount(group, amounts, size).astype(np.float64)  # whole numbers without any amounts


def rank_ics(rows: pl.DataFrame, score: str, size: int) -> Floats:
    """Return the rank IC of each session: the Spearman correlation of a score and the forward return.

    Equal values share their mean rank. NaN for a session with fewer than MINIMUM_RANKED scores, or whose
    scores or returns are all equal.

    Args:
        rows: session, forward_return and the score.
        score: The column of the score; rows without one are left out.
        size: How many sessions there are.
    """
    scored = rows.filter(pl.col(score).is_not_null())
    # Twice a mean rank is a whole number: sums of those are exact in any order.
    rank = {"x": pl.col(score), "y": pl.col("forward_return")}
    doubled = {name: (2 * column.rank().over("session")).cast(pl.Int64) for name, column in rank.items()}
    x, y, n = pl.col("x"), pl.col("y"), pl.len().cast(pl.Int64)
    sums = (
        scored.select("session", **doubled)
        .group_by("session")
        .agg(
            xy=n * (x * y).sum() - x.sum() * y.sum(),
            xx=n * (x * x).sum() - x.sum() ** 2,
            yy=n * (y * y).sum() - y.sum() ** 2,
            n=n,
        )
        .filter(pl.col("n") >= MINIMUM_RANKED, pl.col("xx") > 0, pl.col("yy") > 0)
    )
    ics = np.full(size, np.nan)
    spread = np.sqrt(sums["xx"].to_numpy().astype(np.float64)) * np.sqrt(sums["yy"].to_numpy().astype(np.float64))
    ics[sums["session"].to_numpy()] = sums["xy"].to_numpy() / spread
    return ics


def pick_deciles(rows: pl.DataFrame, score: str) -> pl.DataFrame:
    """Return the top and the bottom decile of each session, at least one instrument each.

    A session whose scores are all equal has none. Of equal scores, the later instrument_id ranks higher.

    Args:
        rows: session, instrument_id, the score and any other columns.
        score: The column of the score; rows without one are left out.

    Returns:
        The picked rows by session, score and instrument, with side (1 top, -1 bottom) and share, the
        weight of each pick in its side.
    """
    count, rank = pl.len().over("session"), pl.int_range(pl.len()).over("session")
    size = pl.max_horizontal(count // 10, 1)
    side = pl.when(rank >= count - size).then(1.0).when(rank < size).then(-1.0)
    differ = pl.col(score).max() > pl.col(score).min()
    return (
        rows.filter(pl.col(score).is_not_null())
        .filter(differ.over("session"))
        .sort("session", score, "instrument_id")
        .with_columns(side=side, share=1 / size)
        .drop_nulls("side")
    )


def decile_spreads(picks: pl.DataFrame, size: int, cost: float) -> tuple[Floats, Floats]:
    """Return each session's mean forward return of the top decile less that of the bottom one, gross and net.

    NaN for a session without picks. Net of the costs of opening and closing both deciles as a whole.

    Args:
        picks: As `pick_deciles` returns them, with forward_return.
        size: How many sessions there are.
        cost: The cost of buying or selling, as a share of the amount: 0.001 is 0.1 %.
    """
    session, share = picks["session"].to_numpy(), picks["share"].to_numpy()
    earned = share * picks["forward_return"].to_numpy()
    gross = sum_by_group(session, picks["side"].to_numpy() * earned, size)
    traded = sum_by_group(session, 2 * share + earned, size)
    gross[np.bincount(session, minlength=size) == 0] = np.nan
    return gross, gross - cost * traded


def mean(series: Floats) -> float | None:
    """Return the mean, or None of nothing."""
    return float(series.mean()) if len(series) else None


def information_ratio(series: Floats, horizon: int) -> float | None:
    """Return mean / standard deviation x sqrt(252 / horizon), annualised by the horizons of a year in a row."""
    deviation = series.std(ddof=1) if len(series) > 1 else 0.0
    return float(series.mean() / deviation * math.sqrt(SESSIONS_PER_YEAR / horizon)) if deviation > 0 else None
