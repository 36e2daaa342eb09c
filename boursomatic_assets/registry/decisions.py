"""The decision log in the database: which model version is champion, since when, who decided it and why.

What belongs here: `model_versions` and `model_decisions` read as one log, and the decision that is added to it.
Kept elsewhere: what the log says (`log.py`), how the gate judges (`learning/gate.py`), the gate's decisions
(`training.py`), those of a person (`promotion.py`).

A decision is effective from its `effective_at`: the first open of the due date for the gate, the moment itself for
a person. The champion at a moment is the version that the last decision until then names; it may name none.
Decisions are only added, so a due date that is trained late changes nothing that was decided for later dates. Of
the gate's decisions about one due date only that about the newest revision counts.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, exists, func, insert, select, update

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.registry.log import GATE, ChampionAsOf, Decision, DecisionLog, Version
from boursomatic_assets.schema import ModelDecision, ModelVersion
from boursomatic_assets.tables.chains import heads
from boursomatic_assets.tables.staging import advisory_lock, transaction

__all__ = [
    "ACTIVE_VERSION_ID",
    "GATE",
    "VERSIONS",
    "ChampionAsOf",
    "Decision",
    "DecisionLog",
    "Version",
    "champion_timeline",
    "decision_transaction",
    "read_log",
    "record_decision",
    "version_names",
]

VERSIONS: Table = ModelVersion.__table__
DECISIONS: Table = ModelDecision.__table__

_LATER = DECISIONS.alias().c
REPLACED = exists().where(
    DECISIONS.c.decided_by == GATE,
    _LATER.decided_by == GATE,
    _LATER.effective_at == DECISIONS.c.effective_at,
    _LATER.decided_at > DECISIONS.c.decided_at,
)
"""Whether the gate has decided again about the same due date, for a newer revision."""

ACTIVE_VERSION_ID = (
    select(DECISIONS.c.speaker_id)
    .where(DECISIONS.c.speaker_id.is_not(None), ~REPLACED)
    .order_by(DECISIONS.c.effective_at.desc(), DECISIONS.c.decided_at.desc())
    .limit(1)
    .scalar_subquery()
)
"""The id of the active version: the champion of the latest decision in time that names one."""


def read_log(connection: Connection) -> DecisionLog:
    """Return all versions and decisions."""
    v, d = VERSIONS.c, DECISIONS.c
    version_rows = select(
        cast(v.id, Text), v.version, v.as_of, v.model_path, v.params_hash, v.metrics_json, v.revision,
        v.history_digest,
    ).order_by(v.as_of, v.revision)  # fmt: skip
    decision_rows = select(
        cast(d.version_id, Text), d.effective_at, d.kind, cast(d.speaker_id, Text), d.reason, d.numbers,
        d.decided_by, d.decided_at,
    ).order_by(d.effective_at, d.decided_at)  # fmt: skip
    versions = [Version(*row) for row in connection.execute(version_rows)]
    by_id = {version.id: version for version in versions}
    decisions = [
        Decision(by_id[about], effective_at, kind, by_id.get(champion), *rest)
        for about, effective_at, kind, champion, *rest in connection.execute(decision_rows)
    ]
    return DecisionLog(tuple(versions), tuple(decisions))


def champion_timeline(part: Slice) -> list[ChampionAsOf]:
    """Return the champion on each date of a slice: at the close, or at midnight if the market does not trade."""
    with database.engine().connect() as connection:
        log = read_log(connection)
    return [
        log.champion_as_of(
            date,
            part.market.close_time(date) if part.market.is_session(date) else dt.datetime.combine(date, dt.time()),
        )
        for date in part.dates
    ]


def version_names(challenger: Version, champion: Version | None) -> dict[str, dict[str, str | None]]:
    """Return the names of both versions that a decision compares, as they are in its `numbers`."""
    return {"versions": {"challenger": challenger.version, "champion": champion.version if champion else None}}


@contextmanager
def decision_transaction() -> Iterator[Connection]:
    """Open a transaction in which no other decision is made; others wait for its end."""
    with transaction() as connection:
        advisory_lock(connection, "model_decisions")
        yield connection
    heads.keep()


def record_decision(
    connection: Connection,
    version: Version,
    kind: str,
    champion: Version | None,
    reason: str,
    numbers: dict[str, Any],
    decided_by: str,
    effective_at: dt.datetime | None = None,
) -> Decision:
    """Add a decision, in a `decision_transaction`, and make its champion the active version.

    Without `effective_at` it is effective from now on, by the database's clock.
    """
    now = database_time(connection)
    decision = Decision(version, effective_at or now, kind, champion, reason, numbers, decided_by, now)
    connection.execute(
        insert(DECISIONS).values(
            id=func.gen_random_uuid(),
            version_id=version.id,
            effective_at=decision.effective_at,
            kind=kind,
            speaker_id=champion and champion.id,
            reason=reason,
            numbers=numbers,
            decided_by=decided_by,
            decided_at=now,
        )
    )
    _activate(connection)
    return decision


def _activate(connection: Connection) -> None:
    """Set `is_active` of the version that ACTIVE_VERSION_ID selects, after it is cleared on all others."""
    v = VERSIONS.c
    for state, condition in ((False, v.id.is_distinct_from(ACTIVE_VERSION_ID)), (True, v.id == ACTIVE_VERSION_ID)):
        connection.execute(update(VERSIONS).where(v.is_active != state, condition).values(is_active=state))
