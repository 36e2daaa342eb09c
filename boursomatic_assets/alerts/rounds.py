"""A round: look what is wrong, keep what is new, send what is to be sent.

What belongs here: the order, and what the cursor keeps from one round to the next.
Kept elsewhere: how often there is one (`automation/alerts.py`).
"""

import datetime as dt
import json
from dataclasses import asdict, dataclass, field

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.alerts import outbox, problems, runs
from boursomatic_assets.alerts.channels import Send
from boursomatic_assets.alerts.message import Message
from boursomatic_assets.orchestration.dagster_patches.check_history.failed_checks import newest_result

CHECKS_AT_LEAST_EVERY = dt.timedelta(hours=1)
"""While no check has a new result, they are looked at so often, for what was held back."""


@dataclass
class Cursor:
    """What a round leaves to the next.

    Attributes:
        champion: The name of the champion, empty if there is none; None before the first round.
        result: The number of the newest result of a check that was looked at.
        checked_at: When the checks were looked at, in ISO 8601.
        channels: The channels that were told.
    """

    champion: str | None = None
    result: int = -1
    checked_at: str = "2000-01-01T00:00:00"
    channels: list[str] = field(default_factory=list)


def go_round(
    instance: dg.DagsterInstance, channels: dict[str, Send], stored: str | None, now: dt.datetime
) -> tuple[str, list[str], str]:
    """Go one round.

    Returns:
        The cursor of the next one, why channels failed, and what was done, in a few words.
    """
    cursor = Cursor(**json.loads(stored or "{}"))
    open_subjects = outbox.open_subjects()
    with database.engine().connect() as connection:
        messages = problems.freshness_problems(connection, now)
        champion, events = problems.champion_event(connection, cursor.champion, now)
    resolved = _gone(open_subjects, problems.FRESHNESS, messages)
    messages += events
    failures, made_good = runs.run_problems(instance, now)
    messages += failures
    resolved |= {subject: runs.recovery_of(subject) for subject in made_good & open_subjects}
    result = newest_result(instance)
    if _is_due(cursor, result, sorted(channels), now):
        failing = problems.check_problems(instance)
        messages += failing
        resolved |= _gone(open_subjects, problems.CHECK, failing)
        cursor.result, cursor.checked_at = result, now.isoformat()
    kept = outbox.raise_messages(channels, messages, resolved, now)
    cursor.champion, cursor.channels = champion, sorted(channels)
    failed = outbox.send_pending(channels, now)
    return json.dumps(asdict(cursor)), failed, f"{kept}; {'; '.join(failed) or 'all are sent'}"


def _is_due(cursor: Cursor, result: int, channels: list[str], now: dt.datetime) -> bool:
    """Whether the checks are to be looked at."""
    age = now - dt.datetime.fromisoformat(cursor.checked_at)
    return result != cursor.result or channels != cursor.channels or age >= CHECKS_AT_LEAST_EVERY


def _gone(open_subjects: set[str], prefix: str, messages: list[Message]) -> dict[str, Message]:
    """The recovery of each open subject of a kind that is no longer a problem."""
    present = {message.subject for message in messages}
    return {
        subject: problems.recovery_of(subject) for subject in open_subjects - present if subject.startswith(prefix)
    }
