"""The outbox: what was said to each channel, what is to be said now, and what is still to be sent.

What belongs here: the table `alerts`. Kept elsewhere: what is wrong now (`problems.py`), sending (`channels.py`).
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence, Sized
from dataclasses import replace

from sqlalchemy import Connection, Table, func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from boursomatic_assets.alerts.channels import AlertError, Send
from boursomatic_assets.alerts.message import Message
from boursomatic_assets.schema import Alert
from boursomatic_assets.tables.staging import advisory_lock, transaction

ALERTS: Table = Alert.__table__

HELD_BACK = dt.timedelta(hours=12)
"""How long an open problem is not said again when more sessions or runs have it; a warning that becomes an error
is said at once."""

FIRST_RETRY, LONGEST_RETRY = dt.timedelta(minutes=1), dt.timedelta(hours=1)
"""Until a message is sent again that could not be sent: twice as long each time."""

MAX_SENT_AT_ONCE = 20


def open_subjects() -> set[str]:
    """Return the subjects whose problem is open in some channel."""
    with transaction() as connection:
        return read_open_subjects(connection)


def read_open_subjects(connection: Connection) -> set[str]:
    """Read them through a connection that need not write."""
    newest = select(ALERTS.c.subject, ALERTS.c.kind).ext(distinct_on(ALERTS.c.channel, ALERTS.c.subject))
    query = newest.order_by(ALERTS.c.channel, ALERTS.c.subject, ALERTS.c.raised_at.desc())
    return {row.subject for row in connection.execute(query) if row.kind == "problem"}


def count_unsent(connection: Connection) -> dict[str, int]:
    """Return how many messages are still to be sent, by channel; a channel that ever had one is named."""
    unsent = func.count().filter(ALERTS.c.sent_at.is_(None)).label("unsent")
    query = select(ALERTS.c.channel, unsent).group_by(ALERTS.c.channel).order_by(ALERTS.c.channel)
    return {row.channel: row.unsent for row in connection.execute(query)}


def raise_messages(
    channels: Collection[str], messages: Sequence[Message], resolved: Mapping[str, Message], now: dt.datetime
) -> str:
    """Keep what is new for each channel, to be sent.

    Args:
        channels: The names of the channels.
        messages: The problems that are there now, and what has happened.
        resolved: The recovery of each subject that is no longer a problem.
        now: The time, naive UTC.

    Returns:
        How many messages are kept, and for how many channels.
    """
    with transaction() as connection:
        advisory_lock(connection, "alerts")
        rows = [
            {"id": func.gen_random_uuid(), "channel": channel, "raised_at": now}
            | {"subject": message.subject, "kind": message.kind, "content": message.as_json()}
            for channel in sorted(channels)
            for message in _news(_newest(connection, channel), messages, resolved, now)
        ]
        for row in rows:
            connection.execute(insert(ALERTS).values(row))
    return _count({row["subject"] for row in rows}, {row["channel"] for row in rows})


def _count(subjects: Sized, channels: Sized) -> str:
    """Such as `2 new messages through 3 channels`."""
    number, through = len(subjects), len(channels)
    messages = f"{number:,} new message{'' if number == 1 else 's'}"
    return f"{messages} through {through} channel{'' if through == 1 else 's'}" if number else messages


def _newest(connection: Connection, channel: str) -> dict[str, tuple[Message, dt.datetime]]:
    """The newest message of each subject, with when it was raised."""
    query = (
        select(ALERTS.c.content, ALERTS.c.raised_at)
        .where(ALERTS.c.channel == channel)
        .ext(distinct_on(ALERTS.c.subject))
        .order_by(ALERTS.c.subject, ALERTS.c.raised_at.desc())
    )
    stored = ((Message.from_json(row.content), row.raised_at) for row in connection.execute(query))
    return {message.subject: (message, raised_at) for message, raised_at in stored}


def _news(
    newest: Mapping[str, tuple[Message, dt.datetime]],
    messages: Sequence[Message],
    resolved: Mapping[str, Message],
    now: dt.datetime,
) -> Iterator[Message]:
    """What a channel has not been told."""
    for message in messages:
        before, raised_at = newest.get(message.subject, (None, now))
        if before is None or before.kind == "recovery" or _is_worse(before, message, now - raised_at):
            yield message
    for subject, recovery in resolved.items():
        if subject in newest and newest[subject][0].kind == "problem":
            yield _ending(newest[subject][0], recovery)


def _ending(problem: Message, recovery: Message) -> Message:
    """A recovery with what the problem that it ends was about, as it was said last."""
    about = {name: getattr(problem, name) for name in ("market", "sessions", "rule", "link")}
    return replace(recovery, kind="recovery", **about)


def _is_worse(before: Message, message: Message, age: dt.timedelta) -> bool:
    """Whether a problem is said again while it is open; an event never is."""
    more = bool({*message.sessions} - {*before.sessions}) or message.runs > before.runs
    return message.kind == "problem" and (message.level > before.level or (more and age >= HELD_BACK))


def send_pending(channels: Mapping[str, Send], now: dt.datetime) -> list[str]:
    """Send what is to be sent, the oldest first; a channel that fails is tried again later.

    A message whose process ends between its sending and its record is sent twice, and none is lost.

    Returns:
        Why channels failed.
    """
    problems = []
    for channel, send in channels.items():
        try:
            for row_id, message in _pending(channel, now):
                _send(row_id, message, send, now)
        except AlertError as error:
            problems.append(f"{channel}: {error}")
    return problems


def _pending(channel: str, now: dt.datetime) -> list[tuple[object, Message]]:
    """The oldest messages of a channel; none before the first of them may be tried again."""
    query = (
        select(ALERTS.c.id, ALERTS.c.content, ALERTS.c.retry_at)
        .where(ALERTS.c.channel == channel, ALERTS.c.sent_at.is_(None))
        .order_by(ALERTS.c.raised_at, ALERTS.c.subject)
        .limit(MAX_SENT_AT_ONCE)
    )
    with transaction() as connection:
        rows = connection.execute(query).all()
    if rows and rows[0].retry_at and rows[0].retry_at > now:
        return []
    return [(row.id, Message.from_json(row.content)) for row in rows]


def _send(row_id: object, message: Message, send: Send, now: dt.datetime) -> None:
    """Send a message, and record what came of it.

    Raises:
        AlertError: It could not be sent.
    """
    row = update(ALERTS).where(ALERTS.c.id == row_id)
    try:
        send(message)
    except AlertError as error:
        with transaction() as connection:
            failures = connection.scalar(select(ALERTS.c.failures).where(ALERTS.c.id == row_id)) or 0
            wait = min(FIRST_RETRY * 2 ** min(failures, 10), LONGEST_RETRY)
            connection.execute(row.values(failures=failures + 1, retry_at=now + wait, error=str(error)[:300]))
        raise
    with transaction() as connection:
        connection.execute(row.values(sent_at=now, error=None))
