"""Jumps: a price that leaves its past behind, alone, and the split that would explain it."""

import math

import polars as pl
import pytest
from worlds.walks import DAYS, SESSIONS, is_bar, is_since, quiet_market, scale_prices, walks

from boursomatic_assets.quality.price_jumps import (
    MAX_SESSIONS_APART,
    MIN_PEERS,
    MIN_RETURNS,
    find_jumps,
    join_previous_bars,
)


def found(bars: pl.DataFrame) -> dict[tuple[str, int], tuple[float, float | None]]:
    """Figure and ratio of each jump, by instrument and day."""
    rows = find_jumps(join_previous_bars(bars, SESSIONS)).select("instrument_id", "ts", "figure", "ratio").rows()
    return {(name, DAYS.index(ts)): (round(figure, 2), ratio) for name, ts, figure, ratio in rows}


def test_a_quiet_market_has_no_jumps() -> None:
    assert found(quiet_market()) == {}


@pytest.mark.parametrize("ratio", [1 / 2, 2 / 3, 1 / 3, 1 / 4, 1 / 5, 1 / 7, 1 / 20, 3 / 2, 2, 10, 100, 1 / 100])
def test_a_split_is_told_by_its_ratio(ratio: float) -> None:
    jumped = found(scale_prices(quiet_market(), ratio, is_since("B", 100)))
    assert list(jumped) == [("B", 100)]
    figure, likeliest = jumped["B", 100]
    assert figure == pytest.approx(ratio, rel=0.1)
    assert likeliest == pytest.approx(ratio)


def test_a_jump_that_no_split_explains_has_no_ratio() -> None:
    assert found(scale_prices(quiet_market(), math.exp(-0.55), is_since("B", 100)))["B", 100][1] is None


def test_the_markets_move_does_not_hide_the_split() -> None:
    fallen = scale_prices(quiet_market(), 0.93, pl.col("ts") >= DAYS[100])
    assert found(scale_prices(fallen, 0.5, is_since("B", 100)))["B", 100][1] == 0.5


def test_nor_does_a_market_that_moved_without_it() -> None:
    others = (pl.col("instrument_id") != "B") & (pl.col("ts") >= DAYS[100])
    assert (
        found(scale_prices(scale_prices(quiet_market(), 0.93, others), 0.5, is_since("B", 100)))["B", 100][1]
        == 0.5
    )


def test_an_error_jumps_there_and_back() -> None:
    assert list(found(scale_prices(quiet_market(), 85, is_bar("B", 100)))) == [("B", 100), ("B", 101)]


def test_an_open_alone_can_jump() -> None:
    (jumped,) = found(scale_prices(quiet_market(), 100, is_bar("B", 100), "oh")).items()
    assert jumped[0] == ("B", 100)
    assert jumped[1][1] == 100


def test_a_crash_that_all_share_is_nobodys_jump() -> None:
    assert found(scale_prices(quiet_market(), 0.5, pl.col("ts") >= DAYS[100])) == {}


def test_a_jump_in_a_crash_is_its_own() -> None:
    crash = scale_prices(quiet_market(), 0.8, pl.col("ts") >= DAYS[100])
    assert list(found(scale_prices(crash, 0.5, is_since("B", 100)))) == [("B", 100)]


def test_in_a_crash_that_scatters_the_market_a_move_is_less_strange() -> None:
    crash = quiet_market()
    for place, name in enumerate("ABCDEFGHIJ"):
        crash = scale_prices(crash, 0.95 - place / 20, is_since(name, 100))
    assert found(crash) == {}
    assert list(found(scale_prices(quiet_market(), 0.5, is_since("J", 100)))) == [("J", 100)]


def test_a_restless_instrument_may_move_further() -> None:
    calm, restless = walks("A"), walks("A", sigma=0.08)
    assert list(found(scale_prices(calm, 0.5, is_since("A", 100)))) == [("A", 100)]
    assert found(scale_prices(restless, 0.5, is_since("A", 100))) == {}


def test_the_quietest_instrument_may_move_a_little() -> None:
    assert found(scale_prices(walks("A", sigma=0.001), 0.8, is_since("A", 100))) == {}


def test_few_instruments_make_no_market() -> None:
    few = MIN_PEERS - 1
    together = scale_prices(quiet_market(few), 0.5, pl.col("ts") >= DAYS[100])
    assert [day for _, day in found(together)] == [100] * few


@pytest.mark.parametrize(("returns", "judged"), [(MIN_RETURNS - 1, False), (MIN_RETURNS, True)])
def test_a_newcomer_is_judged_when_its_usual_moves_are_known(returns: int, judged: bool) -> None:
    bars = scale_prices(walks("A"), 0.5, is_since("A", 100)).filter(pl.col("ts") >= DAYS[100 - returns - 1])
    assert list(found(bars)) == ([("A", 100)] if judged else [])


@pytest.mark.parametrize(("away", "seen"), [(MAX_SESSIONS_APART - 1, True), (MAX_SESSIONS_APART, False)])
def test_a_bar_is_held_against_one_within_reach(away: int, seen: bool) -> None:
    back = 30 + away + 1
    bars = scale_prices(walks("A"), 100, is_since("A", back)).filter(~pl.col("ts").is_in(DAYS[31:back]))
    rows = join_previous_bars(bars, SESSIONS).filter(pl.col("ts") == DAYS[back])
    assert rows["c_"].is_not_null().to_list() == [seen]


def test_after_days_away_a_price_may_have_moved_further() -> None:
    moved = scale_prices(walks("A", sigma=0.02), 1.5, is_since("A", 100))
    assert list(found(moved)) == [("A", 100)]
    assert found(moved.filter(~pl.col("ts").is_in(DAYS[90:100]))) == {}


def test_bars_of_dates_that_are_no_sessions_are_left_out() -> None:
    bars = walks("A").with_columns(pl.col("ts") + pl.duration(hours=1))
    assert join_previous_bars(bars, SESSIONS).is_empty()
