"""The eight features of a daily bar, and how far back each row looks.

What belongs here: one small pure function per feature, from bars in memory to numbers in memory.
Kept elsewhere: reading and writing slices (`assets/features.py`), normalising for a model (`learning/`).

The law: a row is the same, to the last bit, whichever range it was computed in. So no running sum or
recursion may start where the frame happens to start. The row of session ordinal k sees only its own
instrument's bars with ordinal in [anchor(k), k], where anchor(k) = (k // BLOCK) * BLOCK - WARM_UP.
Wilder's recursions restart at the anchor, and every sum runs in a fixed order: numpy's own reductions
(`sum`, `std`) choose the order by memory layout, so they are not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

BLOCK = 64
"""Sessions that share one anchor."""

WARM_UP = 250
"""Sessions between an anchor and its block: (13/14)**250 leaves 1e-8 of a Wilder mean's seed."""

LOOKBACK = WARM_UP + BLOCK - 1
"""Sessions before the first wanted one whose bars `features` must be given."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Panel:
    """Bars of one market in order of instrument and session, and what each of them may see.

    The rows of one instrument in one block are a lane: they share the oldest bar that they see.
    """

    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    lane: Ints
    """The lane of each row."""
    oldest: Ints
    """The row of the oldest bar that each lane sees."""

    @cached_property
    def seen(self) -> Ints:
        """How many bars before its own each row sees."""
        return np.arange(self.lane.size) - self.oldest[self.lane]

    def ago(self, values: Floats, bars: int) -> Floats:
        """Each row's value some bars earlier; NaN where the row does not see that far."""
        return np.where(self.seen >= bars, np.roll(values, bars), np.nan)

    def window(self, values: Floats) -> tuple[Floats, Floats]:
        """Newest value less the mean, and sample standard deviation, of each row's last 20 values.

        Shifting by the newest value, which is in the window, keeps the one-pass variance stable, and
        exactly zero for equal values (Chan, Golub and LeVeque 1983, "shifted data").
        Rows that see fewer than 20 values hold anything; the caller blanks them.
        """
        total, squares = np.zeros_like(values), np.zeros_like(values)
        for bars in range(1, 20):
            gap = values[:-bars] - values[bars:]
            total[bars:] += gap
            squares[bars:] += gap * gap
        return 0.0 - total / 20, np.sqrt((squares - total * total / 20) / 19)

    def wilder_mean(self, values: Floats) -> Floats:
        """Wilder's 14-bar mean, restarted at each anchor (Wilder 1978, "New Concepts", p. 21 and 65).

        Seeded as TA-Lib does: the plain mean of the first 14 values, the anchor bar's excepted, since
        that one leans on the bar before it. NaN on the first 14 bars.
        """
        seen = self.seen
        steps = np.arange(max(seen.max(initial=0), 14) + 1)
        mean = values.take(steps[:, None] + self.oldest, mode="clip")
        mean[14] = sum(mean[1:15]) / 14
        for step in steps[15:]:
            mean[step] += mean[step - 1] * 13
            mean[step] /= 14
        return np.where(seen >= 14, mean[seen, self.lane], np.nan)


def ret_1d(panel: Panel) -> Floats:
    """Simple return over 1 bar, c / c[-1] - 1 (TA-Lib ROCP)."""
    return _simple_return(panel, 1)


def ret_5d(panel: Panel) -> Floats:
    """Simple return over 5 bars, c / c[-5] - 1 (TA-Lib ROCP)."""
    return _simple_return(panel, 5)


def ret_20d(panel: Panel) -> Floats:
    """Simple return over 20 bars, c / c[-20] - 1 (TA-Lib ROCP)."""
    return _simple_return(panel, 20)


def rsi_14(panel: Panel) -> Floats:
    """Relative strength index in points, 0 to 100 (Wilder 1978, p. 65; TA-Lib RSI: 0 if no price moved)."""
    change = panel.close - panel.ago(panel.close, 1)
    gain = panel.wilder_mean(np.maximum(change, 0.0))
    loss = panel.wilder_mean(np.maximum(-change, 0.0))
    return np.where(gain + loss == 0.0, 0.0, 100 * (gain / (gain + loss)))


def momentum_5d(panel: Panel) -> Floats:
    """Price now less price 5 bars ago, c - c[-5], in price units (TA-Lib MOM)."""
    return panel.close - panel.ago(panel.close, 5)


