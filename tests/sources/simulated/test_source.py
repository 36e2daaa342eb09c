"""The simulated market: the same bars from any range, sane ones, with a signal worth finding."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from boursomatic_assets.arrays import Floats, Times
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.features.additional_indicators import ADDITIONAL_INDICATORS
from boursomatic_assets.features.compute import compute_formulas
from boursomatic_assets.features.indicators import FEATURES, rsi_14
from boursomatic_assets.features.panel import Formula
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
    longer = Longer(us.name, us.calendar, us.timezone, us.exchanges, us.load_clock)
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
def test_what_fell_behind_its_peers_tends_to_outrun_them(market: Market) -> None:
    """As strongly as docs/simulated.md states, at every horizon that is advised for, and only where planted."""
    usual, weak, none = (
        skills(Simulated(signal=signal), market, [rsi_14]).sort("horizon") for signal in (1, 0.5, 0)
    )
    assert usual["ic"].is_between(-0.18, -0.11).all()
    assert usual["t"].max() < -6
    assert (weak["ic"] / usual["ic"]).is_between(0.3, 0.7).all(), "half the strength is half the skill"
    assert none["t"].abs().max() < 3


@pytest.mark.slow
@both_markets
def test_without_a_signal_no_feature_predicts(market: Market) -> None:
    """With jumps, halts, newcomers and delistings. Of 66 values of t some two are beyond 2.2 by chance."""
    found = skills(Simulated(80, signal=0), market, [*FEATURES, *ADDITIONAL_INDICATORS])
    assert found.height == 66
    assert found["ic"].abs().max() < 0.02
    assert found["t"].abs().max() < 3.5
    assert found.filter(pl.col("t").abs() > 2.2).height <= 4


def skills(source: Simulated, market: Market, formulas: Sequence[Formula]) -> pl.DataFrame:
    """Each formula's mean rank IC with the return of the next 10, 20 and 40 sessions, and its t.

    Sessions are taken a horizon apart, so that returns do not overlap and a t is no larger than it should be.
    """
    bars = source.bars(market, year(2000), year(2026)).with_columns(instrument_id="symbol")
    bars = bars.sort("instrument_id", "ts")
    names, close = [formula.__name__ for formula in formulas], bars["c"]
    rows = compute_formulas(bars, market.sessions(), formulas).with_columns(close=close)
    parts = []
    for horizon in (10, 20, 40):
        forward = (pl.col("close").shift(-horizon) / pl.col("close") - 1).over("instrument_id")
        dates = rows["ts"].unique().sort().gather_every(horizon)
        apart = (
            rows.with_columns(forward=forward).filter(pl.col("ts").is_in(dates.implode())).drop_nulls("forward")
        )
        by_session = apart.group_by("ts").agg(pl.corr(name, "forward", method="spearman") for name in names)
        ics = by_session.unpivot(names, variable_name="feature", value_name="ic").filter(pl.col("ic").is_finite())
        t = pl.col("ic").mean() / pl.col("ic").std() * pl.len().sqrt()
        parts.append(ics.group_by("feature").agg(pl.col("ic").mean(), t=t, horizon=pl.lit(horizon)))
    return pl.concat(parts)


@both_markets
def test_what_is_planted_fades_from_a_price_and_does_not_make_it_restless(market: Market) -> None:
    """Moves of a session stay as large; of a year's moves a part is gone."""
    planted, without = (log_closes(market, signal) for signal in (1, 0))

    def ratio_of_moves(sessions: int) -> float:
        wide, plain = (closes[sessions:] - closes[:-sessions] for closes in (planted, without))
        return float(wide.std() / plain.std())

    assert 0.98 < ratio_of_moves(1) < 1.02
    assert 0.6 < ratio_of_moves(250) < 0.85
    assert np.corrcoef(np.diff(planted, axis=0).ravel(), np.diff(without, axis=0).ravel())[0, 1] > 0.98


def test_half_of_what_fades_is_gone_after_thirteen_sessions() -> None:
    """What the signal takes from a price in a session is a decaying sum of the own moves before."""
    planted, without = (log_closes(MARKETS["US"], signal) for signal in (1, 0))
    taken = np.diff(without - planted, axis=0)

    def correlation(lag: int) -> float:
        return float(
            np.mean(
                [
                    np.corrcoef(before, after)[0, 1]
                    for before, after in zip(taken[:-lag].T, taken[lag:].T, strict=True)
                ]
            )
        )

    assert correlation(5) > 0.7
    assert correlation(5 + 13) / correlation(5) == pytest.approx(0.5, abs=0.07)
    assert abs(correlation(60)) < 0.1


def log_closes(market: Market, signal: float) -> Floats:
    """Log closes of five instruments, sessions by instruments."""
    bars = Simulated(5, events=False, signal=signal).bars(market, year(2000), year(2026))
    return bars["c"].log().to_numpy().reshape(-1, 5)


def _bars(market: Market) -> pl.DataFrame:
    return Simulated().bars(market, year(2000), year(2026)).select("symbol", "ts", *"ohlcv").sort("symbol", "ts")


@both_markets
def test_news_makes_a_price_jump_on_a_busy_day(market: Market) -> None:
    """Moves of ten usual ones: without news there would be one in two years."""
    move = (pl.col("c") / pl.col("c").shift()).log().abs().over("symbol")
    busy = pl.col("v") / pl.col("v").median().over("symbol")
    bars = _bars(market).select(jump=move > 10 * move.median().over("symbol"), busy=busy).drop_nulls()
    assert 1 < bars["jump"].mean() * 252 < 1.7, "jumps in a year"
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
    names = pl.col("symbol", "exchange").cast(pl.String)
    traded = Simulated().bars(market, year(2020), year(2021)).select(names).unique()
    assert len(traded.join(Simulated().instruments(), on=["symbol", "exchange"])) == len(traded)


def test_no_symbol_can_be_a_real_one() -> None:
    """Neither market lists symbols of more than five characters."""
    assert min(map(len, Simulated().instruments()["symbol"])) > 5
