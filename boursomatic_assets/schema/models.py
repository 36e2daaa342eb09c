"""The tables: one class each, every column described once.

What belongs here: names, types, keys, indexes, the values a column may hold, what a row and a column mean.
Kept elsewhere: how a database gets this shape (`migrations/`), how it is reached (`database.py`), and what
makes a delivered row good (`contracts.py`). Nothing here needs a driver or an orchestrator.

All times are naive UTC. `Model.__table__.info["key"]` names the columns that identify a row of that table.
Columns, keys and rules marked *extension* are added to the schema's specification, each with its reason.
"""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import (
    CheckConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
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
        one_of("kind", DECISIONS),
        CheckConstraint(
            "CASE kind WHEN 'refused' THEN true WHEN 'withdrawn' THEN speaker_id IS NULL"
            " ELSE speaker_id IS NOT NULL END",
            name="speaker",
        ),
        {"info": {"key": ("id",)}},
    )

    id: UUID = primary_key("Unique decision identifier")
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
    numbers: dict[str, Any] = Field(sa_type=JSON_OR_NULL, description="Metrics of both sides that were compared")
    decided_by: str = Field(sa_type=String(255), description="The gate, or the person's name")
    decided_at: NaiveDatetime = defaulting_to_now("When it was decided")
