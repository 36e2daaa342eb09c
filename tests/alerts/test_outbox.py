"""The outbox: a problem is said once, so is its recovery, and what could not be sent is sent later."""

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from boursomatic_assets.alerts import outbox
from boursomatic_assets.alerts.channels import AlertError
from boursomatic_assets.alerts.message import ERROR, WARNING, Kind, Message

NOON = dt.datetime(2024, 6, 13, 12)


def problem(*sessions: str, level: int = WARNING, kind: Kind = "problem") -> Message:
    return Message("check|bars", kind, "bars warns", sessions=sessions, level=level)


def minutes(count: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=count)


class Channel:
    """A channel that fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.attempts, self.sent = failures, 0, list[Message]()

    def __call__(self, message: Message) -> None:
        """Send, or fail."""
        self.attempts += 1
        if self.failures:
            self.failures -= 1
            raise AlertError("the webhook answers 500")
        self.sent.append(message)


def said(channel: Channel) -> list[str]:
    return [message.headline for message in channel.sent]


def tell(channel: Channel, at: dt.datetime, *messages: Message, resolved: bool = False) -> None:
    gone = {"check|bars": problem(kind="recovery")} if resolved else {}
    outbox.raise_messages(["webhook"], messages, gone, at)
    outbox.send_pending({"webhook": channel}, at)


def test_an_open_problem_is_said_once(migrated: Engine) -> None:
    channel = Channel()
    for minute in range(3):
        tell(channel, minutes(minute), problem("2024-06-12"))
    assert said(channel) == ["PROBLEM: bars warns"]
    assert outbox.open_subjects() == {"check|bars"}


def test_a_recovery_is_said_once_and_the_problem_anew_when_it_comes_back(migrated: Engine) -> None:
    channel = Channel()
    tell(channel, minutes(0), problem("2024-06-12"))
    tell(channel, minutes(1), resolved=True)
    tell(channel, minutes(2), resolved=True)
    assert said(channel) == ["PROBLEM: bars warns", "RECOVERED: bars warns"]
    assert outbox.open_subjects() == set()
    tell(channel, minutes(3), problem("2024-06-13"))
    assert said(channel)[2:] == ["PROBLEM: bars warns"]


def test_what_was_never_a_problem_does_not_recover(migrated: Engine) -> None:
    channel = Channel()
    tell(channel, minutes(0), resolved=True)
    assert said(channel) == []


def test_a_problem_that_gets_worse_is_said_at_once(migrated: Engine) -> None:
    channel = Channel()
    tell(channel, minutes(0), problem("2024-06-12"))
    tell(channel, minutes(1), problem("2024-06-12", level=ERROR))
    tell(channel, minutes(2), problem("2024-06-12"))
    assert len(channel.sent) == 2


def test_more_sessions_of_an_open_problem_are_held_back_for_half_a_day(migrated: Engine) -> None:
    channel = Channel()
    tell(channel, minutes(0), problem("2024-06-12"))
    tell(channel, minutes(719), problem("2024-06-12", "2024-06-13"))
    assert len(channel.sent) == 1
    tell(channel, minutes(720), problem("2024-06-12", "2024-06-13"))
    tell(channel, minutes(1500), problem("2024-06-13"))
    assert [message.sessions for message in channel.sent] == [("2024-06-12",), ("2024-06-12", "2024-06-13")]


def test_an_event_is_said_once_and_stays_no_problem(migrated: Engine) -> None:
    channel = Channel()
    for minute in range(2):
        tell(channel, minutes(minute), problem(kind="event"))
    assert said(channel) == ["NOTE: bars warns"]
    assert outbox.open_subjects() == set()


def test_what_could_not_be_sent_is_sent_later_in_its_order(migrated: Engine) -> None:
    channel = Channel(failures=2)
    tell(channel, minutes(0), problem("2024-06-12"))
    tell(channel, minutes(0.5), resolved=True)
    assert channel.attempts == 1, "the next attempt is a minute later, and nothing overtakes"
    tell(channel, minutes(1))
    assert channel.attempts == 2
    tell(channel, minutes(2.5))
    assert channel.attempts == 2, "then two minutes later"
    tell(channel, minutes(3))
    assert said(channel) == ["PROBLEM: bars warns", "RECOVERED: bars warns"]


def test_a_failure_is_kept_with_its_reason(migrated: Engine) -> None:
    outbox.raise_messages(["webhook"], [problem()], {}, NOON)
    assert outbox.send_pending({"webhook": Channel(failures=1)}, NOON) == ["webhook: the webhook answers 500"]
    with migrated.connect() as connection:
        row = connection.exec_driver_sql("SELECT failures, error, sent_at, retry_at FROM alerts").one()
    assert tuple(row) == (1, "the webhook answers 500", None, minutes(1))


def test_a_channel_that_fails_does_not_stop_the_others(migrated: Engine) -> None:
    mail, webhook = Channel(), Channel(failures=1)
    outbox.raise_messages(["mail", "webhook"], [problem()], {}, NOON)
    outbox.send_pending({"webhook": webhook, "mail": mail}, NOON)
    assert (said(webhook), said(mail)) == ([], ["PROBLEM: bars warns"])


def test_a_channel_that_is_set_later_is_told_of_what_is_open(migrated: Engine) -> None:
    tell(Channel(), NOON, problem())
    assert outbox.raise_messages(["mail", "webhook"], [problem()], {}, minutes(5)) == (
        "1 new message through 1 channel"
    )
    other = replace(problem(), subject="check|features")
    assert outbox.raise_messages(["mail", "webhook"], [problem(), other], {}, minutes(6)) == (
        "1 new message through 2 channels"
    )
    assert outbox.raise_messages(["mail"], [problem(), other], {}, minutes(7)) == "0 new messages"


@pytest.mark.parametrize("failures", [0, 1, 5, 6, 30])
def test_the_wait_doubles_up_to_an_hour(migrated: Engine, failures: int) -> None:
    outbox.raise_messages(["webhook"], [problem()], {}, NOON)
    with migrated.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alerts SET failures = {failures}")
    outbox.send_pending({"webhook": Channel(failures=1)}, NOON)
    with migrated.connect() as connection:
        retry_at = connection.exec_driver_sql("SELECT retry_at FROM alerts").scalar_one()
    assert retry_at == minutes(min(2**failures, 60))
