"""Asking services: their pace, pauses that they ask for, and when they are left alone."""

import datetime as dt
import email.utils
import time

import pytest
from worlds.loopback import quick_client

from boursomatic_assets.sources.network.services import (
    MAX_FAILURES_IN_A_ROW,
    MAX_WAIT_SECONDS,
    NoBarsError,
    PacedClient,
    RefusedError,
    TransientError,
    should_retry,
)
from boursomatic_assets.sources.network.stooq import RATE_LIMIT_SECONDS, _error_of_status


def failing(error: Exception) -> str:
    raise error


def test_questions_keep_their_distance() -> None:
    line, begin = PacedClient(seconds_between_requests=0.02), time.monotonic()
    assert [line.request(lambda: "yes") for _ in range(3)] == ["yes"] * 3
    assert time.monotonic() - begin >= 0.04


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (TransientError("oops"), True),
        (TransientError("slow down", 0.0), 0.0),
        (TransientError("slow down", 7.0), 7.0),
        (TransientError("come back tomorrow", MAX_WAIT_SECONDS + 1), False),
        (NoBarsError("never heard of it"), False),
        (RefusedError("go away"), False),
        (ValueError("our own mistake"), False),
    ],
)
def test_a_question_is_asked_again_after_trouble_and_the_pause_that_is_asked_for(
    error: Exception, pauses: bool | float
) -> None:
    assert should_retry(error) == pauses
    assert type(should_retry(error)) is type(pauses)


@pytest.mark.calendar
def test_an_http_status_says_whether_to_wait() -> None:
    def seconds(code: int, after: str | None = None) -> float | None:
        error = _error_of_status(code, after)
        assert isinstance(error, TransientError)
        return error.retry_after

    assert seconds(429) == RATE_LIMIT_SECONDS
    assert seconds(429, "7") == 7.0
    assert seconds(503, "soon") is None
    in_an_hour = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert 3500 < (seconds(503, email.utils.format_datetime(in_an_hour, usegmt=True)) or 0) <= 3600
    assert seconds(503, "Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert isinstance(_error_of_status(404, None), RefusedError)


@pytest.mark.usefixtures("absorbed_errors")
def test_a_service_that_fails_for_some_in_a_row_is_left_alone() -> None:
    line, asked = quick_client(), []

    def question() -> str:
        asked.append(1)
        return failing(TransientError("oops"))

    for _ in range(MAX_FAILURES_IN_A_ROW):
        with pytest.raises(TransientError, match="oops"):
            line.request(question)
    with pytest.raises(RefusedError, match="not asked any more after: oops"):
        line.request(question)
    assert len(asked) == MAX_FAILURES_IN_A_ROW * line.attempts


@pytest.mark.usefixtures("absorbed_errors")
@pytest.mark.parametrize("answers", [True, False], ids=["bars", "no bars"])
def test_an_answer_in_between_says_that_it_is_there(answers: bool) -> None:
    line = quick_client()
    for _ in range(MAX_FAILURES_IN_A_ROW):
        for _ in range(MAX_FAILURES_IN_A_ROW - 1):
            with pytest.raises(TransientError):
                line.request(lambda: failing(TransientError("oops")))
        if answers:
            line.request(lambda: "yes")
        else:
            with pytest.raises(NoBarsError):
                line.request(lambda: failing(NoBarsError("never heard of it")))
    assert not line.closed_reason
