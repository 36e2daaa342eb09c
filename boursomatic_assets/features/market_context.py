"""The market's context: its mean return session by session, and the features that all its instruments share.

What belongs here: numbers that all instruments of a market share in a session.
Kept elsewhere: an instrument against its market (`additional_indicators.py`), its rank (`additional_features.py`).

A session's numbers depend on the bars of that session and a fixed few before it, all instruments in order of
their ids. So they are the same whichever range they are computed in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import Floats, Ints
from boursomatic_assets.features.rolling_windows import moments, reduce_windows

CONTEXT = ("market_ret_20d", "market_vol_20d", "market_breadth_120d", "session_of_month")
"""The features of `compute_context`, in order."""

WINDOW = 20
"""Sessions in the market's own return and volatility."""

RETURN_LIMIT = 0.5
"""An instrument counts with at most this return, up or down: so that one wrong price does not move the market."""


def mean_returns(close: Floats, first: Ints, ordinal: Ints) -> Floats:
    """The market's mean simple return over one session, for each bar that of its session.

    Every instrument that has a bar in that session and in the one before counts alike.

    Args:
        close: of bars by instrument and session.
        first: the first row of each instrument.
        ordinal: the session ordinal of each bar.

    Returns:
        A fraction for each bar; NaN in a session where no instrument has both bars.
    """
    if not close.size:
        return np.empty(0)
    session = ordinal - ordinal.min()
    following = session[1:] - session[:-1] == 1
    following[first[1:] - 1] = False
    with np.errstate(all="ignore"):
        returns = (close[1:] - close[:-1]) / close[:-1]
        counted = np.flatnonzero(following & np.isfinite(returns))
        sessions, most = session[counted + 1], int(session.max()) + 1
        # bincount adds row after row, so in order of instruments
        total = np.bincount(sessions, np.clip(returns[counted], -RETURN_LIMIT, RETURN_LIMIT), most)
        means: Floats = (total / np.bincount(sessions, minlength=most)).take(session)
    return means


def compute_context(rows: pl.DataFrame, sessions: npt.NDArray[np.datetime64]) -> pl.DataFrame:
    """One row of CONTEXT for each session that there are rows of.

    Args:
        rows: all rows of a market: ts, market_ret_1d (as `mean_returns` gives it) and ret_120d, null where
            undefined.
        sessions: all sessions of the market, sorted datetime64[D].

    Returns:
        ts, market_ret_20d (the mean returns of the last 20 sessions compounded), market_vol_20d (their sample
        standard deviation), market_breadth_120d (the share of instruments whose ret_120d is above 0, of those
        that have one), session_of_month (1 for a month's first session), sorted by ts; null where undefined.
    """
    by_session = rows.group_by("ts").agg(
        pl.col("market_ret_1d").first(), market_breadth_120d=(pl.col("ret_120d") > 0).mean()
    )
    by_session = by_session.sort("ts")
    ordinal = np.searchsorted(sessions, by_session["ts"].to_numpy().astype("datetime64[D]"))
    returns = _dense_by_session(by_session["market_ret_1d"].to_numpy(), ordinal)
    offset = ordinal - ordinal.min(initial=ordinal.size and ordinal[0])
    _, squares = moments(returns, WINDOW)
    columns = {
        "market_ret_20d": reduce_windows(1 + returns, WINDOW, np.multiply).take(offset) - 1,
        "market_vol_20d": np.sqrt(squares / (WINDOW - 1)).take(offset),
    }
    month = sessions.astype("datetime64[M]")
    session_of_month = 1 + ordinal - np.searchsorted(month, month[ordinal])
    return by_session.select(
        "ts",
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()),
        "market_breadth_120d",
        pl.Series("session_of_month", session_of_month),
    )


def _dense_by_session(values: Floats, ordinal: Ints) -> Floats:
    """A value for each session from the first to the last, with room for one window before; NaN where none is."""
    dense = np.full(WINDOW + (int(ordinal[-1] - ordinal[0]) if ordinal.size else 0), np.nan)
    dense[WINDOW - 1 + ordinal - ordinal[:1]] = values
    return dense
