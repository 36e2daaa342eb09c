"""A person's decisions about the champion: to promote a version, or to roll back to the one before.

What belongs here: what a person may decide, and what is asked of it: a reason and a name.
Kept elsewhere: the gate's decisions (`training.py`), the log of both (`decisions.py`).
"""

from sqlalchemy import Connection

from boursomatic_assets.learning.gate import compare
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import GATE, Decision, Version
from boursomatic_assets.registry.decisions import ChampionAsOf as ChampionAsOf
from boursomatic_assets.registry.decisions import timeline as timeline
from boursomatic_assets.registry.training import _version_names, model_store
from boursomatic_assets.tables.staleness import database_time


def promote(name: str, because: str, by: str) -> Decision:
    """Let a version speak from now on, because a person says so; the next due date's gate decides again.

    Raises:
        ValueError: there is no such version, it speaks already, or no reason or name is given.
        ModelFileError: its file is missing or damaged.
    """
    with decisions.decision_transaction() as connection:
        book, now = decisions.read(connection), database_time(connection)
        version, speaker = book.version_named(name), book.champion_at(now)
        if version == speaker:
            raise ValueError(f"{name} speaks already: `boursomatic models live` says since when")
        return _record_manual_decision(connection, "forced", version, speaker, version, because, by)


def roll_back(because: str, by: str) -> Decision:
    """Let the version speak again, from now on, that spoke before the present one; twice is there and back.

    Raises:
        ValueError: no other version spoke before, or no reason or name is given.
        ModelFileError: its file is missing or damaged.
    """
    with decisions.decision_transaction() as connection:
        book, now = decisions.read(connection), database_time(connection)
        former, present = book.champion_before(now), book.decision_at(now)
        if former is None or present is None:
            raise ValueError("no other version spoke before: `boursomatic models promote` lets one speak")
        about = present.champion or present.version
        return _record_manual_decision(connection, "rolled back", about, present.champion, former, because, by)


def _record_manual_decision(
    connection: Connection,
    kind: str,
    about: Version,
    left: Version | None,
    speaker: Version,
    because: str,
    by: str,
) -> Decision:
    """Add a person's decision: from now on `speaker` speaks instead of `left`."""
    if not because.strip():
        raise ValueError("a decision needs a reason: say --because")
    if not by.strip() or by == GATE:
        raise ValueError(f"a decision needs the name of a person, not {by!r}: say --by")
    model_store().load(speaker.model_path)
    numbers = _version_names(speaker, left) | compare(speaker.metrics, left.metrics if left else None)
    return decisions.record(connection, about, kind, speaker, because, numbers, by)
