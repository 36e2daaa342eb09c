"""Price basis: whether a bar's prices stand on another basis than those of the bar before it.

What belongs here: the evidence of a split, a spin-off or a wrong stretch of prices, and closes without such moves.
Kept elsewhere: jumps that a person should look at (`quality/price_jumps.py`), what a vendor restated
(`quality/restatement.py`).

A split is a day like any other on another level: all of its prices are far from the last close, while its range
and its turnover are usual. A crash is not: its range is wide, or its turnover many times the usual. Whoever must
not learn from a split, or score it, leaves the return across it out; when the bars are restated onto one basis,
nothing is suspected any more.

A bar is judged by itself and the LOOKBACK sessions before it, never by a later one. The numbers below were read
from 793,455 daily bars of 464 series with 1,501 moves of 20 % and more: `docs/models.md` has what was found.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import polars as pl

from boursomatic_assets.arrays import MICROSECONDS_PER_DAY, Floats, Ints, Masks

WINDOW_DAYS: Final = 31
"""Days before a bar in which its instrument shows what is usual for it."""

LOOKBACK: Final = 46
"""Sessions before a bar that its verdict may depend on: two windows, as a wrong stretch ends in a second move."""

MIN_BARS: Final = 10
"""Bars in a window that say what is usual."""

MIN_GAP: Final = 0.2
"""Log distance of a bar's nearest price from the close before, from which on it is judged: 5 for 4 is 0.22."""

GAP_RANGES: Final = 5.0
"""The least gap of a change of basis, in usual ranges. Splits: 8 to 80."""

CALM_RANGES: Final = 2.0
"""The widest range of a change of basis, in usual ranges. Splits: 0.8 to 1.8; most crashes: 2.4 to 16."""

CALM_TURNOVER: Final = 3.0
"""The highest turnover of a change of basis, in usual ones. Splits: 0.3 to 1.5; crashes: 4 and more."""

RATIO_LEEWAY: Final = 1.5
"""How much wider and busier a day may be on which the open or the close is a split's."""

IMPOSSIBLE_RISE: Final = 50.0
"""So many times the close before is an error, whatever the bar looks like: genuine rises were 22-fold at most (a
warrant), errors 68-fold at least. A fall has no such limit: bankruptcies lose 98 % in a session."""

RETURN_MOVE, RETURN_TOLERANCE = 4.0, 2.0
"""A move by RETURN_MOVE or more that ends a suspected stretch comes back to its beginning within this factor."""

SPLIT_TOLERANCE: Final = 0.03
"""How far, in log price, a price may be from a split's and still be likely to come from it: a day's usual move."""

_WHOLE = [*map(Fraction, (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100)), Fraction(3, 2)]
SPLITS: Final = sorted(float(ratio) for whole in _WHOLE for ratio in (whole, 1 / whole))
"""Price after a split as a multiple of the price before: two for one is 0.5; 100 are also cents for units."""


