"""Preferences of an account: its risk profile, and its consent to the risk disclosure.

What belongs here: reading and changing them, in a transaction of `acting_as` (an account its own) or of
`administration`. Kept elsewhere: the times, which the database keeps (a trigger in the migrations), what an
account sees in consequence (the view `user_recommendations`).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects.postgresql import insert

from boursomatic_assets.schema import UserSettings
from boursomatic_assets.vocabulary import PROFILES

_SETTINGS: Table = UserSettings.__table__


@dataclass(frozen=True)
class Preferences:
    """What an account prefers.

    Attributes:
        profile: The risk profile whose recommendations it sees; None: none.
        consent: Whether it accepts the risk disclosure; without that it sees no recommendation.
        consent_at: When it accepted, in UTC; None without consent.
    """

    profile: str | None
    consent: bool
    consent_at: dt.datetime | None


NOTHING_CHOSEN = Preferences("moderate", False, None)
"""The preferences of an account that has no row of settings: the defaults of the table."""


def read(connection: Connection, account_id: UUID) -> Preferences:
    """Return the preferences of an account."""
    s = _SETTINGS.c
    columns = (s.preferred_profile, s.risk_consent_accepted, s.risk_consent_accepted_at)
    row = connection.execute(select(*columns).where(s.user_id == account_id)).one_or_none()
    return Preferences(*row) if row else NOTHING_CHOSEN


def choose_profile(connection: Connection, account_id: UUID, profile: str) -> Preferences:
    """Set the profile whose recommendations an account sees.

    Raises:
        ValueError: there is no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}: choose one of {', '.join(PROFILES)}")
    return _set(connection, account_id, preferred_profile=profile)


def accept_risks(connection: Connection, account_id: UUID) -> Preferences:
    """Record that an account accepts the risk disclosure; one that did so before keeps its time."""
    return _set(connection, account_id, risk_consent_accepted=True)


def withdraw_consent(connection: Connection, account_id: UUID) -> Preferences:
    """Record that an account no longer accepts the risk disclosure."""
    return _set(connection, account_id, risk_consent_accepted=False)


def _set(connection: Connection, account_id: UUID, **values: Any) -> Preferences:
    added = insert(_SETTINGS).values(id=func.gen_random_uuid(), user_id=account_id, **values)
    connection.execute(added.on_conflict_do_update(index_elements=["user_id"], set_=values))
    return read(connection, account_id)
