"""Computing features: any formulas over the bars of a market.

What belongs here: bars in order, panels of a few instruments at a time, and one row of features per bar.
Kept elsewhere: the formulas (`indicators.py`, `additional_indicators.py`), how far back a row looks
(`lookback_blocks.py`), ranks and the JSON (`additional_features.py`), reading bars (`assets/features.py`,
`tables/reading.py`) and writing features (`orchestration/io_manager.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import MICROSECONDS_PER_DAY, Ints
from boursomatic_assets.features.additional_features import pack
from boursomatic_assets.features.additional_indicators import ADDITIONAL_INDICATORS
from boursomatic_assets.features.indicators import FEATURES, market_ret_1d
from boursomatic_assets.features.lookback_blocks import LookbackBlocks
from boursomatic_assets.features.market_context import compute_context, mean_returns
from boursomatic_assets.features.panel import Formula, Panel

BARS_PER_PANEL = 100_000
"""Bars computed at once, few enough for a processor's cache; an instrument is never split."""


THREADS = 2
"""Panels computed in parallel: numpy computes outside of Python's lock, and panels share nothing."""


PRICE_COLUMNS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
"""The column of a frame of bars that holds each field of a panel."""


def compute_features(
    bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64], start: dt.datetime | None = None
) -> pl.DataFrame:
    """One row of features for each daily bar of one market.

    Args:
        bars: instrument_id, ts, o, h, l, c, v, in any order, other columns ignored. A row is complete when all of
            its market's bars of its session and of the LOOKBACK sessions before it are there.
        sessions: all sessions of the market since its fixed epoch, sorted datetime64[D].
        start: the first session whose rows are wanted; without it, the first there is.

    Returns:
        instrument_id, ts, the eight columns (Float64; null where undefined) and additional_features (String:
        JSON as `additional_features.unpack` reads it), sorted by instrument_id and ts.

    Raises:
        ValueError: a bar's ts is no session, or an instrument has two bars at one ts.
    """
    numbers = compute_formulas(bars, sessions, (*FEATURES, *ADDITIONAL_INDICATORS, market_ret_1d))
    shared = compute_context(numbers, sessions)
    rows = numbers.filter(pl.col("ts") >= start) if start else numbers
    columns = [feature.__name__ for feature in FEATURES]
    return rows.select("instrument_id", "ts", *columns, additional_features=pack(rows, shared))


def compute_formulas(
    bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64], formulas: Sequence[Formula]
) -> pl.DataFrame:
    """instrument_id, ts and a column per formula, for bars as `features` takes them; raises as it does."""
    bars, first = _sort_bars(bars)
    ordinal = _session_ordinals(bars, sessions)
    prices = {field: bars[name].to_numpy() for field, name in PRICE_COLUMNS.items()}
    market = cache(lambda: mean_returns(prices["close"], first, ordinal))
    numbers = np.empty((len(formulas), len(bars)))

    def compute(firsts: Ints) -> None:
        rows = slice(firsts[0], firsts[-1])
        runs = LookbackBlocks(firsts[:-1] - firsts[0], ordinal[rows])
        panel = Panel(
            **{field: price[rows] for field, price in prices.items()},
            lookback=runs,
            compute_market_returns=lambda: market()[rows],
        )
        with np.errstate(all="ignore"):
            for column, formula in zip(numbers, formulas, strict=True):
                column[rows] = found = formula(panel)
                column[rows][np.isinf(found)] = np.nan

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(compute, _panel_boundaries(first, len(bars))):
            pass  # an error in a part is raised here
    columns = {formula.__name__: column for formula, column in zip(formulas, numbers, strict=True)}
    defined = pl.DataFrame(columns).select(pl.all().fill_nan(None))
    return bars.select("instrument_id", "ts").with_columns(defined)


def _panel_boundaries(first: Ints, size: int) -> Iterator[Ints]:
    """First rows of the instruments of each panel, and the end of its last one."""
    ends = np.append(first, size)
    start = 0
    while start < first.size:
        stop = max(int(np.searchsorted(ends, ends[start] + BARS_PER_PANEL, side="right")) - 1, start + 1)
        yield ends[start : stop + 1]
        start = stop


def _sort_bars(bars: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """The bars by instrument and ts, and each instrument's first row; bars that are in order are not sorted again.

    Raises:
        ValueError: an instrument has two bars at one ts.
    """
    first, in_order = _find_first_rows(bars)
    if not in_order:
        bars = bars.sort("instrument_id", "ts")
        first, in_order = _find_first_rows(bars)
    if not in_order:
        twins = bars.filter(pl.struct("instrument_id", "ts").is_duplicated())
        raise ValueError(
            f"instrument {twins['instrument_id'][0]} has more than one bar at {twins['ts'][0]} ({len(twins)}"
            f" such bars): keep one bar per instrument and session"
        )
    return bars, first


def _find_first_rows(bars: pl.DataFrame) -> tuple[Ints, bool]:
    """The first row of each instrument, and whether the keys are strictly ascending."""
    runs = bars["instrument_id"].rle().struct.unnest()
    ids, ts = runs["value"], bars["ts"].to_physical().to_numpy()
    first = (runs["len"].cum_sum() - runs["len"]).cast(pl.Int64).to_numpy()
    later = ts[1:] > ts[:-1]
    later[first[1:] - 1] = True
    return first, bool(later.all() and (ids[1:] > ids[:-1]).all())


def _session_ordinals(bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64]) -> Ints:
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
