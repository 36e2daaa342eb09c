"""Promotion: a person makes a version champion, or rolls back to the champion before.

What belongs here: the decisions of a person, each with a reason and a name.
Kept elsewhere: the gate's decisions (`training.py`), the log of both (`decisions.py`).
"""

from sqlalchemy import Connection

from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.learning.gate import compare_metrics
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import GATE, Decision, Version, version_names
from boursomatic_assets.registry.training import model_store


def promote(version_name: str, reason: str, decided_by: str) -> Decision:
    """Make a version champion from now on; the gate of the next due date decides again.

    Raises:
        ValueError: there is no such version, it is champion already, or no reason or name is given.
        ModelFileError: its file is missing or damaged.
    """
    with decisions.decision_transaction() as connection:
        log, now = decisions.read_log(connection), database_time(connection)
        version, champion = log.find_version(version_name), log.champion_at(now)
        if version == champion:
            raise ValueError(f"{version_name} is champion already: `boursomatic models live` shows since when")
        return _record_manual_decision(connection, "forced", version, champion, version, reason, decided_by)


def roll_back(reason: str, decided_by: str) -> Decision:
    """Make the champion before the present one champion again, from now on; a second rollback returns.

    Raises:
        ValueError: there is no earlier champion, or no reason or name is given.
        ModelFileError: its file is missing or damaged.
    """
    with decisions.decision_transaction() as connection:
        log, now = decisions.read_log(connection), database_time(connection)
        former, present = log.champion_before(now), log.decision_at(now)
        if former is None or present is None:
            raise ValueError("there is no earlier champion: `boursomatic models promote` makes a version champion")
        about = present.champion or present.version
        return _record_manual_decision(
            connection, "rolled back", about, present.champion, former, reason, decided_by
        )


def _record_manual_decision(
    connection: Connection,
    kind: str,
    about: Version,
    former: Version | None,
    champion: Version,
    reason: str,
    decided_by: str,
) -> Decision:
    """Add a person's decision: from now on `champion` is champion instead of `former`."""
    if not reason.strip():
        raise ValueError("a decision needs a reason: say --because")
    if not decided_by.strip() or decided_by == GATE:
        raise ValueError(f"a decision needs the name of a person, not {decided_by!r}: say --by")
    model_store().load(champion.model_path)
    numbers = version_names(champion, former) | compare_metrics(
        champion.metrics, former.metrics if former else None
    )
    return decisions.record_decision(connection, about, kind, champion, reason, numbers, decided_by)
