"""Waiting for a server that is away: growing pauses, a stated time, and work that is done again."""

import itertools

import psycopg
import pytest

from boursomatic_assets.database import AwayError, again, waiting
from boursomatic_assets.settings import patience

LOST = psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without their time."""
    pauses = list[float]()
    monkeypatch.setattr(waiting.time, "sleep", pauses.append)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(pauses))
    monkeypatch.setattr(patience._Process, "only_looks", False)
    monkeypatch.setattr(waiting._Patience, "gave_up", False)
    monkeypatch.setenv("BOURSOMATIC_DATABASE_WAIT", "300")
    return pauses


def away_for(times: int) -> "itertools.count[int]":
    """A server that takes no connection at first."""
    return itertools.count(-times)


def connect(attempts: "itertools.count[int]") -> str:
    if next(attempts) < 0:
        raise AwayError("the server at here:5432 does not answer")
    return "connected"


def test_pauses_grow_up_to_five_seconds_or_so(clock: list[float], absorbed_errors: list[str]) -> None:
    attempts = away_for(30)
    assert waiting.until_it_answers(lambda: connect(attempts)) == "connected"
    assert clock[0] < 0.2
    assert max(clock) < 6.6
    assert min(clock[12:]) > 3
    (line,) = absorbed_errors
    assert line == f"connected after {sum(clock):.1f} s, after AwayError: the server at here:5432 does not answer"
    assert not waiting.gave_up()


@pytest.mark.parametrize(("looks", "longest"), [(False, 300), (True, 5)])
def test_it_ends_after_the_stated_time(
    looks: bool, longest: float, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience._Process, "only_looks", looks)
    attempts = away_for(10**6)
    with pytest.raises(AwayError):
        waiting.until_it_answers(lambda: connect(attempts))
    assert longest - 7 < sum(clock) <= longest
    assert waiting.gave_up()


def test_a_wait_of_two_seconds_is_said_once(
    clock: list[float], caplog: pytest.LogCaptureFixture, absorbed_errors: list[str]
) -> None:
    for times, lines in ((4, 0), (20, 1)):
        caplog.clear()
        attempts = away_for(times)
        waiting.until_it_answers(lambda attempts=attempts: connect(attempts))  # type: ignore[misc]
        said = [record.getMessage() for record in caplog.records if record.name == waiting.__name__]
        assert (
            said == ["waits for the database, for 300 s at most: the server at here:5432 does not answer"] * lines
        )
    assert len(absorbed_errors) == 2


def test_idle_connections_are_closed_before_each_pause(clock: list[float], absorbed_errors: list[str]) -> None:
    attempts, closed = away_for(3), list[int]()
    waiting.until_it_answers(lambda: connect(attempts), lambda: closed.append(len(clock)))
    assert closed == [0, 1, 2]


def test_another_error_is_raised_at_once(clock: list[float]) -> None:
    with pytest.raises(ValueError, match="wrong"):
        waiting.until_it_answers(lambda: int("wrong"))
    assert clock == []


def test_work_whose_connection_was_lost_is_done_again(absorbed_errors: list[str]) -> None:
    begun = list[int]()

    def work() -> str:
        begun.append(len(begun))
        if len(begun) < 3:
            raise LOST
        return "done"

    assert again(work) == "done"
    assert absorbed_errors == ["done again, after OperationalError: server closed the connection unexpectedly"] * 2


@pytest.mark.parametrize(("error", "times"), [(LOST, 4), (psycopg.errors.CheckViolation("a price"), 1)])
def test_an_error_that_stays_is_raised(error: psycopg.Error, times: int, absorbed_errors: list[str]) -> None:
    begun = list[int]()

    def work() -> None:
        begun.append(0)
        raise error

    with pytest.raises(type(error)):
        again(work)
    assert len(begun) == times
    assert len(absorbed_errors) == times - 1
