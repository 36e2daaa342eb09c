"""The tables: one class each, every column described once.

What belongs here: names, types, keys, indexes, the values a column may hold, what a row and a column mean.
Kept elsewhere: how a database gets this shape (`migrations/`), how it is reached (`database.py`), and what
makes a delivered row good (`contracts.py`). Nothing here needs a driver or an orchestrator.

All times are naive UTC. `Model.__table__.info["key"]` names the columns that identify a row of that table.
Columns, keys and rules marked *extension* are added to the schema's specification, each with its reason.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final
from uuid import UUID, uuid4

from pydantic import NaiveDatetime
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy import Table as SqlTable
from sqlmodel import Field, SQLModel

PROFILES: Final = ("conservative", "moderate", "aggressive")
LABELS: Final = ("BUY", "HOLD", "SELL")
INTERVALS: Final = ("daily", "15m")
MARKET_CAP_BUCKETS: Final = ("small", "mid", "large")
PE_BUCKETS: Final = ("low", "medium", "high")
DECISIONS: Final = ("promoted", "refused", "withdrawn", "forced", "rolled back")

# A missing value is SQL's NULL, never the JSON word null.
_JSON: Final = JSON(none_as_null=True)
_TRUE: Final = {"server_default": text("true")}
_FALSE: Final = {"server_default": text("false")}


def _id(description: str) -> Any:
    return Field(default_factory=uuid4, primary_key=True, description=description)


def _now(description: str, *, index: bool = False) -> Any:
    """A time that the database's clock fills in."""
    return Field(index=index, description=description, sa_column_kwargs={"server_default": func.now()})


def _one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _positive(column: str) -> CheckConstraint:
    """Above zero and finite; PostgreSQL sorts NaN above Infinity, so one bound refuses both."""
    return CheckConstraint(f"{column} > 0 AND {column} < 'Infinity'", name=column)


class Table(SQLModel):
    """What all tables share: the names of their constraints."""

    __table__: ClassVar[SqlTable]
    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


