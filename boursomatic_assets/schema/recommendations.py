"""The tables of recommendations: what was published, and what became of it."""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import (
    CheckConstraint,
    Index,
    String,
    Text,
    text,
)
from sqlmodel import Field

from boursomatic_assets.schema._columns import (
    DEFAULT_TRUE,
    JSON_OR_NULL,
    Table,
    defaulting_to_now,
    one_of,
    positive,
    primary_key,
)
from boursomatic_assets.vocabulary import LABELS, PROFILES


class Recommendation(Table, table=True):
    """One piece of advice per instrument, profile and session, and every earlier version of it.

    Extension: `as_of`, because partitions ask for a session and `generated_at` must stay the wall clock;
    `superseded_at`, because of several rows of one session exactly one may stand while all are kept.
    """

    __tablename__ = "recommendations"
    __table_args__ = (
        Index("idx_recommendations_active_generated", "is_active", "generated_at"),
        Index("idx_recommendations_instrument_profile", "instrument_id", "profile", "generated_at"),
        Index(
            "uq_recommendations_current",
            "instrument_id",
            "profile",
            "as_of",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
        one_of("profile", PROFILES),
        one_of("label", LABELS),
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="confidence"),
        positive("stop_loss"),
        positive("take_profit"),
        CheckConstraint("horizon_days > 0", name="horizon_days"),
        CheckConstraint("superseded_at IS NULL OR NOT is_active", name="superseded_is_inactive"),
        {"info": {"key": ("instrument_id", "profile", "as_of")}},
    )

    id: UUID = primary_key("Unique recommendation identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", index=True, description="Target instrument")
    model_version_id: UUID = Field(
        foreign_key="model_versions.id", index=True, description="Model used for generation"
    )
    profile: str = Field(sa_type=String(50), index=True, description="Risk profile")
    label: str = Field(sa_type=String(10), index=True, description="Recommendation signal")
    confidence: float = Field(description="Model confidence (0.0-1.0)")
    expected_return_pct: float | None = Field(default=None, description="Expected return percentage")
    horizon_days: int | None = Field(default=None, description="Investment horizon in days")
    stop_loss: float | None = Field(default=None, description="Suggested stop loss price")
    take_profit: float | None = Field(default=None, description="Suggested take profit price")
    justification: str | None = Field(default=None, sa_type=Text, description="Human-readable explanation")
    features_snapshot: dict[str, Any] = Field(sa_type=JSON_OR_NULL, description="Feature values at inference time")
    generated_at: NaiveDatetime = defaulting_to_now("Generation timestamp", index=True)
    is_active: bool = Field(
        default=True, index=True, sa_column_kwargs=DEFAULT_TRUE, description="Active recommendation flag"
    )
    as_of: NaiveDatetime = Field(index=True, description="The session close that the row speaks for")
    superseded_at: NaiveDatetime | None = Field(
        default=None,
        sa_column_kwargs={"info": {"managed": True}},
        description="When another row of its session replaced it; null: the current one",
    )


class TrackRecord(Table, table=True):
    """What became of one piece of advice, on the session on which its horizon ended.

    Extension: the whole table, because past advice must be held against what happened, from stored rows alone.
    A row has the id of its advice, so none is scored twice.
    """

    __tablename__ = "track_record"
    __table_args__ = (
        Index("uq_track_record_ts_recommendation", "ts", "recommendation_id", unique=True),
        one_of("profile", PROFILES),
        one_of("label", LABELS),
        one_of("outcome", LABELS),
        one_of("first_touched", ("stop", "target")),
        CheckConstraint("(first_touched IS NULL) = (touched_on IS NULL)", name="touched_on"),
        {"info": {"key": ("ts", "recommendation_id")}},
    )

    id: UUID = primary_key("Unique score identifier: that of the recommendation")
    recommendation_id: UUID = Field(foreign_key="recommendations.id", description="Advice that is scored")
    instrument_id: UUID = Field(foreign_key="instruments.id", description="Instrument of the advice")
    ts: NaiveDatetime = Field(description="Session that scores it: the last one of its horizon")
    profile: str = Field(sa_type=String(50), description="Risk profile of the advice")
    label: str = Field(sa_type=String(10), description="Label that was advised")
    as_of: NaiveDatetime = Field(description="The session close that the advice speaks for")
    horizon_days: int = Field(description="Sessions of the market from the advice to `ts`")
    confidence: float = Field(description="Probability that was given to the label (0.0-1.0)")
    expected_return_pct: float | None = Field(default=None, description="Return that was expected, in percent")
    realised_return_pct: float | None = Field(
        default=None,
        description="Return from the close advised on to the last close of the horizon, in percent; null: the bar"
        " advised on is gone, or prices break in between",
    )
    outcome: str | None = Field(
        default=None,
        sa_type=String(10),
        description="Label that happened; null without a return or the volatility advised on",
    )
    hit: bool | None = Field(default=None, description="Whether the label advised is the label that happened")
    first_touched: str | None = Field(
        default=None,
        sa_type=String(10),
        description="What daily highs and lows touched first: 'stop' (also if both in one session), 'target' or"
        " neither; HOLD has none",
    )
    touched_on: NaiveDatetime | None = Field(default=None, description="Session on which it was touched")
    created_at: NaiveDatetime = defaulting_to_now("Record creation")
