"""History: closes of training are on one basis, and no label crosses a suspected split."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters

US = MARKETS["US"].sessions().astype("datetime64[us]")
DAYS = US[np.datetime64("2024-01-02") <= US][:60]
SPLIT = 30


def bars(*, split: float = 1.0, crash: float = 1.0) -> pl.DataFrame:
    """Quiet bars around 100, from the middle on split, or fallen with a wide range and a high turnover."""
    generator = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, DAYS.size)))
    after = np.arange(DAYS.size) >= SPLIT
    crashed = np.arange(DAYS.size) == SPLIT
    close = np.where(after, close * split * crash, close)
    frame = {"market": "US", "instrument_id": "a", "ts": DAYS, "o": close, "h": close * 1.01, "l": close / 1.01}
    shares = np.where(after, 1e6 / split, 1e6) * np.where(crashed & (crash < 1), 300.0, 1.0)
    wide = pl.col("l") * np.where(crashed & (crash < 1), 0.4, 1.0)
    return pl.DataFrame({**frame, "c": close, "v": shares}).with_columns(l=wide)


def history(prices: pl.DataFrame) -> History:
    features = prices.select("market", "instrument_id", "ts", vol_20d=pl.lit(0.01))
    return History.from_frames(features, prices, Parameters(stride=1))


def returns(of: History, horizon: int = 10) -> list[float | None]:
    return of.labels[horizon]["forward_return"].to_list()


def test_no_label_crosses_a_split_and_the_others_are_as_without_it() -> None:
    plain, split = returns(history(bars())), returns(history(bars(split=0.25)))
    assert split[SPLIT - 10 : SPLIT] == [None] * 10
    assert split[: SPLIT - 10] + split[SPLIT:] == pytest.approx(plain[: SPLIT - 10] + plain[SPLIT:])


def test_a_portfolio_neither_gains_nor_loses_by_a_split() -> None:
    closes = history(bars(split=0.25)).closes["c"]
    assert closes[SPLIT] == pytest.approx(closes[SPLIT - 1])
    assert closes.pct_change().abs().max() < 0.04


def test_a_loss_of_98_percent_is_learned_from() -> None:
    found = history(bars(crash=0.02))
    assert found.closes["c"].to_list() == bars(crash=0.02)["c"].to_list()
    assert all(one is not None and one < -0.97 for one in returns(found)[SPLIT - 10 : SPLIT])


def test_later_bars_change_no_label() -> None:
    whole = bars(split=0.25)
    short = returns(history(whole.filter(pl.col("ts") <= datetime(2024, 2, 20))))
    known = [one for one in short if one is not None]
    assert known == [one for one, early in zip(returns(history(whole)), short, strict=False) if early is not None]
