"""The simulated market: the same bars from any range, sane ones, with a signal worth finding."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from boursomatic_assets.arrays import Times
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import INSTRUMENTS, RAW_BARS
from boursomatic_assets.sources.simulated.source import FIRST_DATE, Simulated

both_markets = pytest.mark.parametrize("market", list(MARKETS.values()), ids=lambda market: market.name)


def year(number: int) -> dt.datetime:
    """The first instant of a year."""
    return dt.datetime(number, 1, 1)


@both_markets
def test_any_range_gives_the_same_bars(market: Market) -> None:
    whole = Simulated().bars(market, year(2015), year(2018))
    parts = [Simulated().bars(market, year(number), year(number + 1)) for number in (2017, 2015, 2016)]
    assert_frame_equal(pl.concat(parts).sort("ts", "symbol"), whole, check_exact=True)


def test_a_range_holds_its_start_and_not_its_end() -> None:
    bars = Simulated().bars(MARKETS["US"], dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 6))
    assert bars["ts"].unique().sort().to_list() == [dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 3)]


def test_after_midnight_a_daily_bar_is_over() -> None:
    bars = Simulated().bars(MARKETS["US"], dt.datetime(2020, 1, 2, 0, 1), dt.datetime(2020, 1, 3, 0, 1))
    assert bars["ts"].unique().to_list() == [dt.datetime(2020, 1, 3)]


@pytest.mark.parametrize("interval", ["daily", "15m"])
def test_a_weekend_has_no_bars(interval: str) -> None:
    bars = Simulated().bars(MARKETS["US"], dt.datetime(2020, 1, 4), dt.datetime(2020, 1, 6), interval)
    assert bars.is_empty()
    assert bars.schema == RAW_BARS


def test_an_interval_that_is_not_simulated_has_no_bars() -> None:
    bars = Simulated().bars(MARKETS["US"], year(2020), year(2021), "1h")
    assert bars.is_empty()
    assert bars.schema == RAW_BARS


@pytest.mark.slow
@both_markets
def test_a_symbol_has_the_same_bars_in_any_company(market: Market) -> None:
    few = Simulated(instruments=2).bars(market, year(2019), year(2020))
    many = Simulated(instruments=150).bars(market, year(2019), year(2020))
    assert_frame_equal(
        many.filter(pl.col("symbol").is_in(["SIMU001", "SIMU002", "SIME001", "SIME002"])), few, check_exact=True
    )


@pytest.mark.parametrize("adjusted", [True, False], ids=["adjusted", "as paid"])
def test_a_longer_calendar_changes_no_older_bar(adjusted: bool) -> None:
    class Longer(Market):
        def sessions(self) -> Times:
            known = super().sessions()
            return np.append(known, known[-1] + np.arange(1, 253))

    us = MARKETS["US"]
    longer = Longer(us.name, us.calendar, us.timezone, us.exchanges)
    source = Simulated(adjusted=adjusted)
    assert_frame_equal(
        source.bars(longer, year(2019), year(2020)), source.bars(us, year(2019), year(2020)), check_exact=True
    )


def test_another_seed_is_another_market() -> None:
    one, other = (
        Simulated(seed=seed, events=False).bars(MARKETS["US"], year(2019), year(2020)) for seed in (7, 8)
    )
    assert one.drop("o", "h", "l", "c", "v").equals(other.drop("o", "h", "l", "c", "v"))
    assert np.mean(one["c"].to_numpy() == other["c"].to_numpy()) < 0.01


@both_markets
def test_without_events_every_session_has_one_bar_of_every_instrument(market: Market) -> None:
    bars = Simulated(events=False).bars(market, dt.datetime(1990, 1, 1), year(2012))
    sessions = market.sessions()
    open_days = sessions[(sessions >= FIRST_DATE) & (sessions < np.datetime64("2012-01-01"))]
    assert bars["ts"].dt.date().unique().sort().to_list() == open_days.tolist()
    assert len(bars) == bars.select("symbol", "ts").n_unique() == 24 * len(open_days)


@both_markets
def test_every_bar_is_a_possible_one(market: Market) -> None:
    bars = Simulated().bars(market, year(2000), year(2026))
    low, high, volume = pl.col("l"), pl.col("h"), pl.col("v")
    assert bars.filter(low < 0.01).is_empty()
    assert bars.filter((low > pl.min_horizontal("o", "c")) | (high < pl.max_horizontal("o", "c"))).is_empty()
    assert bars.filter((volume < 1) | (volume != volume.round())).is_empty()
    assert bars.filter(pl.any_horizontal(pl.col(*"ohlc") != pl.col(*"ohlc").round(2))).is_empty()
    assert bars.filter(pl.any_horizontal(~pl.col(*"ohlcv").is_finite())).is_empty()


@both_markets
def test_moves_have_fat_tails_and_restless_times(market: Market) -> None:
    moves = _bars(market).select((pl.col("c") / pl.col("c").shift() - 1).over("symbol").alias("move"), "symbol")
    kurtosis = moves.group_by("symbol").agg(pl.col("move").kurtosis())["move"]
    sizes = moves.select(
        pl.col("move").abs(), pl.col("move").abs().shift().over("symbol").alias("before")
    ).drop_nulls()
    assert np.median(kurtosis) > 1
    assert sizes.select(pl.corr("move", "before")).item() > 0.05
    assert 0.2 < np.nanstd(moves["move"]) * 252**0.5 < 0.4, "a year's volatility"


@pytest.mark.slow
@both_markets
@pytest.mark.parametrize("horizon", [5, 20])
def test_what_fell_behind_its_peers_tends_to_outrun_them(market: Market, horizon: int) -> None:
    """Only where a signal is planted. Sessions a horizon apart do not overlap, so it is not by chance."""
    mean, t = skill_of_reversal(_bars(market), horizon)
    assert 0.03 < mean < 0.12
    assert t > 3
    _, t = skill_of_reversal(_bars(market, signal=False), horizon)
    assert abs(t) < 2


def skill_of_reversal(bars: pl.DataFrame, horizon: int) -> tuple[float, float]:
    """Mean rank correlation of -ret_5d with the forward return, sessions a horizon apart, and its t-statistic."""
    close = pl.col("c")
    returns = bars.with_columns(
        fallen=(1 - close / close.shift(5)).over("symbol"),
        forward=(close.shift(-horizon) / close - 1).over("symbol"),
    )
    by_session = returns.drop_nulls().group_by("ts", maintain_order=True)
    skill = (
        by_session.agg(ic=pl.corr("fallen", "forward", method="spearman"))["ic"].gather_every(horizon).to_numpy()
    )
    return skill.mean(), skill.mean() / skill.std() * len(skill) ** 0.5


@both_markets
def test_the_signal_is_a_few_percent_of_a_price_that_come_and_go(market: Market) -> None:
    """Without it all else is the same: the closes differ by the overshoot and by nothing that stays."""
    planted, without = (
        Simulated(instruments=5, events=False, signal=signal).bars(market, year(2000), year(2026))
        for signal in (True, False)
    )
    assert planted.select("symbol", "ts").equals(without.select("symbol", "ts"))
    overshoot = (planted["c"] / without["c"]).log().to_numpy().reshape(-1, 5)
    assert overshoot.std(axis=0) == pytest.approx(np.full(5, 0.02), rel=0.15)
    assert abs(np.mean(overshoot[60:] * overshoot[:-60])) < 0.1 * 0.02**2


def _bars(market: Market, signal: bool = True) -> pl.DataFrame:
    return (
        Simulated(signal=signal)
        .bars(market, year(2000), year(2026))
        .select("symbol", "ts", *"ohlcv")
        .sort("symbol", "ts")
    )


@both_markets
def test_news_makes_a_price_jump_on_a_busy_day(market: Market) -> None:
    """Moves of ten usual ones: without news there would be one in seven years."""
    move = (pl.col("c") / pl.col("c").shift()).log().abs().over("symbol")
    busy = pl.col("v") / pl.col("v").median().over("symbol")
    bars = _bars(market).select(jump=move > 10 * move.median().over("symbol"), busy=busy).drop_nulls()
    assert 0.4 < bars["jump"].mean() * 252 < 1, "jumps in a year"
    assert bars.filter("jump")["busy"].median() > 4


def test_instruments_are_described_and_unique() -> None:
    listed = Simulated().instruments()
    assert listed.schema == INSTRUMENTS
    assert len(listed) == listed.select("symbol", "exchange").n_unique() == 48
    assert listed.null_count().row(0) == (0,) * 6
    assert set(listed["exchange"]) == {exchange for market in MARKETS.values() for exchange in market.exchanges}
    assert set(listed["market_cap_bucket"]) == {"small", "mid", "large"}
    assert set(listed["pe_bucket"]) == {"low", "medium", "high"}


@both_markets
def test_every_bar_is_of_a_known_instrument(market: Market) -> None:
    traded = Simulated().bars(market, year(2020), year(2021)).select("symbol", "exchange").unique()
    assert len(traded.join(Simulated().instruments(), on=["symbol", "exchange"])) == len(traded)


def test_no_symbol_can_be_a_real_one() -> None:
    """Neither market lists symbols of more than five characters."""
    assert min(map(len, Simulated().instruments()["symbol"])) > 5