class User(Table, table=True):
    """One account per e-mail address; a deleted one stays, flagged."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email"), {"info": {"key": ("email",)}})

    id: UUID = _id("Unique user identifier")
    email: str = Field(sa_type=String(255), index=True, description="User email address")
    password_hash: str = Field(sa_type=String(255), description="Hashed password (Argon2id)")
    is_admin: bool = Field(default=False, sa_column_kwargs=_FALSE, description="Admin privileges flag")
    is_deleted: bool = Field(default=False, index=True, sa_column_kwargs=_FALSE, description="Soft delete flag")
    created_at: NaiveDatetime = _now("Account creation timestamp")


class UserSettings(Table, table=True):
    """One row of preferences per user."""

    __tablename__ = "user_settings"
    __table_args__ = (
        UniqueConstraint("user_id"),
        _one_of("preferred_profile", PROFILES),
        {"info": {"key": ("user_id",)}},
    )

    id: UUID = _id("Unique setting identifier")
    user_id: UUID = Field(foreign_key="users.id", index=True, description="Associated user")
    risk_consent_accepted: bool = Field(
        default=False, sa_column_kwargs=_FALSE, description="Risk disclosure acceptance"
    )
    risk_consent_accepted_at: NaiveDatetime | None = Field(default=None, description="When consent was accepted")
    preferred_profile: str | None = Field(
        default="moderate",
        sa_type=String(50),
        sa_column_kwargs={"server_default": "moderate"},
        description="Preferred risk profile",
    )
    created_at: NaiveDatetime = _now("Settings creation")
    updated_at: NaiveDatetime = _now("Last update timestamp")


class Instrument(Table, table=True):
    """One stock or ETF per symbol and exchange.

    Extension: (symbol, exchange) is unique, because deliveries name an instrument by that pair only.
    """

    __tablename__ = "instruments"
    __table_args__ = (
        UniqueConstraint("symbol", "exchange"),
        _one_of("market_cap_bucket", MARKET_CAP_BUCKETS),
        _one_of("pe_bucket", PE_BUCKETS),
        {"info": {"key": ("symbol", "exchange")}},
    )

    id: UUID = _id("Unique instrument identifier")
    symbol: str = Field(sa_type=String(50), index=True, description="Stock ticker symbol")
    exchange: str = Field(
        sa_type=String(50), index=True, description="Exchange code (NYSE, NASDAQ, EURONEXT, etc.)"
    )
    name: str | None = Field(default=None, sa_type=String(255), description="Company/instrument name")
    sector: str | None = Field(default=None, sa_type=String(100), description="Business sector")
    market_cap_bucket: str | None = Field(default=None, sa_type=String(50), description="Market cap category")
    pe_bucket: str | None = Field(default=None, sa_type=String(50), description="P/E ratio category")
    is_active: bool = Field(
        default=True, index=True, sa_column_kwargs=_TRUE, description="Whether instrument is actively tracked"
    )
    created_at: NaiveDatetime = _now("Record creation")
    updated_at: NaiveDatetime = _now("Last update")


class PriceBar(Table, table=True):
    """One bar per instrument, time and interval; a daily bar's `ts` is its session date at 00:00 UTC.

    Extension: prices are positive, finite and in order, and the volume is finite, because a NaN that gets in
    passes every later comparison silently.
    """

    __tablename__ = "price_bars"
    __table_args__ = (
        Index("idx_price_bars_instrument_ts_interval", "instrument_id", "ts", "interval", unique=True),
        *(_positive(column) for column in "ohlc"),
        CheckConstraint("v >= 0 AND v < 'Infinity'", name="v"),
        CheckConstraint("h >= greatest(o, c, l)", name="high_is_highest"),
        CheckConstraint("l <= least(o, c, h)", name="low_is_lowest"),
        _one_of("interval", INTERVALS),
        {"info": {"key": ("instrument_id", "ts", "interval")}},
    )

    id: UUID = _id("Unique bar identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", index=True, description="Associated instrument")
    ts: NaiveDatetime = Field(index=True, description="Bar timestamp")
    o: float = Field(description="Open price")
    h: float = Field(description="High price")
    l: float = Field(description="Low price")  # noqa: E741 - the specification's name
    c: float = Field(description="Close price")
    v: float = Field(description="Volume")
    interval: str = Field(sa_type=String(10), index=True, description="Time interval ('daily', '15m', etc.)")
    created_at: NaiveDatetime = _now("Record creation")


class PriceBarRevision(Table, table=True):
    """A bar as it was known for some time, before another delivery changed it or no longer had it.

    Extension: the whole table, because "what did we know when we said BUY" must have an answer. A bar is known
    since its `price_bars.created_at`; what was known before is here.
    """

    __tablename__ = "price_bar_revisions"
    __table_args__ = (
        Index(
            "idx_price_bar_revisions_instrument_ts_interval",
            "instrument_id",
            "ts",
            "interval",
            "known_until",
            unique=True,
        ),
        {"info": {"key": ("instrument_id", "ts", "interval", "known_until")}},
    )

    id: UUID = _id("Unique revision identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", description="Associated instrument")
    ts: NaiveDatetime = Field(index=True, description="Bar timestamp")
    interval: str = Field(sa_type=String(10), description="Time interval")
    o: float = Field(description="Open price that was known")
    h: float = Field(description="High price that was known")
    l: float = Field(description="Low price that was known")  # noqa: E741 - the specification's name
    c: float = Field(description="Close price that was known")
    v: float = Field(description="Volume that was known")
    known_from: NaiveDatetime = Field(description="When it was first known so")
    known_until: NaiveDatetime = Field(description="When it was replaced, or was gone")
    source: str | None = Field(default=None, sa_type=String(50), description="Source that replaced it")
    file: str | None = Field(
        default=None, sa_type=String(500), description="File with the bar that replaced it; null: it is gone"
    )
    run_id: str | None = Field(default=None, sa_type=String(50), description="Run that replaced it")


class Feature(Table, table=True):
    """One row of features per instrument and daily bar; `ts` is that bar's, the session date at 00:00 UTC."""

    __tablename__ = "features"
    __table_args__ = (
        Index("idx_features_instrument_ts", "instrument_id", "ts", unique=True),
        {"info": {"key": ("instrument_id", "ts")}},
    )

    id: UUID = _id("Unique feature record identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", index=True, description="Associated instrument")
    ts: NaiveDatetime = Field(index=True, description="Feature timestamp")
    ret_1d: float | None = Field(default=None, description="1-day return")
    ret_5d: float | None = Field(default=None, description="5-day return")
    ret_20d: float | None = Field(default=None, description="20-day return")
    rsi_14: float | None = Field(default=None, description="14-period RSI")
    momentum_5d: float | None = Field(default=None, description="5-day momentum")
    vol_20d: float | None = Field(default=None, description="20-day volatility")
    atr_14: float | None = Field(default=None, description="14-period Average True Range")
    volume_zscore: float | None = Field(default=None, description="Volume z-score")
    additional_features: dict[str, Any] | None = Field(
        default=None, sa_type=_JSON, description="Flexible storage for additional features"
    )
    created_at: NaiveDatetime = _now("Record creation")


