"""A run is cut into chunks of limited size, and around the dates that fail."""

import datetime as dt

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.database import AwayError
from boursomatic_assets.database.locks import LockWaitError
from boursomatic_assets.orchestration.chunks import MAX_FAILURES, ChunkedRows, run_chunks
from boursomatic_assets.tables.claims.holding import GivenUpError

DATES = [date for date in all_sessions().tolist() if date.year >= 2016][:1000]
THOUSAND = slices_of(MARKETS["US"], DATES)


def not_computed(part: Slice) -> None:
    raise AssertionError("not to be computed")


def chunk_lengths(instruments: int, **limits: int) -> list[int]:
    return [
        len(chunk.dates)
        for chunk in ChunkedRows(THOUSAND, not_computed, **limits).chunks(lambda part: instruments)
    ]  # type: ignore[arg-type]


def test_a_chunk_holds_a_number_of_bars() -> None:
    assert chunk_lengths(50, bars=20_000) == [400, 400, 200]


def test_a_small_run_is_one_chunk() -> None:
    assert chunk_lengths(50) == [1000]


def test_no_chunk_is_shorter_than_its_look_back_or_one_date() -> None:
    assert chunk_lengths(5000, bars=20_000, lookback=300) == [300, 300, 300, 100]
    assert set(chunk_lengths(50_000, bars=20_000)) == {1}


def test_a_market_without_instruments_is_one_chunk() -> None:
    assert chunk_lengths(0) == [1000]


def run_with_failing_dates(bad: set[dt.date]) -> tuple[set[dt.date], list[dt.date], int]:
    """Dates that were done, dates that failed, and the number of tries, when some dates fail."""
    done: set[dt.date] = set()
    tried = 0

    def work(part: Slice) -> None:
        nonlocal tried
        tried += 1
        if bad & set(part.dates):
            raise ValueError("bad")
        assert not done & set(part.dates), "done twice"
        done.update(part.dates)

    failed = run_chunks(work, iter(THOUSAND))
    return done, [date for part, _ in failed for date in part.dates], tried


@pytest.mark.parametrize("place", [0, 499, 999])
def test_one_bad_date_of_a_thousand_costs_twenty_tries(place: int) -> None:
    done, failed, tried = run_with_failing_dates({DATES[place]})
    assert failed == [DATES[place]]
    assert done == set(DATES) - {DATES[place]}
    assert tried <= 21


@given(st.sets(st.sampled_from(DATES), max_size=MAX_FAILURES - 1))
def test_all_but_the_bad_dates_are_done_once(bad: set[dt.date]) -> None:
    done, failed, _ = run_with_failing_dates(bad)
    assert done == set(DATES) - bad
    assert failed == sorted(bad)


def test_a_run_stops_after_the_maximum_of_failures() -> None:
    done, failed, tried = run_with_failing_dates(set(DATES))
    assert (done, failed) == (set(), DATES[:MAX_FAILURES])
    assert tried < 40


# Which errors are narrowed


def run_with_size_limit(error: Exception, done: list[Slice], most: int = 300) -> list[tuple[Slice, Exception]]:
    """The failures of a thousand dates, if a chunk of more than so many dates raises an error."""

    def work(part: Slice) -> None:
        done.append(part)
        if len(part.dates) > most:
            raise error

    return run_chunks(work, iter(THOUSAND))


def database_error(error: psycopg.Error) -> DBAPIError:
    """The exception of SQLAlchemy for a database error."""
    return DBAPIError.instance("INSERT", {}, error, psycopg.Error)  # type: ignore[return-value]