@dataclass(frozen=True)
class _Bars:
    """Bars by instrument and time as arrays; `first` is the place of each instrument's first bar, for each bar."""

    days: Ints
    first: Ints
    opens: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(cls, bars: pl.DataFrame) -> "_Bars":
        close = bars["c"].to_numpy()
        opens, high, low = (
            bars[name].fill_null(bars["c"]).to_numpy() if name in bars else close for name in "ohl"
        )
        unknown = np.full(bars.height, np.nan)
        volume = bars["v"].cast(pl.Float64).fill_null(np.nan).to_numpy() if "v" in bars else unknown
        place = np.arange(bars.height)
        begins = (bars["instrument_id"] != bars["instrument_id"].shift(1)).fill_null(True).to_numpy()
        days = (bars["ts"].to_physical() // MICROSECONDS_PER_DAY).to_numpy()
        first = np.maximum.accumulate(np.where(begins, place, 0))
        return cls(days, first, opens, np.fmax(high, close), np.fmin(low, close), close, volume)


def find_changes(bars: pl.DataFrame) -> Masks:
    """Whether each bar is suspected to be on another basis than the bar of its instrument before it.

    Without a usual range and turnover to compare with (a young or idle instrument, bars without volume, closes
    alone) a bar is suspected if its open or close is SPLIT_TOLERANCE from one of SPLITS: a crash by just as much
    is suspected too then, and a split by another ratio is not.

    Args:
        bars: instrument_id, ts and c, sorted by them; o, h, l and v as far as they are known.
    """
    given = _Bars.of(bars)
    before = np.append(given.close[:1], given.close[:-1])
    gap = np.maximum(np.log(given.low / before), -np.log(given.high / before))
    changed = np.zeros(bars.height, dtype=bool)
    for row in np.flatnonzero((gap >= MIN_GAP) & (given.first < np.arange(bars.height))).tolist():
        start = given.first[row] + np.searchsorted(
            given.days[given.first[row] : row], given.days[row] - WINDOW_DAYS
        )
        window = slice(int(start), row)
        changed[row] = (
            given.close[row] >= IMPOSSIBLE_RISE * given.close[row - 1]
            or _looks_like_a_split(given, row, window, gap[row])
            or _ends_a_stretch(given, row, window, changed)
        )
    return changed


def number_bases(bars: pl.DataFrame) -> Ints:
    """The number of suspected changes up to each bar: two bars of an instrument with the same are on one basis.

    Args:
        bars: as for `find_changes`.
    """
    numbers: Ints = np.cumsum(find_changes(bars))
    return numbers


def on_first_basis(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with `basis`, see `number_bases`, and with `c` on the basis of each instrument's first bar.

    So the close does not move across a suspected change; returns within one basis are as they were.

    Args:
        bars: as for `find_changes`, and any other columns.
    """
    changed = find_changes(bars)
    moved = pl.when("changed").then(pl.col("c").shift(1) / pl.col("c")).otherwise(1.0)
    return (
        bars.with_columns(changed=changed, basis=np.cumsum(changed))
        .with_columns(factor=moved)
        .with_columns(pl.col("c") * pl.col("factor").cum_prod().over("instrument_id"))
        .drop("changed", "factor")
    )


def _looks_like_a_split(bars: _Bars, row: int, window: slice, gap: float) -> bool:
    """Whether a bar is as calm as usual, on another level; without evidence, whether it is a split's."""
    moved = bars.close[row] / bars.close[row - 1]
    bar_range = math.log(bars.high[row] / bars.low[row])
    usual_range = usual_volume = 0.0
    if window.stop - window.start >= MIN_BARS:
        moves = np.abs(np.diff(np.log(bars.close[window]), prepend=np.log(bars.close[window.start])))
        usual_range = float(np.median(np.fmax(np.log(bars.high[window] / bars.low[window]), moves)))
        usual_volume = float(np.median(bars.volume[window]))
    figures = np.log([bars.opens[row] / bars.close[row - 1], moved])
    is_ratio = bool((np.abs(figures[:, None] - np.log(SPLITS)) <= SPLIT_TOLERANCE).any())
    leeway = RATIO_LEEWAY if is_ratio else 1.0
    traded = usual_volume > 0 and bars.volume[row] > 0
    if traded and bars.volume[row] / usual_volume * min(moved, 1.0) > leeway * CALM_TURNOVER:
        return False
    if traded and bar_range > 0 and usual_range > 0:
        return gap >= GAP_RANGES * usual_range and bar_range <= leeway * CALM_RANGES * usual_range
    return is_ratio


def _ends_a_stretch(bars: _Bars, row: int, window: slice, changed: Masks) -> bool:
    """Whether a move takes back one that is suspected, within a window: the bars between are on another basis."""
    if abs(math.log(bars.close[row] / bars.close[row - 1])) < math.log(RETURN_MOVE):
        return False
    suspected = np.flatnonzero(changed[window]) + window.start
    suspected = suspected[suspected > bars.first[row]]
    known = bars.days[suspected] - bars.days[suspected - 1] <= WINDOW_DAYS
    come_back = np.abs(np.log(bars.close[row] / bars.close[suspected - 1])) <= math.log(RETURN_TOLERANCE)
    return bool((known & come_back).any())