class ModelVersion(Table, table=True):
    """One trained model per due date; at most one is active.

    Extension: `as_of`, because partitions ask which model a past date had, and `trained_at` must stay the
    wall clock. It is unique, because both markets' partitions of a due date must name the same model.
    """

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("version"),
        Index("uq_model_versions_active", "is_active", unique=True, postgresql_where=text("is_active")),
        {"info": {"key": ("version",)}},
    )

    id: UUID = _id("Unique version identifier")
    version: str = Field(sa_type=String(100), index=True, description="Version string (e.g., 'v1.0.0')")
    trained_at: NaiveDatetime = _now("Training completion time")
    params_hash: str = Field(sa_type=String(64), description="Hash of model parameters")
    metrics_json: dict[str, Any] = Field(sa_type=_JSON, description="Training/validation metrics")
    model_path: str | None = Field(default=None, sa_type=String(500), description="Path to serialized model file")
    is_active: bool = Field(
        default=False, index=True, sa_column_kwargs=_FALSE, description="Current production model flag"
    )
    created_at: NaiveDatetime = _now("Record creation")
    as_of: NaiveDatetime = Field(
        index=True,
        unique=True,
        description="The due date it speaks for: only bars closed before it were used",
    )


class ModelDecision(Table, table=True):
    """One decision about a model version: the gate's when it was trained, and each that a person made.

    Extension: the whole table, because every promotion and refusal must be traceable, with who forced it. Rows
    are only ever added. The version that speaks at a moment is the `speaker_id` of the decision with the latest
    `effective_at` until then; of several, of the one decided last.
    """

    __tablename__ = "model_decisions"
    __table_args__ = (
        Index(
            "uq_model_decisions_gate",
            "version_id",
            unique=True,
            postgresql_where=text("decided_by = 'gate'"),
        ),
        _one_of("kind", DECISIONS),
        CheckConstraint(
            "CASE kind WHEN 'refused' THEN true WHEN 'withdrawn' THEN speaker_id IS NULL"
            " ELSE speaker_id IS NOT NULL END",
            name="speaker",
        ),
        {"info": {"key": ("id",)}},
    )

    id: UUID = _id("Unique decision identifier")
    version_id: UUID = Field(foreign_key="model_versions.id", description="Version that was decided about")
    effective_at: NaiveDatetime = Field(
        description="From when it holds: the due date's first open for the gate, the moment itself for a person"
    )
    kind: str = Field(sa_type=String(20), description="promoted, refused, withdrawn, forced or rolled back")
    speaker_id: UUID | None = Field(
        default=None,
        foreign_key="model_versions.id",
        description="Version that speaks from then on; null: nobody, advice is HOLD",
    )
    reason: str = Field(sa_type=Text, description="Why, in a sentence")
    numbers: dict[str, Any] = Field(sa_type=_JSON, description="Metrics of both sides that were compared")
    decided_by: str = Field(sa_type=String(255), description="The gate, or the person's name")
    decided_at: NaiveDatetime = _now("When it was decided")


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
        _one_of("profile", PROFILES),
        _one_of("label", LABELS),
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="confidence"),
        _positive("stop_loss"),
        _positive("take_profit"),
        CheckConstraint("horizon_days > 0", name="horizon_days"),
        CheckConstraint("superseded_at IS NULL OR NOT is_active", name="superseded_is_inactive"),
        {"info": {"key": ("instrument_id", "profile", "as_of")}},
    )

    id: UUID = _id("Unique recommendation identifier")
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
    features_snapshot: dict[str, Any] = Field(sa_type=_JSON, description="Feature values at inference time")
    generated_at: NaiveDatetime = _now("Generation timestamp", index=True)
    is_active: bool = Field(
        default=True, index=True, sa_column_kwargs=_TRUE, description="Active recommendation flag"
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
        _one_of("profile", PROFILES),
        _one_of("label", LABELS),
        _one_of("outcome", LABELS),
        _one_of("first_touched", ("stop", "target")),
        CheckConstraint("(first_touched IS NULL) = (touched_on IS NULL)", name="touched_on"),
        {"info": {"key": ("ts", "recommendation_id")}},
    )

    id: UUID = _id("Unique score identifier: that of the recommendation")
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
    created_at: NaiveDatetime = _now("Record creation")


