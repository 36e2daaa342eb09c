"""What all tables share: the base class with the names of constraints, and common columns and constraints.

What belongs here: definitions that several tables use. Kept elsewhere: the tables (the other files of this room).
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final
from uuid import uuid4

from sqlalchemy import JSON, CheckConstraint, Integer, MetaData, func, text
from sqlalchemy import Table as SqlTable
from sqlmodel import Field, SQLModel

JSON_OR_NULL: Final = JSON(none_as_null=True)
"""JSON of which a missing value is SQL's NULL, never the JSON value null."""

DEFAULT_TRUE: Final = {"server_default": text("true")}
DEFAULT_FALSE: Final = {"server_default": text("false")}


def primary_key(description: str) -> Any:
    """A primary key of random UUIDs."""
    return Field(default_factory=uuid4, primary_key=True, description=description)


def defaulting_to_now(description: str, *, index: bool = False) -> Any:
    """A time that defaults to the clock of the database."""
    return Field(index=index, description=description, sa_column_kwargs={"server_default": func.now()})


def corrected_at() -> Any:
    """A time of change of its own, which `tables/merging.py` sets.

    Nullable, so that rows that are there need not be written again, and that a row that states its `created_at`
    alone is known since then.
    """
    return Field(
        default=None,
        sa_column_kwargs={"info": {"managed": True}},
        description="When its content last changed; null: it is as it was created",
    )


def origin(description: str, sa_type: type[Integer] = Integer) -> Any:
    """A column that says where a row came from, none of its content: a row that is delivered again keeps it."""
    return Field(
        default=None,
        sa_type=sa_type,
        sa_column_kwargs={"info": {"managed": True, "origin": True}},
        description=description,
    )


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """A constraint that limits a column to some values."""
    quoted_values = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted_values})", name=column)


def positive(column: str) -> CheckConstraint:
    """A constraint: above zero and finite. PostgreSQL sorts NaN above Infinity, so one bound excludes both."""
    return CheckConstraint(f"{column} > 0 AND {column} < 'Infinity'", name=column)


class Table(SQLModel):
    """The base class of all tables, which names their constraints."""

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
