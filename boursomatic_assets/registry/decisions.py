"""Decisions about model versions: who speaks at a moment, since when, who decided it and why.

What belongs here: reading `model_versions` and `model_decisions` as one book, and writing a decision into it.
Kept elsewhere: what the gate finds (`learning/gate.py`), what is trained and what a person may do (`registry.py`).

A decision holds from its `effective_at`: the first open of the due date for the gate, the moment itself for a
person. Whoever the last one until a moment names speaks then; it may name nobody. Decisions are only added, so a
due date that is trained late changes nothing that was decided for later dates.
"""

import datetime as dt
import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.staging import advisory_lock, transaction

GATE = "gate"
"""Who decides about a challenger when it is trained."""

ACTIVE = (
    "(SELECT speaker_id FROM model_decisions WHERE speaker_id IS NOT NULL"
    " ORDER BY effective_at DESC, decided_at DESC LIMIT 1)"
)
"""The one version that is active: that of the latest decision in time that names one."""


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
    versions = [
        Version(*row)
        for row in connection.execute(
            text(
                "SELECT id::text, version, as_of, model_path, params_hash, metrics_json"
                " FROM model_versions ORDER BY as_of"
            )
        )
    ]
    by_id = {version.id: version for version in versions}
    rows = connection.execute(
        text(
            "SELECT version_id::text, effective_at, kind, speaker_id::text, reason, numbers, decided_by,"
            " decided_at FROM model_decisions ORDER BY effective_at, decided_at"
        )
    )
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
    times = connection.execute(
        text(
            "INSERT INTO model_decisions"
            " (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by, decided_at)"
            " SELECT gen_random_uuid(), :version, coalesce(CAST(:effective_at AS timestamp), time), :kind,"
            " :speaker, :reason, CAST(:numbers AS json), :by, time"
            " FROM (SELECT clock_timestamp()::timestamp AS time OFFSET 0) AS clock"
            " RETURNING effective_at, decided_at"
        ),
        {
            "version": version.id,
            "effective_at": effective_at,
            "kind": kind,
            "speaker": champion and champion.id,
            "reason": reason,
            "numbers": json.dumps(numbers, allow_nan=False),
            "by": by,
        },
    ).one()
    _activate(connection)
    return Decision(version, times.effective_at, kind, champion, reason, numbers, by, times.decided_at)


def _activate(connection: Connection) -> None:
    """Make the version of the latest decision that names one the active one: first none, then that one."""
    for state, relation in (("false", "<>"), ("true", "=")):
        connection.execute(
            text(
                f"UPDATE model_versions SET is_active = {state}"
                f" WHERE is_active <> {state} AND id {relation} {ACTIVE}"
            )
        )
