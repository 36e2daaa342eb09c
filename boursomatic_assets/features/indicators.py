"""The features of a daily bar: the eight columns, and how any formulas are computed.

What belongs here: one small pure function per column, from bars in memory to numbers in memory.
Kept elsewhere: the features without a column (`more_indicators.py`), ranks and the JSON that both are kept in
(`additional.py`), windows (`panel.py`) and how far back they look (`anchors.py`), reading and writing slices
(`assets/features.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import MICROSECONDS_PER_DAY, Floats, Ints
from boursomatic_assets.features.additional_features import pack
from boursomatic_assets.features.lookback_blocks import BLOCK, LOOKBACK, WARM_UP, Runs
from boursomatic_assets.features.market_context import context, mean_returns
from boursomatic_assets.features.more_indicators import MORE_FEATURES
from boursomatic_assets.features.panel import Formula, Panel

__all__ = ["BLOCK", "FEATURES", "LOOKBACK", "WARM_UP", "Formula", "features", "table"]

TOGETHER = 100_000
"""Rows computed at once, few enough for a processor's cache; an instrument is never cut."""

THREADS = 2
"""Parts computed side by side: numpy computes outside of Python's lock, and no part sees another."""

COLUMNS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
"""Where a panel's prices are in a frame of bars."""

"""Microseconds."""


def ret_1d(panel: Panel) -> Floats:
    """Simple return over 1 bar, c / c[-1] - 1 (TA-Lib ROCP)."""
    return panel.returned


def ret_5d(panel: Panel) -> Floats:
    """Simple return over 5 bars, c / c[-5] - 1 (TA-Lib ROCP)."""
    return panel.returned_over(5)


def ret_20d(panel: Panel) -> Floats:
    """Simple return over 20 bars, c / c[-20] - 1 (TA-Lib ROCP)."""
    return panel.returned_over(20)


def rsi_14(panel: Panel) -> Floats:
    """Relative strength index in points, 0 to 100 (Wilder 1978, p. 65; TA-Lib RSI: 0 if no price moved)."""
    change = panel.close - panel.previous
    return 100 * panel.wilder_share(np.maximum(change, 0.0), np.abs(change))


def momentum_5d(panel: Panel) -> Floats:
    """Price now less price 5 bars ago, c - c[-5], in price units (TA-Lib MOM)."""
    return panel.close - panel.ago(panel.close, 5)


def vol_20d(panel: Panel) -> Floats:
    """Sample standard deviation of the last 20 one-bar simple returns, not annualised."""
    return panel.seeing(20, panel.deviation(panel.returned, 20))


def atr_14(panel: Panel) -> Floats:
    """Average true range in price units (Wilder 1978, p. 21; TA-Lib ATR)."""
    return panel.wilder_mean(np.maximum(panel.high, panel.previous) - np.minimum(panel.low, panel.previous))


def volume_zscore(panel: Panel) -> Floats:
    """Sample standard deviations by which volume exceeds the mean of the last 20, this one among them."""
    return panel.score(panel.volume, 20)


def market_ret_1d(panel: Panel) -> Floats:
    """Mean one-bar return of the market in the bar's session: what its context is made of, not a feature."""
    return panel.market


FEATURES: tuple[Formula, ...] = (
    ret_1d,
    ret_5d,
    ret_20d,
    rsi_14,
    momentum_5d,
    vol_20d,
    atr_14,
    volume_zscore,
)


def features(
    bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64], start: dt.datetime | None = None
) -> pl.DataFrame:
    """One row of features for each daily bar of one market.

    Args:
        bars: instrument_id, ts, o, h, l, c, v, in any order, other columns ignored. A row is right when all of
            its market's bars of its session and of the LOOKBACK sessions before it are there.
        sessions: all sessions of the market since its fixed epoch, sorted datetime64[D].
        start: the first session whose rows are wanted; without it, the first there is.

    Returns:
        instrument_id, ts, the eight columns (Float64; null where undefined) and additional_features (String:
        JSON as `additional.unpacked` reads it), sorted by instrument_id and ts.

    Raises:
        ValueError: a bar's ts is no session, or an instrument has two bars at one ts.
    """
    numbers = table(bars, sessions, (*FEATURES, *MORE_FEATURES, market_ret_1d))
    shared = context(numbers, sessions)
    rows = numbers.filter(pl.col("ts") >= start) if start else numbers
    columns = [feature.__name__ for feature in FEATURES]
    return rows.select("instrument_id", "ts", *columns, additional_features=pack(rows, shared))


