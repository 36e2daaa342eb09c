"""The tables of accounts: users and their preferences."""

from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import String, UniqueConstraint
from sqlmodel import Field

from boursomatic_assets.schema._columns import DEFAULT_FALSE, Table, defaulting_to_now, one_of, primary_key
from boursomatic_assets.vocabulary import PROFILES


class User(Table, table=True):
    """One account per e-mail address; a deleted account keeps its row, with a flag."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email"), {"info": {"key": ("email",)}})

    id: UUID = primary_key("Unique user identifier")
    email: str = Field(sa_type=String(255), index=True, description="User email address")
    password_hash: str = Field(sa_type=String(255), description="Hashed password (Argon2id)")
    is_admin: bool = Field(default=False, sa_column_kwargs=DEFAULT_FALSE, description="Admin privileges flag")
    is_deleted: bool = Field(
        default=False, index=True, sa_column_kwargs=DEFAULT_FALSE, description="Soft delete flag"
    )
    created_at: NaiveDatetime = defaulting_to_now("Account creation timestamp")


class UserSettings(Table, table=True):
    """One row of preferences per user."""

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
