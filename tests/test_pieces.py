"""A run is cut into pieces that fit, and around the dates that fail."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boursomatic_assets.markets import MARKETS, all_sessions
from boursomatic_assets.pieces import MOST_FAILURES, Piecewise, failures
from boursomatic_assets.slices import Slice, slices_of

DATES = [date for date in all_sessions().tolist() if date.year >= 2016][:1000]
THOUSAND = slices_of(MARKETS["US"], DATES)


def nothing(part: Slice) -> None:
    raise AssertionError("not to be computed")


def lengths(instruments: int, **limits: int) -> list[int]:
    return [len(piece.dates) for piece in Piecewise(THOUSAND, nothing, **limits).pieces(lambda part: instruments)]  # type: ignore[arg-type]


def test_a_piece_holds_so_many_bars() -> None:
    assert lengths(50, bars=20_000) == [400, 400, 200]


def test_a_small_run_is_one_piece() -> None:
    assert lengths(50) == [1000]


def test_no_piece_is_shorter_than_its_look_back_or_a_date() -> None:
    assert lengths(5000, bars=20_000, lookback=300) == [300, 300, 300, 100]
    assert set(lengths(50_000, bars=20_000)) == {1}


def test_a_market_without_instruments_is_one_piece() -> None:
    assert lengths(0) == [1000]


def done_beside(bad: set[dt.date]) -> tuple[set[dt.date], list[dt.date], int]:
    """Dates that were done, dates that failed, and how often anything was tried, when some dates are bad."""
    done: set[dt.date] = set()
    tried = 0

    def work(part: Slice) -> None:
        nonlocal tried
        tried += 1
        if bad & set(part.dates):
            raise ValueError("bad")
        assert not done & set(part.dates), "done twice"
        done.update(part.dates)

    failed = failures(work, iter(THOUSAND))
    return done, [date for part, _ in failed for date in part.dates], tried


@pytest.mark.parametrize("place", [0, 499, 999])
def test_one_bad_date_of_a_thousand_costs_twenty_tries(place: int) -> None:
    done, failed, tried = done_beside({DATES[place]})
    assert failed == [DATES[place]]
    assert done == set(DATES) - {DATES[place]}
    assert tried <= 21


@given(st.sets(st.sampled_from(DATES), max_size=MOST_FAILURES - 1))
def test_all_but_the_bad_dates_are_done_once(bad: set[dt.date]) -> None:
    done, failed, _ = done_beside(bad)
    assert done == set(DATES) - bad
    assert failed == sorted(bad)


def test_a_run_in_which_everything_fails_ends_soon() -> None:
    done, failed, tried = done_beside(set(DATES))
    assert (done, failed) == (set(), DATES[:MOST_FAILURES])
    assert tried < 40
