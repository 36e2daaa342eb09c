"""The tables of recommendations: what was published and its words, when it expired, and its outcome."""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field

from boursomatic_assets.schema._columns import (
    DEFAULT_TRUE,
    JSON_OR_NULL,
    Table,
    corrected_at,
    defaulting_to_now,
    one_of,
    positive,
    primary_key,
)
from boursomatic_assets.vocabulary import EXPIRY_REASONS, LABELS, PROFILES, UNSCORED_REASONS, VIEWS


class Recommendation(Table, table=True):
    """One recommendation per instrument, profile and session, and every earlier version of it.

    Extension: `as_of`, because partitions select a session and `generated_at` must stay the wall clock (a row that
    leaves it out gets its `generated_at`, or the first free microsecond after it);
    `superseded_at`, because exactly one of several rows of a session is current while all are kept; `view`,
    because a HOLD for want of a view is no opinion; the index on active rows, because each write looks through
    those few, whatever the statistics.
    """

    __tablename__ = "recommendations"
    __table_args__ = (
        Index("idx_recommendations_active_generated", "is_active", "generated_at"),
        Index("ix_recommendations_active", "instrument_id", postgresql_where=text("is_active")),
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
        one_of("view", VIEWS),
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
    horizon_days: int | None = Field(default=None, description="Investment horizon, in sessions of the market")
    stop_loss: float | None = Field(default=None, description="Suggested stop loss price")
    take_profit: float | None = Field(default=None, description="Suggested take profit price")
    justification: str | None = Field(default=None, sa_type=Text, description="Human-readable explanation")
    features_snapshot: dict[str, Any] = Field(sa_type=JSON_OR_NULL, description="Feature values at inference time")
    generated_at: NaiveDatetime = defaulting_to_now("Generation timestamp", index=True)
    is_active: bool = Field(
        default=True, index=True, sa_column_kwargs=DEFAULT_TRUE, description="Active recommendation flag"
    )
    as_of: NaiveDatetime = Field(index=True, description="Session close that the recommendation is based on")
    superseded_at: NaiveDatetime | None = Field(
        default=None,
        sa_column_kwargs={"info": {"managed": True}},
        description="When another row of its session replaced it; null: it is the current row",
    )
    view: str | None = Field(
        default=None,
        sa_type=String(10),
        description="Whether the label is an opinion: 'given', 'capped' (HOLD, since others came first) or 'none'"
        " (HOLD for want of a view); null: its writer did not say",
    )


class RecommendationWords(Table, table=True):
    """The words of the justification of one recommendation that stands, by which it is found.

    Extension: the whole table, because a column of `recommendations` would write what was published anew. Triggers
    of `recommendations` write it. There is no foreign key: each recommendation would pay for it.
    """

    __tablename__ = "recommendation_words"
    __table_args__ = (
        Index("ix_recommendation_words_as_of", "as_of", "id"),
        Index("ix_recommendation_words_instrument_as_of", "instrument_id", "as_of"),
        Index("ix_recommendation_words_words", "words", postgresql_using="gin"),
        {"info": {"key": ("id",), "derived": True}},
    )

    id: UUID = primary_key("The recommendation's identifier")
    instrument_id: UUID = Field(description="Instrument of the recommendation")
    profile: str = Field(sa_type=String(50), description="Risk profile of the recommendation")
    as_of: NaiveDatetime = Field(description="Session close that the recommendation is based on")
    words: str = Field(sa_type=TSVECTOR, description="Its words by their English and their French stems")


class RecommendationExpiry(Table, table=True):
    """Why the newest recommendation of an instrument and profile is inactive, or is active again. Never changed.

    Extension: the whole table, because advice that has expired must say why, and since when. Of the rows of a
    recommendation the newest one holds.
    """

    __tablename__ = "recommendation_expiries"
    __table_args__ = (
        UniqueConstraint("recommendation_id", "decided_at"),
        one_of("reason", EXPIRY_REASONS),
        {"info": {"key": ("recommendation_id", "decided_at")}},
    )

    id: UUID = primary_key("Unique expiry identifier")
    recommendation_id: UUID = Field(
        foreign_key="recommendations.id", description="Recommendation that expired, or was renewed"
    )
    session: NaiveDatetime = Field(description="Newest loaded session of its market, by which it was judged")
    reason: str = Field(
        sa_type=String(20),
        description="'horizon': it has ended; 'inactive': the instrument has had no bar for 20 sessions;"
        " 'renewed': neither holds any more, since bars came late",
    )
    decided_at: NaiveDatetime = Field(
        sa_column_kwargs={"server_default": func.clock_timestamp()}, description="When it was decided"
    )


class TrackRecord(Table, table=True):
    """The outcome of one recommendation, scored on the session on which its horizon ends.

    Extension: the whole table, because past recommendations must be compared with their outcomes, from stored rows
    alone. A row has the id of its recommendation, so none is scored twice.
    """

    __tablename__ = "track_record"
    __table_args__ = (
        Index("uq_track_record_ts_recommendation", "ts", "recommendation_id", unique=True),
        one_of("profile", PROFILES),
        one_of("label", LABELS),
        one_of("outcome", LABELS),
        one_of("view", VIEWS),
        one_of("first_touched", ("stop", "target")),
        one_of("unscored", UNSCORED_REASONS),
        CheckConstraint("(first_touched IS NULL) = (touched_on IS NULL)", name="touched_on"),
        {"info": {"key": ("ts", "recommendation_id")}},
    )

    id: UUID = primary_key("Unique score identifier: that of the recommendation")
    recommendation_id: UUID = Field(
        foreign_key="recommendations.id", index=True, description="Recommendation that is scored"
    )
    instrument_id: UUID = Field(
        foreign_key="instruments.id", index=True, description="Instrument of the recommendation"
    )
    ts: NaiveDatetime = Field(description="Session on which it is scored: the last one of its horizon")
    profile: str = Field(sa_type=String(50), description="Risk profile of the recommendation")
    label: str = Field(sa_type=String(10), description="Label that was recommended")
    as_of: NaiveDatetime = Field(description="Session close that the recommendation is based on")
    horizon_days: int = Field(description="Sessions of the market from the recommendation to `ts`")
    confidence: float = Field(description="Probability of the label according to the model (0.0-1.0)")
    expected_return_pct: float | None = Field(default=None, description="Expected return, in percent")
    realised_return_pct: float | None = Field(
        default=None,
        description="Return from the close at `as_of` to the last close of the horizon, in percent; null: see"
        " `unscored`",
    )
    outcome: str | None = Field(
        default=None,
        sa_type=String(10),
        description="Third of its market's session that the realised return is in: 'BUY' the best, 'SELL' the"
        " worst;"
        " null without a return",
    )
    hit: bool | None = Field(
        default=None,
        description="Whether the recommended label is the outcome; null without an outcome, or where no view was"
        " given",
    )
    first_touched: str | None = Field(
        default=None,
        sa_type=String(10),
        description="What daily highs and lows touched first: 'stop' (also if both in one session) or 'target';"
        " null: neither, or HOLD",
    )
    touched_on: NaiveDatetime | None = Field(default=None, description="Session on which it was touched")
    view: str | None = Field(default=None, sa_type=String(10), description="`view` of the recommendation")
    relative_return_pct: float | None = Field(
        default=None,
        description="Realised return less the mean of its market's session, in percent; null without a return",
    )
    unscored: str | None = Field(
        default=None,
        sa_type=String(20),
        description="Why there is no return: 'no bar': the bar at `as_of` was removed, or none followed; 'price"
        " basis': a split, a restatement or an error is suspected in between, until bars on one basis come; null:"
        " there is one",
    )
    created_at: NaiveDatetime = defaulting_to_now("Record creation")
    updated_at: NaiveDatetime | None = corrected_at()