class RejectedBar(Table, table=True):
    """One refused row of a delivery, as it came, with the reason.

    Extension: the whole table, because a bad row must neither stop the good ones nor be lost.
    """

    __tablename__ = "rejected_bars"
    __table_args__ = (
        Index("ix_rejected_bars_market_session", "market", "session"),
        {"info": {"key": ("id",)}},
    )

    id: UUID = _id("Unique rejection identifier")
    market: str = Field(sa_type=String(50), description="Market it was delivered for")
    session: NaiveDatetime | None = Field(
        default=None, description="Partition that delivered it; null when the row has no readable time"
    )
    source: str = Field(sa_type=String(50), description="Source that delivered it")
    file: str | None = Field(default=None, sa_type=String(500), description="File it stood in")
    line: int | None = Field(default=None, sa_type=BigInteger, description="Line of that file, from 1")
    raw: dict[str, Any] = Field(sa_type=_JSON, description="The row as delivered")
    interval: str = Field(
        default="daily",
        sa_type=String(10),
        sa_column_kwargs={"server_default": "daily"},
        description="Interval it was delivered for",
    )
    reason: str = Field(sa_type=String(100), index=True, description="The rule it broke")
    run_id: str | None = Field(default=None, sa_type=String(50), description="Run that refused it")
    rejected_at: NaiveDatetime = _now("When it was refused")


class DeliveredSession(Table, table=True):
    """What the newest delivery of a market's session held: every row is kept, merged or rejected.

    Extension: the whole table, because that nothing was dropped silently must be provable afterwards.
    """

    __tablename__ = "delivered_sessions"
    __table_args__ = (
        Index(
            "uq_delivered_sessions",
            "market",
            "session",
            "interval",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("delivered = kept + merged + rejected", name="accounted"),
        {"info": {"key": ("market", "session", "interval")}},
    )

    id: UUID = _id("Unique delivery identifier")
    market: str = Field(sa_type=String(50), description="Market it was delivered for")
    session: NaiveDatetime | None = Field(
        default=None, description="Session; null for rows without a readable time"
    )
    interval: str = Field(sa_type=String(10), description="Time interval")
    source: str = Field(sa_type=String(50), description="Source that delivered it")
    delivered: int = Field(description="Rows that came")
    kept: int = Field(description="Rows that became bars")
    merged: int = Field(description="Rows that repeated a kept one")
    rejected: int = Field(description="Rows that were refused, see `rejected_bars`")
    repaired: int = Field(description="Kept rows whose high or low was off by float noise")
    provisional: bool = Field(
        description="Whether it came before the session had settled, and was not confirmed since"
    )
    run_id: str | None = Field(default=None, sa_type=String(50), description="Run that first found it so")
    delivered_at: NaiveDatetime = _now("When it was first found so")


class ComputedSession(Table, table=True):
    """When an asset's rows of a market's session were computed, and when they last changed.

    Extension: the whole table, because a correction must be followed through look-backs of any length.
    """

    __tablename__ = "computed_sessions"
    __table_args__ = (
        UniqueConstraint("asset", "market", "session"),
        {"info": {"key": ("asset", "market", "session")}},
    )

    id: UUID = _id("Unique computation identifier")
    asset: str = Field(sa_type=String(50), description="Asset that was computed")
    market: str = Field(sa_type=String(50), description="Market it was computed for")
    session: NaiveDatetime = Field(description="Session it was computed for")
    computed_at: NaiveDatetime = Field(description="When its inputs were about to be read")
    changed_at: NaiveDatetime = Field(description="When its rows last changed")
