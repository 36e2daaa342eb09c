"""The decision log: which model version is champion at a moment, since when, who decided it and why.

What belongs here: `model_versions` and `model_decisions` read as one log, and the decision that is added to it.
Kept elsewhere: how the gate judges (`learning/gate.py`), the gate's decisions (`training.py`), those of a person
(`promotion.py`).

A decision is effective from its `effective_at`: the first open of the due date for the gate, the moment itself for
a person. The champion at a moment is the version that the last decision until then names; it may name none.
Decisions are only added, so a due date that is trained late changes nothing that was decided for later dates.
"""

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, func, insert, select, update

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import first_open
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.schema import ModelDecision, ModelVersion
from boursomatic_assets.tables.chains import heads
from boursomatic_assets.tables.staging import advisory_lock, transaction

VERSIONS: Table = ModelVersion.__table__
DECISIONS: Table = ModelDecision.__table__

GATE = "gate"
"""The `decided_by` of decisions about a challenger when it is trained."""

ACTIVE_VERSION_ID = (
    select(DECISIONS.c.speaker_id)
    .where(DECISIONS.c.speaker_id.is_not(None))
    .order_by(DECISIONS.c.effective_at.desc(), DECISIONS.c.decided_at.desc())
    .limit(1)
    .scalar_subquery()
)
"""The id of the active version: the champion of the latest decision in time that names one."""


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
    """A row of `model_decisions`, with the version that it is about and the champion from then on."""

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
    """The champion on a date, at its close, and the version that is due on it.

    Attributes:
        date: The date.
        champion: The champion; None if there is none.
        challenger: The version that is due on this date.
        abstention: The decision that leaves no champion; None with a champion, and before the first version.
        newest: The newest version about which a decision was made, whatever it was. A version that another
            program added is none of these: it is listed, and a check names it.
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
    def active_version(self) -> Version | None:
        """The champion of the last decision that names one: the version with `is_active`."""
        return next((decision.champion for decision in reversed(self.decisions) if decision.champion), None)

    def decisions_until(self, moment: dt.datetime) -> tuple[Decision, ...]:
        """The decisions in effect until a moment, that moment included."""
        return self.decisions[: bisect_right(self.decisions, moment, key=lambda decision: decision.effective_at)]

    def decision_at(self, moment: dt.datetime) -> Decision | None:
        """The decision in effect at a moment; None before the first."""
        return next(reversed(self.decisions_until(moment)), None)

    def champion_at(self, moment: dt.datetime) -> Version | None:
        """The champion at a moment; None if there is none."""
        decision = self.decision_at(moment)
        return decision.champion if decision else None

    def champion_before(self, moment: dt.datetime) -> Version | None:
        """The last champion before the one at a moment, or before there was none."""
        present = self.champion_at(moment)
        champions = (decision.champion for decision in reversed(self.decisions_until(moment)))
        return next((champion for champion in champions if champion not in (None, present)), None)

    def decisions_about(self, version: Version) -> tuple[Decision, ...]:
        """The decisions about a version."""
        return tuple(decision for decision in self.decisions if decision.version == version)

    def find_version(self, name: str) -> Version:
        """The version of this name.

        Raises:
            ValueError: there is none.
        """
        for version in self.versions:
            if version.version == name:
                return version
        raise ValueError(f"there is no version {name!r}: `boursomatic models list` names them")

    def champion_as_of(self, date: dt.date, at: dt.datetime) -> ChampionAsOf:
        """The champion on a date, as of a time of it."""
        decision = self.decision_at(at)
        champion = decision.champion if decision else None
        due, decided = first_open(date), {known.version.id for known in self.decisions_until(at)}
        challenger = next((version for version in self.versions if version.as_of == due), None)
        return ChampionAsOf(
            date=date,
            champion=champion,
            challenger=challenger,
            abstention=None if champion else decision,
            newest=next((version for version in reversed(self.versions) if version.id in decided), None),
            decision=next(iter(self.decisions_about(challenger)), None) if challenger else None,
        )


def read_log(connection: Connection) -> DecisionLog:
    """Return all versions and decisions."""
    v, d = VERSIONS.c, DECISIONS.c
    version_rows = select(
        cast(v.id, Text), v.version, v.as_of, v.model_path, v.params_hash, v.metrics_json
    ).order_by(v.as_of)
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
    for state, condition in ((False, v.id != ACTIVE_VERSION_ID), (True, v.id == ACTIVE_VERSION_ID)):
        connection.execute(update(VERSIONS).where(v.is_active != state, condition).values(is_active=state))
