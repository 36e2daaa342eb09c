"""Restated history: a delivery on another basis than what is stored is told by its factor."""

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds.walks import DAYS, LENGTH, SESSIONS, is_bar, is_since, quiet_market, scale_prices, walks

from boursomatic_assets.quality.restatement import MIN_SESSIONS, find_basis_changes, find_restated

STORED = walks("A B")
A = pl.col("instrument_id") == "A"


def rounded(bars: pl.DataFrame, decimals: int) -> pl.DataFrame:
    return bars.with_columns(pl.col(*"ohlc").round(decimals))


def before(day: int) -> pl.Expr:
    return A & (pl.col("ts") < DAYS[day])


@settings(max_examples=40, deadline=None)
@given(factor=st.floats(0.05, 20), decimals=st.sampled_from([2, 4, 6, 12]))
def test_a_series_on_another_basis_is_found_with_its_factor(factor: float, decimals: int) -> None:
    assume(abs(factor - 1) > 0.002)
    found = find_restated(STORED, rounded(scale_prices(STORED, factor, A), decimals))
    assert found.drop("factor").rows() == [("A", LENGTH, DAYS[0], DAYS[-1])]
    assert found["factor"].item() == pytest.approx(factor, rel=1e-3)


@pytest.mark.slow
@given(seed=st.integers(0, 100), decimals=st.sampled_from([2, 4]))
@settings(max_examples=20, deadline=None)
def test_what_is_delivered_again_is_not_restated(seed: int, decimals: int) -> None:
    bars = rounded(scale_prices(walks("A B", seed=seed), 0.123, A), decimals)
    assert find_restated(bars, bars).is_empty()
    assert find_restated(bars, rounded(bars, 2)).is_empty()


def test_corrected_bars_are_no_restatement() -> None:
    corrected = scale_prices(scale_prices(STORED, 0.5, is_bar("A", 50)), 1.1, is_bar("A", 70), "c")
    assert find_restated(STORED, corrected).is_empty()


@pytest.mark.parametrize(("days", "seen"), [(MIN_SESSIONS - 1, 0), (MIN_SESSIONS, 1)])
def test_a_few_sessions_must_share_a_factor(days: int, seen: int) -> None:
    delivered = scale_prices(STORED, 0.5, A).filter(pl.col("ts") >= DAYS[-days])
    assert find_restated(STORED, delivered).height == seen


def test_other_prices_are_no_restatement() -> None:
    assert find_restated(STORED, walks("A B", seed=2)).is_empty()


def test_instruments_of_one_factor_are_told_one_by_one() -> None:
    assert find_restated(STORED, scale_prices(STORED, 0.5, pl.lit(True)))["instrument_id"].to_list() == ["A", "B"]


def test_the_roughest_prices_have_a_factor() -> None:
    pennies = rounded(scale_prices(STORED, 0.0002, A), 2)
    found = find_restated(pennies, scale_prices(pennies, 10, A))
    assert found["sessions"].to_list() == [LENGTH]
    assert found["factor"].to_list() == pytest.approx([10])


@pytest.mark.parametrize("prices", ["hc", "ohlc"])
def test_a_correction_does_not_end_a_stretch(prices: str) -> None:
    delivered = scale_prices(scale_prices(STORED, 0.25, A), 1.05, is_bar("A", 90), prices)
    assert find_restated(STORED, delivered).drop("factor").rows() == [("A", LENGTH - 1, DAYS[0], DAYS[-1])]


def test_dividends_restate_what_was_before_each() -> None:
    delivered = rounded(scale_prices(scale_prices(STORED, 0.99, before(120)), 0.98, before(60)), 4)
    found = find_restated(STORED, delivered)
    assert found["factor"].to_list() == pytest.approx([0.9702, 0.99], rel=1e-5)
    assert found.select("sessions", "first", "last").rows() == [
        (60, DAYS[0], DAYS[59]),
        (60, DAYS[60], DAYS[119]),
    ]


def test_a_basis_that_changes_inside_the_delivery_is_found_on_its_side() -> None:
    assert find_restated(STORED, scale_prices(STORED, 0.5, before(60)))["last"].to_list() == [DAYS[59]]
    assert find_restated(STORED, scale_prices(STORED, 0.5, is_since("A", 60)))["first"].to_list() == [DAYS[60]]


def test_prices_that_were_adjusted_and_rounded_twice_share_their_factor() -> None:
    twice = rounded(scale_prices(rounded(scale_prices(STORED, 0.97, A), 2), 0.25, A), 4)
    found = find_restated(STORED, twice)
    assert found["sessions"].to_list() == [LENGTH]
    assert found["factor"].item() == pytest.approx(0.2425, rel=1e-4)


def test_without_a_common_session_nothing_is_said() -> None:
    assert find_restated(
        STORED.filter(pl.col("ts") < DAYS[60]), STORED.filter(pl.col("ts") >= DAYS[60])
    ).is_empty()
    assert find_restated(STORED, STORED.clear()).is_empty()


def delivery(day: int, days: int, **bases: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A market stored up to a day, and the days that follow, with some instruments on another basis."""
    bars = quiet_market()
    stored = bars.filter(pl.col("ts") < DAYS[day])
    new = bars.filter(pl.col("ts").is_in(DAYS[day : day + days]))
    for name, basis in bases.items():
        new = scale_prices(new, basis, pl.col("instrument_id") == name)
    return stored, new


@pytest.mark.parametrize("days", [1, 2, 5])
def test_new_bars_on_another_basis_do_not_join(days: int) -> None:
    found = find_basis_changes(*delivery(150, days, B=0.25, D=0.9), SESSIONS)
    assert found.rows() == [("B", 0.25, min(days, MIN_SESSIONS), DAYS[150])]


def test_new_bars_on_the_same_basis_join() -> None:
    assert find_basis_changes(*delivery(150, 5), SESSIONS).is_empty()


def test_a_jump_that_comes_back_is_an_error_of_its_own() -> None:
    stored, new = delivery(150, 2)
    assert find_basis_changes(stored, scale_prices(new, 0.25, is_bar("B", 150)), SESSIONS).is_empty()


def test_a_jump_after_the_first_new_bar_has_joined() -> None:
    stored, new = delivery(150, 5)
    assert find_basis_changes(stored, scale_prices(new, 0.25, is_since("B", 151)), SESSIONS).is_empty()


def test_sessions_that_are_stored_already_are_not_new() -> None:
    stored, new = delivery(150, 2, B=0.25)
    again = pl.concat([stored.tail(30), new])
    assert_frame_equal(find_basis_changes(stored, again, SESSIONS), find_basis_changes(stored, new, SESSIONS))


def test_a_newcomer_has_nothing_to_join() -> None:
    stored, new = delivery(150, 2, B=0.25)
    assert find_basis_changes(stored.filter(pl.col("instrument_id") != "B"), new, SESSIONS).is_empty()
