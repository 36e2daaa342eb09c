"""The table of alerts: what was said, through which channel, and what is still to be sent."""

from typing import Any, Final
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlmodel import Field

from boursomatic_assets.schema._columns import JSON_OR_NULL, Table, defaulting_to_now, one_of, primary_key

ALERT_KINDS: Final = ("problem", "recovery", "event")


class Alert(Table, table=True):
    """One message for one channel; the newest of a subject says whether its problem is open.

    Extension: the whole table, because what could not be sent must be sent later, and nothing be said twice.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("channel", "subject", "raised_at"),
        Index("ix_alerts_unsent", "channel", "raised_at", postgresql_where=text("sent_at IS NULL")),
        one_of("kind", ALERT_KINDS),
        CheckConstraint("failures >= 0", name="failures"),
        {"info": {"key": ("channel", "subject", "raised_at")}},
    )

    id: UUID = primary_key("Unique alert identifier")
    channel: str = Field(sa_type=String(20), description="How it is sent: webhook, mail or command")
    subject: str = Field(sa_type=String(200), description="What it is about, such as `freshness|US`")
    kind: str = Field(sa_type=String(10), description="'problem', 'recovery' or 'event'")
    content: dict[str, Any] = Field(sa_type=JSON_OR_NULL, description="The message")
    raised_at: NaiveDatetime = defaulting_to_now("When it was raised")
    sent_at: NaiveDatetime | None = Field(default=None, description="When it was sent; null: it is still to be")
    failures: int = Field(
        default=0, sa_column_kwargs={"server_default": text("0")}, description="Attempts to send it that failed"
    )
    retry_at: NaiveDatetime | None = Field(default=None, description="When it is sent again; null: at once")
    error: str | None = Field(default=None, sa_type=String(300), description="Why the last attempt failed")
