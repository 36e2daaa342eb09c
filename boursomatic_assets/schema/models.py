"""The tables of models: trained versions, and the decisions that make one the champion."""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, text
from sqlmodel import Field

from boursomatic_assets.schema._columns import (
    DEFAULT_FALSE,
    JSON_OR_NULL,
    Table,
    defaulting_to_now,
    one_of,
    primary_key,
)
from boursomatic_assets.vocabulary import DECISIONS


class ModelVersion(Table, table=True):
    """One trained model per due date and revision; at most one is active.

    Extension: `as_of`, because a partition needs the model of its date, and `trained_at` must stay the wall clock
    (a row that leaves it out gets its `trained_at`, or the first free microsecond after it); `revision`, because a
    due date is trained again when the history that it should have known has changed, and what was published refers
    to the version before (the newest counts; both are unique together, because both markets' partitions of a due
    date must have the same model); `history_digest`, because it must be known whether that history has changed;
    `history_read_at`, because only what changed since then need be looked at.
    """

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("version"),
        UniqueConstraint("as_of", "revision"),
        CheckConstraint("revision > 0", name="revision"),
        Index("uq_model_versions_active", "is_active", unique=True, postgresql_where=text("is_active")),
        {"info": {"key": ("version",)}},
    )

    id: UUID = primary_key("Unique version identifier")
    version: str = Field(sa_type=String(100), index=True, description="Version string (e.g., 'v1.0.0')")
    trained_at: NaiveDatetime = defaulting_to_now("Training completion time")
    params_hash: str = Field(sa_type=String(64), description="Hash of model parameters")
    metrics_json: dict[str, Any] = Field(sa_type=JSON_OR_NULL, description="Training/validation metrics")
    model_path: str | None = Field(default=None, sa_type=String(500), description="Path to serialized model file")
    is_active: bool = Field(
        default=False, index=True, sa_column_kwargs=DEFAULT_FALSE, description="Current production model flag"
    )
    created_at: NaiveDatetime = defaulting_to_now("Record creation")
    as_of: NaiveDatetime = Field(index=True, description="Due date: only bars that had closed before it were used")
    revision: int = Field(
        default=1,
        sa_column_kwargs={"server_default": text("1")},
        description="How many times its due date was trained, this time included",
    )
    history_digest: str | None = Field(
        default=None, sa_type=String(64), description="SHA-256 of the history that it could learn from, in hex"
    )
    history_read_at: NaiveDatetime | None = Field(
        default=None, description="When that history was read: what changed later is not in it"
    )


class ModelDecision(Table, table=True):
    """One decision about a model version: the gate's after training, and each decision of a person.

    Extension: the whole table, because every promotion and refusal must be traceable, with who forced it. Rows are
    never changed or deleted. The champion at a moment is the `speaker_id` of the decision with the latest
    `effective_at` until then; of several, of the one decided last. So the gate's decision about a new revision
    takes the place of the one about the revision before.
    """

    __tablename__ = "model_decisions"
    __table_args__ = (
        Index(
            "uq_model_decisions_gate",
            "version_id",
            unique=True,
            postgresql_where=text("decided_by = 'gate'"),
        ),
        one_of("kind", DECISIONS),
        CheckConstraint(
            "CASE kind WHEN 'refused' THEN true WHEN 'withdrawn' THEN speaker_id IS NULL"
            " ELSE speaker_id IS NOT NULL END",
            name="speaker",
        ),
        {"info": {"key": ("id",)}},
    )

    id: UUID = primary_key("Unique decision identifier")
    version_id: UUID = Field(
        foreign_key="model_versions.id", index=True, description="Version that the decision is about"
    )
    effective_at: NaiveDatetime = Field(
        description="When it takes effect: the due date's first open for the gate, the moment itself for a person"
    )
    kind: str = Field(
        sa_type=String(20), description="promoted, retrained, refused, withdrawn, forced or rolled back"
    )
    speaker_id: UUID | None = Field(
        default=None,
        foreign_key="model_versions.id",
        index=True,
        description="Version that is champion from then on; null: none, the platform publishes HOLD",
    )
    reason: str = Field(sa_type=Text, description="Reason for the decision, in a sentence")
    numbers: dict[str, Any] = Field(
        sa_type=JSON_OR_NULL, description="Metrics of challenger and champion that were compared"
    )
    decided_by: str = Field(sa_type=String(255), description="Who decided: the gate, or the name of a person")
    decided_at: NaiveDatetime = defaulting_to_now("When it was decided")
