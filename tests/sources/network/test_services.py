"""Asking services: their pace, pauses that they ask for, and when they are left alone."""

import datetime as dt
import email.utils
import time

import pytest
from worlds.loopback import quick

from boursomatic_assets.sources.network.services import (
    MOST_FAILURES,
    MOST_SECONDS,
    Line,
    NoBarsError,
    RefusedError,
    TransientError,
    pause,
)
from boursomatic_assets.sources.network.stooq import REFUSED_SECONDS, _explained


def failing(error: Exception) -> str:
    raise error


def test_questions_keep_their_distance() -> None:
    line, begin = Line(every=0.02), time.monotonic()
    assert [line.ask(lambda: "yes") for _ in range(3)] == ["yes"] * 3
    assert time.monotonic() - begin >= 0.04


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (TransientError("oops"), True),
        (TransientError("slow down", 0.0), 0.0),
        (TransientError("slow down", 7.0), 7.0),
        (TransientError("come back tomorrow", MOST_SECONDS + 1), False),
        (NoBarsError("never heard of it"), False),
        (RefusedError("go away"), False),
        (ValueError("our own mistake"), False),
    ],
)
def test_a_question_is_asked_again_after_trouble_and_the_pause_that_is_asked_for(
    error: Exception, pauses: bool | float
) -> None:
    assert pause(error) == pauses
    assert type(pause(error)) is type(pauses)


@pytest.mark.calendar
def test_an_http_status_says_whether_to_wait() -> None:
    def seconds(code: int, after: str | None = None) -> float | None:
        error = _explained(code, after)
        assert isinstance(error, TransientError)
        return error.seconds

    assert seconds(429) == REFUSED_SECONDS
    assert seconds(429, "7") == 7.0
    assert seconds(503, "soon") is None
    in_an_hour = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert 3500 < (seconds(503, email.utils.format_datetime(in_an_hour, usegmt=True)) or 0) <= 3600
    assert seconds(503, "Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert isinstance(_explained(404, None), RefusedError)


@pytest.mark.usefixtures("absorbed_errors")
def test_a_service_that_fails_for_some_in_a_row_is_left_alone() -> None:
    line, asked = quick(), []

    def question() -> str:
        asked.append(1)
        return failing(TransientError("oops"))

    for _ in range(MOST_FAILURES):
        with pytest.raises(TransientError, match="oops"):
            line.ask(question)
    with pytest.raises(RefusedError, match="not asked any more after: oops"):
        line.ask(question)
    assert len(asked) == MOST_FAILURES * line.attempts


@pytest.mark.usefixtures("absorbed_errors")
@pytest.mark.parametrize("answers", [True, False], ids=["bars", "no bars"])
def test_an_answer_in_between_says_that_it_is_there(answers: bool) -> None:
    line = quick()
    for _ in range(MOST_FAILURES):
        for _ in range(MOST_FAILURES - 1):
            with pytest.raises(TransientError):
                line.ask(lambda: failing(TransientError("oops")))
        if answers:
            line.ask(lambda: "yes")
        else:
            with pytest.raises(NoBarsError):
                line.ask(lambda: failing(NoBarsError("never heard of it")))
    assert not line.closed