NARROWABLE = [
    MemoryError(),
    ValueError("one date's rows"),
    FileNotFoundError("one date's file"),
    pl.exceptions.ComputeError("one date's cell"),
    database_error(psycopg.errors.QueryCanceled("canceling statement due to statement timeout")),
    database_error(psycopg.errors.OutOfMemory("out of memory")),
    database_error(psycopg.errors.CheckViolation("one date's price")),
]
LOST = database_error(psycopg.OperationalError("server closed the connection unexpectedly"))
DEFECTS = [
    pl.exceptions.ShapeError("filter predicate length of 2 doesn't match that of the DataFrame"),
    pl.exceptions.ColumnNotFoundError("close"),
    TypeError("'NoneType' object is not iterable"),
    KeyError("close"),
    AssertionError(),
    database_error(psycopg.errors.UndefinedColumn("column close does not exist")),
    database_error(psycopg.ProgrammingError("cannot adapt type 'Slice'")),
]


@pytest.mark.parametrize("error", NARROWABLE, ids=lambda error: type(error).__name__)
def test_an_error_that_smaller_chunks_avoid_is_recorded(error: Exception, absorbed_errors: list[str]) -> None:
    done: list[Slice] = []
    assert run_with_size_limit(error, done) == []
    assert [len(part.dates) for part in done] == [1000, 500, 250, 250, 500, 250, 250]
    assert len(absorbed_errors) == 3
    assert absorbed_errors[0].startswith(f"US {DATES[0]} .. {DATES[499]} is done in halves, after ")


def test_a_chunk_whose_connection_is_lost_is_done_again(absorbed_errors: list[str]) -> None:
    done: list[Slice] = []

    def work(part: Slice) -> None:
        done.append(part)
        if len(done) % 2:
            raise LOST

    assert run_chunks(work, iter(THOUSAND)) == []
    assert [len(part.dates) for part in done] == [1000, 1000]
    assert absorbed_errors == [
        "done again, after OperationalError: (psycopg.OperationalError) server closed the connection unexpectedly"
    ]


def test_a_chunk_that_always_loses_its_connection_is_halved(absorbed_errors: list[str]) -> None:
    """It may be the chunk that takes the server's memory."""
    done: list[Slice] = []
    assert run_with_size_limit(LOST, done) == []
    assert [len(part.dates) for part in done] == [1000] * 4 + [500] * 4 + [250] * 2 + [500] * 4 + [250] * 2
    assert sum("is done in halves" in line for line in absorbed_errors) == 3


@pytest.mark.parametrize("error", [GivenUpError("given up"), AwayError("away"), LockWaitError("gave up")])
def test_after_some_errors_nothing_more_is_tried(error: Exception) -> None:
    done: list[Slice] = []
    with pytest.raises(type(error)):
        run_with_size_limit(error, done)
    assert len(done) == 1


@pytest.mark.parametrize("error", DEFECTS, ids=lambda error: type(error).__name__)
def test_a_defect_of_the_code_is_raised_and_not_tried_again(error: Exception) -> None:
    done: list[Slice] = []
    assert run_with_size_limit(error, done) == [(THOUSAND[0], error)]
    assert done == THOUSAND


def test_an_error_that_a_bad_date_explains_is_not_absorbed() -> None:
    assert run_with_failing_dates({DATES[7]})[1] == [DATES[7]]


def test_an_error_that_no_bad_date_explains_is_absorbed_beside_one(absorbed_errors: list[str]) -> None:
    def work(part: Slice) -> None:
        if len(part.dates) > 500:
            raise MemoryError
        if DATES[7] in part.dates:
            raise ValueError("bad")

    assert [part.dates for part, _ in run_chunks(work, iter(THOUSAND))] == [(DATES[7],)]
    assert absorbed_errors == [f"US {DATES[0]} .. {DATES[999]} is done in halves, after MemoryError: no message"]


def test_an_error_is_absorbed_also_when_a_run_gives_up(absorbed_errors: list[str]) -> None:
    def work(part: Slice) -> None:
        raise MemoryError if len(part.dates) > 500 else ValueError("bad")

    assert len(run_chunks(work, iter(THOUSAND))) == MAX_FAILURES
    assert absorbed_errors == [f"US {DATES[0]} .. {DATES[999]} is done in halves, after MemoryError: no message"]