def vol_20d(panel: Panel) -> Floats:
    """Sample standard deviation of the last 20 one-bar simple returns, not annualised."""
    _, deviation = panel.window(ret_1d(panel))
    return np.where(panel.seen >= 20, deviation, np.nan)


def atr_14(panel: Panel) -> Floats:
    """Average true range in price units (Wilder 1978, p. 21; TA-Lib ATR)."""
    before = panel.ago(panel.close, 1)
    return panel.wilder_mean(np.maximum(panel.high, before) - np.minimum(panel.low, before))


def volume_zscore(panel: Panel) -> Floats:
    """Sample standard deviations by which volume exceeds the mean of the last 20, this one among them."""
    excess, deviation = panel.window(panel.volume)
    return np.where(panel.seen >= 19, excess / deviation, np.nan)


FEATURES: tuple[Callable[[Panel], Floats], ...] = (
    ret_1d,
    ret_5d,
    ret_20d,
    rsi_14,
    momentum_5d,
    vol_20d,
    atr_14,
    volume_zscore,
)


def features(bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64]) -> pl.DataFrame:
    """One row of features for each daily bar of one market.

    Args:
        bars: instrument_id, ts, h, l, c, v, in any order, other columns ignored. A row is right when the
            bars of the LOOKBACK sessions before it are there too.
        sessions: all sessions of the market since its fixed epoch, sorted datetime64[D].

    Returns:
        instrument_id, ts, the eight features (Float64; null where undefined) and additional_features
        (String, null), sorted by instrument_id and ts.

    Raises:
        ValueError: a bar's ts is no session, or an instrument has two bars at one ts.
    """
    bars = bars.sort("instrument_id", "ts")
    panel = _panel(bars, _ordinals(bars, sessions))
    with np.errstate(all="ignore"):
        values = pl.DataFrame({feature.__name__: feature(panel) for feature in FEATURES})
    return bars.select("instrument_id", "ts").with_columns(
        *values.select(pl.when(pl.all().is_finite()).then(pl.all())),
        additional_features=pl.lit(None, pl.String),
    )


def _simple_return(panel: Panel, bars: int) -> Floats:
    before = panel.ago(panel.close, bars)
    return (panel.close - before) / before


def _panel(bars: pl.DataFrame, ordinal: Ints) -> Panel:
    """Sorted bars as a panel: lanes found from the rows' instruments and session ordinals."""
    instrument = bars["instrument_id"].rle_id().to_numpy().astype(np.int64)
    block = ordinal // BLOCK
    opens = np.append(True, (np.diff(instrument) != 0) | (np.diff(block) != 0))[: len(bars)]
    anchor = np.maximum(block * BLOCK - WARM_UP, 0)
    line = instrument * (ordinal.max(initial=0) + 1)
    return Panel(
        high=bars["h"].to_numpy(),
        low=bars["l"].to_numpy(),
        close=bars["c"].to_numpy(),
        volume=bars["v"].to_numpy(),
        lane=np.cumsum(opens) - 1,
        oldest=np.searchsorted(line + ordinal, (line + anchor)[opens]),
    )


def _ordinals(bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64]) -> Ints:
    """The session ordinal of each sorted bar, which is the index of its ts in sessions."""
    calendar = pl.DataFrame({"ts": sessions}).with_columns(pl.col("ts").cast(bars["ts"].dtype)).with_row_index()
    placed = bars.select("instrument_id", "ts").join(calendar, on="ts", how="left", maintain_order="left")
    strays = placed.filter(pl.col("index").is_null())
    if len(strays):
        raise ValueError(
            f"bar of instrument {strays['instrument_id'][0]} at {strays['ts'][0]} is on no session of its"
            f" market ({len(strays)} such bars): give daily bars of one market, stamped at their session"
        )
    twins = placed.filter(
        (pl.col("instrument_id") == pl.col("instrument_id").shift()) & (pl.col("ts") == pl.col("ts").shift())
    )
    if len(twins):
        raise ValueError(
            f"instrument {twins['instrument_id'][0]} has more than one bar at {twins['ts'][0]}"
            f" ({len(twins)} such bars): keep one bar per instrument and session"
        )
    return placed["index"].to_numpy().astype(np.int64)
