"""Price jumps: moves that neither the instrument's past nor the market explains.

What belongs here: each bar joined with the previous one, the size of its move, and the split that explains it.
Kept elsewhere: other anomalies of a bar (`anomalies.py`), what a vendor restated (`restatement.py`).

A jump is a candidate for a split or an error, not proof: crashes look the same. A row uses only bars up to its own
session.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Times
from boursomatic_assets.features.price_basis import SPLIT_TOLERANCE, SPLITS

WINDOW = 60
"""Sessions before its own whose returns show what is usual for an instrument."""

MAX_SESSIONS_APART = 60
"""Sessions between a bar and the one before it; where there are more, it is an instrument's first."""

MIN_RETURNS = 20
"""Returns in a window that say what is usual; with fewer, a bar is not judged."""

MIN_PEERS = 5
"""Instruments that make a market: with fewer, each is judged by itself."""

DEVIATIONS = 10.0
"""Robust deviations beyond which a move is a jump."""

MIN_DEVIATION = 0.03
"""The least robust deviation, in log price: quiet instruments move by less, and then by more."""

MAD_TO_SIGMA = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations."""


def join_previous_bars(bars: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """Each bar with its session's ordinal, and the bar of its instrument before it.

    Args:
        bars: instrument_id, ts, o, h, l, c, v of one market, in any order, other columns ignored.
        sessions: the sessions of the market, sorted datetime64[D]; bars of other dates are left out.

    Returns:
        instrument_id, ts, o, h, l, c, v and n; o_, h_, l_, c_, v_ and n_ of the bar before, null where there is
        none in MAX_SESSIONS_APART; sorted by instrument_id and ts.
    """
    numbered = pl.DataFrame({"ts": sessions.astype("datetime64[us]"), "n": np.arange(sessions.size)})
    rows = bars.select("instrument_id", "ts", *"ohlcv").join(numbered, on="ts").sort("instrument_id", "ts")
    earlier = pl.col(*"ohlcvn").shift(1)
    near = (pl.col("n") - pl.col("n").shift(1)) <= MAX_SESSIONS_APART
    same = pl.col("instrument_id") == pl.col("instrument_id").shift(1)
    return rows.with_columns(pl.when(same & near).then(earlier).name.suffix("_"))


def find_jumps(rows: pl.DataFrame) -> pl.DataFrame:
    """The bars whose open or close is beyond DEVIATIONS of the close before, and of the market's move.

    A deviation is the instrument's own, over its last WINDOW sessions, grown with the square root of the
    sessions since the bar before; or that of the session's moves over the market, if it is greater, so that
    a crash of the whole market is no jump; or MIN_DEVIATION.

    Args:
        rows: as `join_previous_bars` makes them.

    Returns:
        instrument_id, ts, n; figure: the price that jumped (open or close) over the close before; ratio: the
        likeliest of SPLITS, null where none is close.
    """
    moves = rows.filter(pl.col("c_").is_not_null()).select(
        "instrument_id",
        "ts",
        "n",
        elapsed=pl.col("n") - pl.col("n_"),
        opened=(pl.col("o") / pl.col("c_")).log(),
        closed=(pl.col("c") / pl.col("c_")).log(),
    )
    judged = moves.with_columns(
        at_open=pl.col("opened") - _market_move("opened"), at_close=pl.col("closed") - _market_move("closed")
    ).with_columns(deviation=_robust_deviation())
    at_open = pl.col("at_open").abs() > pl.col("at_close").abs()
    further = judged.with_columns(
        move=pl.when(at_open).then("opened").otherwise("closed"),
        own=pl.when(at_open).then("at_open").otherwise("at_close"),
    )
    found = further.filter(pl.col("own").abs() > DEVIATIONS * pl.col("deviation"))
    return found.select("instrument_id", "ts", "n", figure=pl.col("move").exp(), ratio=_likeliest_split())


def _market_move(move: str) -> pl.Expr:
    """The median move of the session; 0 where too few instruments make it."""
    enough = pl.col(move).len().over("n") >= MIN_PEERS
    return pl.when(enough).then(pl.col(move).median().over("n")).otherwise(0.0)


def _robust_deviation() -> pl.Expr:
    """The robust deviation that a row is compared with; null where the history is too short."""
    size = pl.col("at_close").abs()
    usual = size.rolling_median_by("n", f"{WINDOW}i", min_samples=MIN_RETURNS, closed="left")
    own = MAD_TO_SIGMA * usual.over("instrument_id") * pl.col("elapsed").sqrt()
    enough = pl.len().over("n") >= MIN_PEERS
    shared = pl.when(enough).then(MAD_TO_SIGMA * size.median().over("n")).otherwise(0.0)
    return pl.when(own.is_not_null()).then(pl.max_horizontal(own, shared, pl.lit(MIN_DEVIATION)))


def _likeliest_split() -> pl.Expr:
    """The one of SPLITS that a move, or what it is over the market's, is SPLIT_TOLERANCE; null where none is."""
    near = {split: pl.min_horizontal((pl.col("move", "own") - np.log(split)).abs()) for split in SPLITS}
    return pl.coalesce(pl.when(apart <= SPLIT_TOLERANCE).then(split) for split, apart in near.items())
