"""The decision log as it was read: which version is champion at a moment, by the decisions that count.

What belongs here: versions and decisions as values, and every question about them that needs no database.
Kept elsewhere: how the log is read and grows (`decisions.py`).

Of the gate's decisions about one due date only that about the newest revision counts. A person's decision stays in
force from its own time on, whatever is trained again.
"""

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boursomatic_assets.calendars.markets import first_open

GATE = "gate"
"""The `decided_by` of decisions about a challenger when it is trained."""


@dataclass(frozen=True)
class Version:
    """A row of `model_versions`."""

    id: str
    version: str
    as_of: dt.datetime
    model_path: str
    params_hash: str
    metrics: dict[str, Any]
    revision: int = 1
    history_digest: str | None = None

    @property
    def due(self) -> dt.date:
        """The due date."""
        return self.as_of.date()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the model's features, in order."""
        return tuple(self.metrics.get("features", ()))


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
    """All versions, by due date and revision, and all decisions, in the order in which they take effect."""

    versions: tuple[Version, ...]
    decisions: tuple[Decision, ...]

    @cached_property
    def decisions_that_count(self) -> tuple[Decision, ...]:
        """All but those of the gate about a revision, of which it has decided about a newer one since."""
        last = {decision.effective_at: decision for decision in self.decisions if decision.decided_by == GATE}
        return tuple(d for d in self.decisions if d.decided_by != GATE or d is last[d.effective_at])

    @property
    def active_version(self) -> Version | None:
        """The champion of the last decision that names one: the version with `is_active`."""
        return next((d.champion for d in reversed(self.decisions_that_count) if d.champion), None)

    def newest_revisions(self) -> list[Version]:
        """The versions of the gate's decisions that count, in order of their due dates."""
        return [d.version for d in self.decisions_that_count if d.decided_by == GATE]

    def decisions_until(self, moment: dt.datetime) -> tuple[Decision, ...]:
        """The decisions in effect until a moment, that moment included."""
        decisions = self.decisions_that_count
        return decisions[: bisect_right(decisions, moment, key=lambda decision: decision.effective_at)]

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
        decided = {known.version.id for known in self.decisions_until(at)}
        about_due = (GATE, first_open(date))
        verdict = next((d for d in self.decisions_that_count if (d.decided_by, d.effective_at) == about_due), None)
        return ChampionAsOf(
            date=date,
            champion=champion,
            challenger=verdict.version if verdict else None,
            abstention=None if champion else decision,
            newest=next((version for version in reversed(self.versions) if version.id in decided), None),
            decision=verdict,
        )
