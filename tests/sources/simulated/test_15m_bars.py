"""Bars of a quarter of an hour: they fill a session, and add up to its daily bar."""

import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from conftest import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import RAW_BARS
from boursomatic_assets.sources.simulated.candles import Candles, candles_15m
from boursomatic_assets.sources.simulated.draws import draw_uniforms, keys_of_names
from boursomatic_assets.sources.simulated.source import Simulated

US, EURONEXT = MARKETS["US"], MARKETS["EURONEXT"]
WINTER, SPRING = dt.datetime(2024, 11, 25), dt.datetime(2025, 4, 4)
"""Half days, holidays, a day of mourning, and both changes of clocks lie between them."""

both_markets = pytest.mark.parametrize("market", [US, EURONEXT], ids=lambda market: market.name)


@both_markets
@pytest.mark.parametrize("adjusted", [True, False], ids=["adjusted", "as paid"])
def test_they_add_up_to_the_daily_bar(market: Market, adjusted: bool) -> None:
    source = Simulated(adjusted=adjusted)
    small = source.bars(market, WINTER, SPRING, "15m")
    added = small.group_by("symbol", pl.col("ts").dt.truncate("1d"), maintain_order=True).agg(
        o=pl.col("o").first(), h=pl.col("h").max(), l=pl.col("l").min(), c=pl.col("c").last(), v=pl.col("v").sum()
    )
    daily = source.bars(market, WINTER, SPRING).select(added.columns)
    assert_frame_equal(added, daily, check_exact=True, check_row_order=False)


@both_markets
def test_every_session_is_filled_from_its_open_to_its_close(market: Market) -> None:
    bars = Simulated(events=False).bars(market, WINTER, SPRING, "15m")
    found = bars.group_by(date=pl.col("ts").dt.date()).agg(pl.col("ts").unique().sort(), pl.len()).sort("date")
    assert found["date"].to_list() == [
        day for day in market.sessions().tolist() if WINTER.date() <= day < SPRING.date()
    ]
    for date, starts, bars_of_all in found.iter_rows():
        full = pl.datetime_range(market.open_time(date), market.close_time(date), "15m", closed="left", eager=True)
        assert starts == full.to_list()
        assert bars_of_all == 24 * len(starts)


@pytest.mark.parametrize(
    ("market", "date", "first", "last", "bars"),
    [
        (US, "2024-11-27", "14:30", "20:45", 26),
        (US, "2024-11-29", "14:30", "17:45", 14),  # closes at 13:00 in New York
        (US, "2025-03-10", "13:30", "19:45", 26),  # only New York has changed its clocks
        (EURONEXT, "2025-03-10", "08:00", "16:15", 34),
        (EURONEXT, "2025-03-31", "07:00", "15:15", 34),
        (EURONEXT, "2024-12-24", "08:00", "13:00", 21),  # closes at 14:05 in Paris: the last one has five minutes
    ],
)
def test_they_keep_the_exchanges_clock(market: Market, date: str, first: str, last: str, bars: int) -> None:
    day = dt.datetime.fromisoformat(date)
    times = Simulated().bars(market, day, day + dt.timedelta(1), "15m")["ts"].unique().sort()
    assert (f"{times[0]:%H:%M}", f"{times[-1]:%H:%M}", len(times)) == (first, last, bars)


@both_markets
def test_any_range_gives_the_same_bars(market: Market) -> None:
    whole = Simulated(instruments=60).bars(market, WINTER, SPRING, "15m")
    cuts = [WINTER, dt.datetime(2024, 11, 29, 15, 7), dt.datetime(2024, 12, 24), dt.datetime(2025, 3, 10), SPRING]
    parts = [Simulated(instruments=60).bars(market, start, end, "15m") for start, end in pairwise(cuts)]
    keys = ["ts", "symbol"]
    assert whole.schema == RAW_BARS
    assert set(whole["interval"]) == {"15m"}
    assert_frame_equal(pl.concat(parts).sort(keys), whole.sort(keys), check_exact=True)


def test_a_symbol_has_the_same_bars_in_any_company() -> None:
    few, many = (Simulated(instruments=count).bars(US, WINTER, SPRING, "15m") for count in (2, 30))
    assert_frame_equal(many.filter(pl.col("symbol").is_in(["SIMU001", "SIMU002"])), few, check_exact=True)


@pytest.mark.slow
@given(
    prices=st.lists(st.integers(1, 10**7), min_size=4, max_size=4).map(sorted),
    falls=st.booleans(),
    volume=st.integers(0, 10**11),
    count=st.integers(1, 34),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=3 * EXAMPLES)
def test_whatever_the_day_was_they_are_possible_bars_of_it(
    prices: list[int], falls: bool, volume: int, count: int, seed: int
) -> None:
    low, *inner, high = map(float, prices)
    opening, close = reversed(inner) if falls else inner
    day = Candles(*(np.array([number]) for number in (opening, high, low, close, float(volume))))
    bars = candles_15m(day, tuple(np.random.default_rng(seed).random((4, 1, count))))
    assert all(part.shape == (1, count) and (part == part.round()).all() for part in bars)
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.volume >= 0).all()
    assert (bars.open[:, 1:] == bars.close[:, :-1]).all()
    assert (bars.open[0, 0], bars.close[0, -1]) == (opening, close)
    assert (bars.high.max(), bars.low.min(), bars.volume.sum()) == (high, low, volume)


def test_draws_are_those_of_splitmix64() -> None:
    """Its first three outputs from the seed 0, as published with the algorithm."""
    known = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)
    drawn = np.array(draw_uniforms(np.zeros(1, np.uint64), np.array([1, 2, 3]))) * 2**16
    assert [sum(int(part) << 16 * nth for nth, part in enumerate(parts)) for parts in drawn.T] == list(known)


def test_draws_of_neighbours_have_nothing_in_common() -> None:
    numbers = np.stack(draw_uniforms(keys_of_names(f"name {n}" for n in range(100))[:, None], np.arange(1000)))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean(axis=(1, 2)) - 0.5).max() < 0.005
    across = np.corrcoef(
        [*numbers.reshape(4, -1), np.roll(numbers[0], 1, 0).ravel(), np.roll(numbers[0], 1, 1).ravel()]
    )
    assert abs(across - np.eye(6)).max() < 0.015
