"""Decisions about model versions: who speaks at a moment, since when, who decided it and why.

What belongs here: reading `model_versions` and `model_decisions` as one book, and writing a decision into it.
Kept elsewhere: what the gate finds (`learning/gate.py`), what is trained and what a person may do (`registry.py`).

A decision holds from its `effective_at`: the first open of the due date for the gate, the moment itself for a
person. Whoever the last one until a moment names speaks then; it may name nobody. Decisions are only added, so a
due date that is trained late changes nothing that was decided for later dates.
"""

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, func, insert, select, update

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.schema import ModelDecision, ModelVersion
from boursomatic_assets.tables.staging import advisory_lock, transaction
from boursomatic_assets.tables.staleness import database_time

VERSIONS: Table = ModelVersion.__table__
DECISIONS: Table = ModelDecision.__table__

GATE = "gate"
"""Who decides about a challenger when it is trained."""

ACTIVE = (
    select(DECISIONS.c.speaker_id)
    .where(DECISIONS.c.speaker_id.is_not(None))
    .order_by(DECISIONS.c.effective_at.desc(), DECISIONS.c.decided_at.desc())
    .limit(1)
    .scalar_subquery()
)
"""The id of the one version that is active: that of the latest decision in time that names one."""


@dataclass(frozen=True)
class Version:
    """A row of `model_versions`."""

    id: str
    version: str
    as_of: dt.datetime
    model_path: str
    params_hash: str
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """A row of `model_decisions`, with the version that it is about and the one that speaks from then on."""

    version: Version
    effective_at: dt.datetime
    kind: str
    champion: Version | None
    reason: str
    numbers: dict[str, Any]
    decided_by: str
    decided_at: dt.datetime


@dataclass(frozen=True)
class ChampionAsOf:
    """A date at its close: who speaks, and what is due on it.

    Attributes:
        date: The date.
        speaker: The version that speaks; None if nobody does.
        challenger: The version that is due on this date.
        silence: The decision by which none speaks; None while one speaks, and before the first version.
        newest: The newest version, whatever was decided about it.
        decision: The gate's decision about the challenger.
    """

    date: dt.date
    champion: Version | None
    challenger: Version | None
    abstention: Decision | None
    newest: Version | None
    decision: Decision | None = None


@dataclass(frozen=True)
class DecisionLog:
    """All versions, in order of their due dates, and all decisions, in the order in which they take effect."""

    versions: tuple[Version, ...]
    decisions: tuple[Decision, ...]

    @property
    def active(self) -> Version | None:
        """The version that speaks at the end, or the last that did if nobody does: the one with `is_active`."""
        return next((decision.champion for decision in reversed(self.decisions) if decision.champion), None)

    def decisions_until(self, moment: dt.datetime) -> tuple[Decision, ...]:
        """The decisions in effect until a moment, that moment included."""
        return self.decisions[: bisect_right(self.decisions, moment, key=lambda one: one.effective_at)]

    def decision_at(self, moment: dt.datetime) -> Decision | None:
        """The decision that says who speaks at a moment; None before the first."""
        return next(reversed(self.decisions_until(moment)), None)

    def champion_at(self, moment: dt.datetime) -> Version | None:
        """The version that speaks at a moment."""
        decision = self.decision_at(moment)
        return decision.champion if decision else None

    def champion_before(self, moment: dt.datetime) -> Version | None:
        """The last version that spoke before the one that speaks at a moment, or before nobody did."""
        present = self.champion_at(moment)
        return next(
            (d.champion for d in reversed(self.decisions_until(moment)) if d.champion not in (None, present)), None
        )

    def decisions_about(self, version: Version) -> tuple[Decision, ...]:
        """The decisions about a version."""
        return tuple(decision for decision in self.decisions if decision.version == version)

    def version_named(self, name: str) -> Version:
        """The version of this name.

        Raises:
            ValueError: there is none.
        """
        for version in self.versions:
            if version.version == name:
                return version
        raise ValueError(f"there is no version {name!r}: `boursomatic models list` names them")

    def as_of(self, date: dt.date, at: dt.datetime) -> ChampionAsOf:
        """A date, seen at a time of it."""
        decision = self.decision_at(at)
        speaker = decision.champion if decision else None
        due = next((version for version in self.versions if version.as_of.date() == date), None)
        return ChampionAsOf(
            date,
            speaker,
            due,
            decision if not speaker else None,
            next((version for version in reversed(self.versions) if version.as_of <= at), None),
            next(iter(self.decisions_about(due)), None) if due else None,
        )


def read(connection: Connection) -> DecisionLog:
    """All versions and decisions."""
    v, d = VERSIONS.c, DECISIONS.c
    listed = select(cast(v.id, Text), v.version, v.as_of, v.model_path, v.params_hash, v.metrics_json).order_by(
        v.as_of
    )
    decided = select(
        cast(d.version_id, Text), d.effective_at, d.kind, cast(d.speaker_id, Text), d.reason, d.numbers,
        d.decided_by, d.decided_at,
    ).order_by(d.effective_at, d.decided_at)  # fmt: skip
    versions = [Version(*row) for row in connection.execute(listed)]
    by_id = {version.id: version for version in versions}
    rows = connection.execute(decided)
    decisions = [Decision(by_id[about], at, kind, by_id.get(who), *rest) for about, at, kind, who, *rest in rows]
    return DecisionLog(tuple(versions), tuple(decisions))


def timeline(part: Slice) -> list[ChampionAsOf]:
    """Who spoke on each date of a slice, in order: at the close, or at midnight if the market does not trade."""
    with database.engine().connect() as connection:
        book = read(connection)
    return [
        book.as_of(
            date,
            part.market.closes(date) if part.market.is_session(date) else dt.datetime.combine(date, dt.time()),
        )
        for date in part.dates
    ]


@contextmanager
def decision_transaction() -> Iterator[Connection]:
    """A transaction in which nobody else decides; others wait for its end."""
    with transaction() as connection:
        advisory_lock(connection, "model_decisions")
        yield connection


def record(
    connection: Connection,
    version: Version,
    kind: str,
    champion: Version | None,
    reason: str,
    numbers: dict[str, Any],
    by: str,
    effective_at: dt.datetime | None = None,
) -> Decision:
    """Add a decision, in a transaction of `deciding`, and make the version active that it leads to.

    Without `effective_at` it holds from now on, by the database's clock.
    """
    now = database_time(connection)
    decided = Decision(version, effective_at or now, kind, champion, reason, numbers, by, now)
    connection.execute(
        insert(DECISIONS).values(
            id=func.gen_random_uuid(),
            version_id=version.id,
            effective_at=decided.effective_at,
            kind=kind,
            speaker_id=champion and champion.id,
            reason=reason,
            numbers=numbers,
            decided_by=by,
            decided_at=now,
        )
    )
    _activate(connection)
    return decided


def _activate(connection: Connection) -> None:
    """Make the version of the latest decision that names one the active one: first none, then that one."""
    v = VERSIONS.c
    for state, whose in ((False, v.id != ACTIVE), (True, v.id == ACTIVE)):
        connection.execute(update(VERSIONS).where(v.is_active != state, whose).values(is_active=state))
