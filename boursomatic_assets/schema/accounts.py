"""The tables of accounts: users, their preferences, and failed log-ins."""

from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, func, text
from sqlmodel import Field

from boursomatic_assets.schema._columns import DEFAULT_FALSE, Table, defaulting_to_now, one_of, primary_key
from boursomatic_assets.vocabulary import ATTEMPT_KINDS, PROFILES


class User(Table, table=True):
    """One account per e-mail address; a deleted account keeps its row, with a flag.

    Extension: `uq_users_lower_email`, because addresses that differ in case alone are one account.
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email"),
        Index("uq_users_lower_email", func.lower(text("email")), unique=True),
        {"info": {"key": ("email",)}},
    )

    id: UUID = primary_key("Unique user identifier")
    email: str = Field(sa_type=String(255), index=True, description="User email address")
    password_hash: str = Field(sa_type=String(255), description="Hashed password (Argon2id)")
    is_admin: bool = Field(default=False, sa_column_kwargs=DEFAULT_FALSE, description="Admin privileges flag")
    is_deleted: bool = Field(
        default=False, index=True, sa_column_kwargs=DEFAULT_FALSE, description="Soft delete flag"
    )
    created_at: NaiveDatetime = defaulting_to_now("Account creation timestamp")


class UserSettings(Table, table=True):
    """One row of preferences per user.

    A trigger keeps `updated_at`, and `risk_consent_accepted_at`: filled in with the flag, empty without it.
    """

    __tablename__ = "user_settings"
    __table_args__ = (
        UniqueConstraint("user_id"),
        one_of("preferred_profile", PROFILES),
        {"info": {"key": ("user_id",)}},
    )

    id: UUID = primary_key("Unique setting identifier")
    user_id: UUID = Field(foreign_key="users.id", index=True, description="Associated user")
    risk_consent_accepted: bool = Field(
        default=False, sa_column_kwargs=DEFAULT_FALSE, description="Risk disclosure acceptance"
    )
    risk_consent_accepted_at: NaiveDatetime | None = Field(default=None, description="When consent was accepted")
    preferred_profile: str | None = Field(
        default="moderate",
        sa_type=String(50),
        sa_column_kwargs={"server_default": "moderate"},
        description="Preferred risk profile",
    )
    created_at: NaiveDatetime = defaulting_to_now("Settings creation")
    updated_at: NaiveDatetime = defaulting_to_now("Last update timestamp")


class LoginAttempts(Table, table=True):
    """The failed log-ins of one account or one source that are not forgotten yet.

    Extension: the whole table, because attempts must be limited across processes and machines. It holds digests,
    so neither an e-mail address nor a network address can be read from it.
    """

    __tablename__ = "login_attempts"
    __table_args__ = (
        UniqueConstraint("kind", "subject"),
        one_of("kind", ATTEMPT_KINDS),
        CheckConstraint("failures >= 0", name="failures"),
        {"info": {"key": ("kind", "subject")}},
    )

    id: UUID = primary_key("Unique identifier")
    kind: str = Field(sa_type=String(10), description="What is limited: 'account' or 'source'")
    subject: str = Field(sa_type=String(64), description="SHA-256 of the e-mail address or of the source")
    failures: int = Field(
        default=0,
        sa_column_kwargs={"server_default": text("0")},
        description="Attempts since the last success that failed, or have not succeeded yet",
    )
    failed_at: NaiveDatetime = defaulting_to_now("When the last of them began", index=True)
    waits_until: NaiveDatetime | None = Field(
        default=None, description="Until when every attempt is refused; null: the next one is examined"
    )