def table(bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64], formulas: Sequence[Formula]) -> pl.DataFrame:
    """instrument_id, ts and a column per formula, for bars as `features` takes them; raises as it does."""
    bars, first = _in_order(bars)
    ordinal = _ordinals(bars, sessions)
    prices = {field: bars[name].to_numpy() for field, name in COLUMNS.items()}
    market = cache(lambda: mean_returns(prices["close"], first, ordinal))
    numbers = np.empty((len(formulas), len(bars)))

    def compute(firsts: Ints) -> None:
        rows = slice(firsts[0], firsts[-1])
        runs = Runs(firsts[:-1] - firsts[0], ordinal[rows])
        panel = Panel(
            **{field: price[rows] for field, price in prices.items()}, runs=runs, of_market=lambda: market()[rows]
        )
        with np.errstate(all="ignore"):
            for column, formula in zip(numbers, formulas, strict=True):
                column[rows] = found = formula(panel)
                column[rows][np.isinf(found)] = np.nan

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(compute, _parts(first, len(bars))):
            pass  # an error in a part is raised here
    columns = {formula.__name__: column for formula, column in zip(formulas, numbers, strict=True)}
    defined = pl.DataFrame(columns).select(pl.all().fill_nan(None))
    return bars.select("instrument_id", "ts").with_columns(defined)


def _parts(first: Ints, size: int) -> Iterator[Ints]:
    """First rows of the instruments to compute at once, and the end of the last one."""
    ends = np.append(first, size)
    start = 0
    while start < first.size:
        stop = max(int(np.searchsorted(ends, ends[start] + TOGETHER, side="right")) - 1, start + 1)
        yield ends[start : stop + 1]
        start = stop


def _in_order(bars: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """The bars by instrument and ts, and each instrument's first row; bars that are in order are not sorted.

    Raises:
        ValueError: an instrument has two bars at one ts.
    """
    first, in_order = _firsts(bars)
    if not in_order:
        bars = bars.sort("instrument_id", "ts")
        first, in_order = _firsts(bars)
    if not in_order:
        twins = bars.filter(pl.struct("instrument_id", "ts").is_duplicated())
        raise ValueError(
            f"instrument {twins['instrument_id'][0]} has more than one bar at {twins['ts'][0]} ({len(twins)} bars"
            f" that are not alone): keep one bar per instrument and session"
        )
    return bars, first


def _firsts(bars: pl.DataFrame) -> tuple[Ints, bool]:
    """The row at which each run of an instrument's bars begins, and whether keys grow from row to row."""
    runs = bars["instrument_id"].rle().struct.unnest()
    ids, ts = runs["value"], bars["ts"].to_physical().to_numpy()
    first = (runs["len"].cum_sum() - runs["len"]).cast(pl.Int64).to_numpy()
    later = ts[1:] > ts[:-1]
    later[first[1:] - 1] = True
    return first, bool(later.all() and (ids[1:] > ids[:-1]).all())


def _ordinals(bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64]) -> Ints:
    """The session ordinal of each bar, which is the index of its ts in sessions."""
    day = sessions.astype(np.int64)
    before = day[0] - 1
    ordinal_of = np.full(day[-1] - before + 2, -1)
    ordinal_of[day - before] = np.arange(day.size)
    ts = bars["ts"].cast(pl.Datetime("us")).to_physical().to_numpy()
    days = ts // MICROSECONDS_PER_DAY
    ordinal: Ints = ordinal_of.take(days - before, mode="clip")
    if ordinal.min(initial=0) < 0 or (days * MICROSECONDS_PER_DAY != ts).any():
        strays = np.flatnonzero((ordinal < 0) | (days * MICROSECONDS_PER_DAY != ts))
        bar = bars.row(int(strays[0]), named=True)
        raise ValueError(
            f"bar of instrument {bar['instrument_id']} at {bar['ts']} is on no session of its"
            f" market ({strays.size} such bars): give daily bars of one market, stamped at their session"
        )
    return ordinal
