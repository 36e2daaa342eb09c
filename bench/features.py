"""Eight features of 600,000 bars against TA-Lib and against pandas, both called per instrument.

What belongs here: the formulas of docs/features.md as others would compute them, in memory.
Kept elsewhere: what reading and writing cost (`reads.py`, `writes.py`), other formulas (`factors.py`).

Ours takes the frame as it comes out of the table, checks its order and its sessions, and gives a frame of
nullable columns; TA-Lib gets contiguous arrays of one instrument at a time. The three agree within 1e-9, RSI and
ATR (points, price) within 1e-4 from the 314th bar on, where neither seed nor anchor counts any more.
"""

import datetime as dt
import uuid
from collections.abc import Iterator

import numpy as np
import pandas as pd
import polars as pl
import talib
from helpers.harness import Line, interleaved, ratio, times

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.compute import compute_formulas
from boursomatic_assets.features.indicators import FEATURES
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.sources.simulated.source import Simulated

US = MARKETS["US"]
INSTRUMENTS, SESSIONS = 300, 2_000
NAMES = [feature.__name__ for feature in FEATURES]
RECURSIVE = ("rsi_14", "atr_14")
SAMPLE = float(np.sqrt(20 / 19))  # TA-Lib's STDDEV divides by n

Arrays = dict[str, np.ndarray]


def lines() -> Iterator[Line]:
    """Yield both ratios, after comparing all numbers and the bits of four ranges."""
    bars = _bars()
    apart = bars.partition_by("instrument_id", maintain_order=True)
    arrays = [{name: bars[name].to_numpy().copy() for name in "hlcv"} for bars in apart]
    frames = [bars.select(*"hlcv").to_pandas() for bars in apart]
    _check_ranges(bars)
    _check_numbers(bars, [_talib(one) for one in arrays])
    _check_numbers(bars, [{name: one[name].to_numpy() for name in NAMES} for one in map(_pandas, frames)])
    works = (
        lambda: _eight(bars),
        lambda: [_talib(one) for one in arrays],
        lambda: [_pandas(one) for one in frames],
    )
    ours, theirs, slow = interleaved(*works, rounds=9)
    work = f"eight features of {bars.height:,} bars"
    yield Line(work, "TA-Lib and numpy per instrument", times(ratio(ours, theirs)), "at most 2 x", "time by time")
    yield Line(work, "pandas per instrument", f"{times(ratio(slow, ours))} faster", "at least 10 x faster")


def _bars() -> pl.DataFrame:
    """Bars as they come out of the table: by instrument, whose id is a uuid as text, and session."""
    dates = US.sessions()[US.sessions() >= np.datetime64("2016-01-04")][: SESSIONS + 1].tolist()
    start, end = (dt.datetime.combine(date, dt.time()) for date in (dates[0], dates[-1]))
    bars = Simulated(instruments=INSTRUMENTS, events=False).bars(US, start, end)
    ids = {symbol: str(uuid.uuid5(uuid.NAMESPACE_OID, symbol)) for symbol in bars["symbol"].unique()}
    return bars.select(
        "ts", *"ohlcv", "interval", instrument_id=pl.col("symbol").replace_strict(ids), market=pl.lit("US")
    ).sort("instrument_id", "ts")


def _eight(bars: pl.DataFrame) -> pl.DataFrame:
    return compute_formulas(bars, US.sessions(), FEATURES)


def _talib(bars: Arrays) -> Arrays:
    high, low, close, volume = (bars[name] for name in "hlcv")
    returns = talib.ROCP(close, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        zscore = (volume - talib.SMA(volume, 20)) / (talib.STDDEV(volume, 20) * SAMPLE)
    return {
        "ret_1d": returns,
        "ret_5d": talib.ROCP(close, 5),
        "ret_20d": talib.ROCP(close, 20),
        "rsi_14": talib.RSI(close, 14),
        "momentum_5d": talib.MOM(close, 5),
        "vol_20d": talib.STDDEV(returns, 20) * SAMPLE,
        "atr_14": talib.ATR(high, low, close, 14),
        "volume_zscore": zscore,
    }


def _pandas(bars: pd.DataFrame) -> pd.DataFrame:
    close, before, volumes = bars["c"], bars["c"].shift(), bars["v"].rolling(20)
    change, returns = close - before, close.pct_change()
    gain, loss = (_wilder(part.clip(lower=0)) for part in (change, -change))
    true_range = np.maximum(bars["h"], before) - np.minimum(bars["l"], before)
    return pd.DataFrame(
        {
            "ret_1d": returns,
            "ret_5d": close.pct_change(5),
            "ret_20d": close.pct_change(20),
            "rsi_14": 100 * gain / (gain + loss),
            "momentum_5d": close.diff(5),
            "vol_20d": returns.rolling(20).std(),
            "atr_14": _wilder(true_range),
            "volume_zscore": (bars["v"] - volumes.mean()) / volumes.std(),
        }
    )


def _wilder(values: pd.Series) -> pd.Series:
    return values.ewm(alpha=1 / 14, adjust=False).mean()


def _check_numbers(bars: pl.DataFrame, theirs: list[Arrays]) -> None:
    ours = _eight(bars)
    warm = np.tile(np.arange(SESSIONS), INSTRUMENTS) > LOOKBACK
    for name in NAMES:
        mine, other = ours[name].to_numpy(), np.concatenate([one[name] for one in theirs])
        if name in RECURSIVE:
            assert np.allclose(mine[warm], other[warm], rtol=0, atol=1e-4), name
        else:
            assert np.allclose(mine, other, rtol=1e-9, atol=1e-9, equal_nan=True), name


def _check_ranges(bars: pl.DataFrame) -> None:
    """One session, a few, a year, and half of the instruments alone, give the bits of the whole."""
    whole = _eight(bars)
    dates = bars["ts"].unique().sort()
    for first, last in ((SESSIONS - 1, SESSIONS - 1), (700, 704), (1_000, 1_251)):
        loaded = bars.filter(pl.col("ts").is_between(dates[first - LOOKBACK], dates[last]))
        wanted = pl.col("ts").is_between(dates[first], dates[last])
        _assert_same(_eight(loaded).filter(wanted), whole.filter(wanted))
    half = bars.height // 2
    _assert_same(_eight(bars[half:]), whole[half:])


def _assert_same(some: pl.DataFrame, whole: pl.DataFrame) -> None:
    assert some.select("instrument_id", "ts").equals(whole.select("instrument_id", "ts"))
    for name in NAMES:
        assert some[name].is_null().equals(whole[name].is_null()), name
        bits = (np.ascontiguousarray(one[name].to_numpy()).view(np.int64) for one in (some, whole))
        nulls = some[name].is_null().to_numpy()
        assert np.array_equal(*(np.where(nulls, 0, one) for one in bits)), name
