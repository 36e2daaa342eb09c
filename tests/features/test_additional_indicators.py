"""The features without a column: each against pandas, and null exactly where too few bars are seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from worlds.markets import SESSIONS, between_sessions, market_returns, random_market

from boursomatic_assets.features.additional_indicators import ADDITIONAL_INDICATORS
from boursomatic_assets.features.compute import compute_formulas
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.features.market_context import CONTEXT

BARS_BEFORE = {
    "ret_60d": 60,
    "ret_120d": 120,
    "momentum_12_1": 250,
    "vol_250d": 250,
    "vol_ratio": 120,
    "max_ret_20d": 20,
    "range_20d": 19,
    "illiquidity_60d": 60,
    "volume_trend": 119,
    "high_250d": 249,
    "skew_60d": 60,
    "overnight_20d": 20,
    "beta_120d": 120,
    "idiosyncratic_vol_120d": 120,
}
"""Bars that each feature needs before its own, as docs/features.md states them."""


def reference(bars: pd.DataFrame, market: pd.Series) -> dict[str, pd.Series]:
    """Each feature of one instrument by pandas, from its bars and its market's return in their sessions."""
    o, h, low, c, v = (bars[name] for name in "ohlcv")
    r = c.pct_change()
    beta = r.rolling(120).cov(market) / market.rolling(120).var()
    explained = beta**2 * market.rolling(120).var()
    return {
        "ret_60d": c.pct_change(60),
        "ret_120d": c.pct_change(120),
        "momentum_12_1": c.shift(20) / c.shift(250) - 1,
        "vol_250d": r.rolling(250).std(),
        "vol_ratio": r.rolling(20).std() / r.rolling(120).std(),
        "max_ret_20d": r.rolling(20).max(),
        "range_20d": np.log(h / low).rolling(20).mean(),
        "illiquidity_60d": (r.abs() / (c * v) * 1e6).rolling(60).mean(),
        "volume_trend": v.rolling(20).mean() / v.rolling(120).mean(),
        "high_250d": c / c.rolling(250).max(),
        "skew_60d": r.rolling(60).skew() * 58 / np.sqrt(60 * 59),  # pandas corrects for the sample's size
        "overnight_20d": (o / c.shift() - 1).rolling(20).mean(),
        "beta_120d": beta,
        "idiosyncratic_vol_120d": np.sqrt((r.rolling(120).var() - explained) * 119 / 118),
    }


@pytest.mark.parametrize("gaps", [0, 0.1])
@pytest.mark.parametrize("name", BARS_BEFORE)
def test_a_feature_is_what_pandas_makes_of_the_bars_it_sees(name: str, gaps: float) -> None:
    bars = random_market(gaps=gaps).sort("instrument_id", "ts")
    found = compute_formulas(bars, SESSIONS, ADDITIONAL_INDICATORS)
    market = market_returns(bars)
    for one in bars.partition_by("instrument_id"):
        frame = one.to_pandas().set_index("ts")
        expected = reference(frame, market.reindex(frame.index))[name].to_numpy().copy()
        ordinal = np.searchsorted(SESSIONS, one["ts"].to_numpy().astype("datetime64[D]"))
        oldest = np.searchsorted(ordinal, ordinal // 64 * 64 - 250)
        expected[np.arange(ordinal.size) - oldest < BARS_BEFORE[name]] = np.nan
        mine = found.filter(pl.col("instrument_id") == one["instrument_id"][0])[name].fill_null(np.nan).to_numpy()
        assert np.isfinite(expected).sum() > 30, "there was nothing to compare"
        assert np.array_equal(np.isnan(mine), np.isnan(expected))
        assert np.allclose(mine, expected, rtol=1e-8, atol=1e-12, equal_nan=True)


def test_every_feature_is_documented_with_the_bars_it_needs() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "features.md").read_text().splitlines()
    documented = {line.split("`")[1]: line.rstrip(" |").split()[-1] for line in lines if line.startswith("| `")}
    assert [feature.__name__ for feature in ADDITIONAL_INDICATORS] == list(BARS_BEFORE)
    assert {name: documented[name] for name in BARS_BEFORE} == {name: f"{n}" for name, n in BARS_BEFORE.items()}
    assert set(CONTEXT) < documented.keys()
    assert max(BARS_BEFORE.values()) == 250


@pytest.mark.parametrize(("first", "last"), [(639, 639), (640, 641), (300, 550)])
def test_no_range_changes_a_bit_of_an_unrounded_number(first: int, last: int) -> None:
    bars = random_market(instruments=5)
    whole = compute_formulas(bars, SESSIONS, ADDITIONAL_INDICATORS)
    some = compute_formulas(between_sessions(bars, first - LOOKBACK, last), SESSIONS, ADDITIONAL_INDICATORS)
    assert between_sessions(some, first, last).equals(between_sessions(whole, first, last))


def test_bars_without_volume_do_not_count_as_illiquid() -> None:
    """Amihud's mean is over the days on which there was trade."""
    bars = random_market(instruments=1, gaps=0, last=100).with_row_index("day")
    some = bars.with_columns(v=pl.when(pl.col("day") % 4 == 0).then(0.0).otherwise("v"))
    last = [
        abs(c / before - 1) / (c * v) * 1e6
        for before, c, v in zip(some["c"][40:100], some["c"][41:], some["v"][41:], strict=True)
        if v > 0
    ]
    assert len(last) == 45
    assert last_of(some, "illiquidity_60d") == pytest.approx(sum(last) / 45)


def test_without_any_trade_there_is_no_illiquidity() -> None:
    still = random_market(instruments=1, last=200).with_columns(v=pl.lit(0.0))
    assert last_of(still, "illiquidity_60d") is None
    assert last_of(still, "volume_trend") is None


def test_a_price_that_never_moves_has_no_skewness_and_no_beta() -> None:
    still = random_market(instruments=1, gaps=0).with_columns(pl.lit(12.3).alias(name) for name in "ohlc")
    assert last_of(still, "skew_60d", "beta_120d", "vol_ratio") == [None, None, None]
    assert last_of(still, "vol_250d", "range_20d", "high_250d") == [0, 0, 1]


def test_the_market_alone_moves_with_itself() -> None:
    alone = random_market(instruments=1, gaps=0)
    assert last_of(alone, "beta_120d", "idiosyncratic_vol_120d") == pytest.approx([1, 0], abs=1e-9)


def last_of(bars: pl.DataFrame, *names: str) -> float | Sequence[float | None] | None:
    """The last row's number, or numbers."""
    row = compute_formulas(bars, SESSIONS, ADDITIONAL_INDICATORS).row(-1, named=True)
    return [row[name] for name in names] if len(names) > 1 else row[names[0]]
