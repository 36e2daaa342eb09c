"""A run is cut into pieces that fit, and around the dates that fail."""

import datetime as dt

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

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


# Which errors are narrowed


def only_small(error: Exception, done: list[Slice], most: int = 300) -> list[tuple[Slice, Exception]]:
    """What fails if a thousand dates are done at once, and more than so many raise an error."""

    def work(part: Slice) -> None:
        done.append(part)
        if len(part.dates) > most:
            raise error

    return failures(work, iter(THOUSAND))


def refusal(error: psycopg.Error) -> DBAPIError:
    """What SQLAlchemy makes of a refusal of the database."""
    return DBAPIError.instance("INSERT", {}, error, psycopg.Error)  # type: ignore[return-value]


CURED = [
    MemoryError(),
    ValueError("one date's rows"),
    FileNotFoundError("one date's file"),
    pl.exceptions.ComputeError("one date's cell"),
    refusal(psycopg.errors.QueryCanceled("canceling statement due to statement timeout")),
    refusal(psycopg.errors.OutOfMemory("out of memory")),
    refusal(psycopg.errors.CheckViolation("one date's price")),
    refusal(psycopg.OperationalError("server closed the connection unexpectedly")),
]
FAULTS = [
    pl.exceptions.ShapeError("filter predicate length of 2 doesn't match that of the DataFrame"),
    pl.exceptions.ColumnNotFoundError("close"),
    TypeError("'NoneType' object is not iterable"),
    KeyError("close"),
    AssertionError(),
    refusal(psycopg.errors.UndefinedColumn("column close does not exist")),
    refusal(psycopg.ProgrammingError("cannot adapt type 'Slice'")),
]


@pytest.mark.parametrize("error", CURED, ids=lambda error: type(error).__name__)
def test_an_error_that_smaller_pieces_cure_is_recorded(error: Exception, absorbed_errors: list[str]) -> None:
    done: list[Slice] = []
    assert only_small(error, done) == []
    assert [len(part.dates) for part in done] == [1000, 500, 250, 250, 500, 250, 250]
    assert len(absorbed_errors) == 3
    assert absorbed_errors[0].startswith(f"US {DATES[0]} .. {DATES[499]} is done in halves, after ")


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_fault_of_the_code_is_raised_and_not_tried_again(error: Exception) -> None:
    done: list[Slice] = []
    assert only_small(error, done) == [(THOUSAND[0], error)]
    assert done == THOUSAND


def test_an_error_that_a_bad_date_explains_is_not_absorbed() -> None:
    assert done_beside({DATES[7]})[1] == [DATES[7]]


def test_an_error_that_no_bad_date_explains_is_absorbed_beside_one(absorbed_errors: list[str]) -> None:
    def work(part: Slice) -> None:
        if len(part.dates) > 500:
            raise MemoryError
        if DATES[7] in part.dates:
            raise ValueError("bad")

    assert [part.dates for part, _ in failures(work, iter(THOUSAND))] == [(DATES[7],)]
    assert absorbed_errors == [f"US {DATES[0]} .. {DATES[999]} is done in halves, after MemoryError: no message"]


def test_an_error_is_absorbed_also_where_a_run_gives_up(absorbed_errors: list[str]) -> None:
    def work(part: Slice) -> None:
        raise MemoryError if len(part.dates) > 500 else ValueError("bad")

    assert len(failures(work, iter(THOUSAND))) == MOST_FAILURES
    assert absorbed_errors == [f"US {DATES[0]} .. {DATES[999]} is done in halves, after MemoryError: no message"]
