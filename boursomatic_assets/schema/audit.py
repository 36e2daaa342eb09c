"""The tables of the audit: chains of digests over what was published, and who did what to accounts and models."""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlmodel import Field

from boursomatic_assets.schema._columns import Table, one_of, primary_key
from boursomatic_assets.vocabulary import CHAINED_TABLES


class AuditEntry(Table, table=True):
    """The digests of the rows that one statement wrote, chained to those of the statements before.

    Extension: the whole table, because a change to what was published must be found, whoever made it. Triggers
    write it, in the transaction that writes the rows. There is a chain per table and market, in order of commit.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        UniqueConstraint("table_name", "market", "number"),
        Index("ix_audit_entries_unsealed", "transaction", postgresql_where=text("number IS NULL")),
        one_of("table_name", CHAINED_TABLES),
        one_of("kind", ("inserted", "superseded")),
        CheckConstraint("(number IS NULL) = (digest IS NULL)", name="sealed"),
        {"info": {"key": ("id",)}},
    )

    id: UUID = primary_key("Unique entry identifier")
    table_name: str = Field(sa_type=String(50), description="Table of the rows")
    market: str = Field(sa_type=String(50), description="Market of the rows; 'all' for models")
    number: int | None = Field(
        default=None, sa_type=BigInteger, description="Place in the chain, from 1; null until the commit"
    )
    kind: str = Field(sa_type=String(20), description="Whether the rows were inserted, or superseded")
    columns: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False), description="Columns that the digests cover"
    )
    row_ids: list[Any] = Field(
        sa_column=Column(ARRAY(Uuid), nullable=False), description="Ids of the rows that the statement wrote"
    )
    times: list[Any] = Field(
        sa_column=Column(ARRAY(DateTime), nullable=False),
        description="Time of each row: its session, when it was decided, or when it was superseded",
    )
    digests: list[Any] = Field(
        sa_column=Column(ARRAY(LargeBinary), nullable=False),
        description="SHA-256 of each row in PostgreSQL's binary form",
    )
    content: bytes = Field(sa_type=LargeBinary, description="SHA-256 of all columns above but the number")
    digest: bytes | None = Field(
        default=None,
        sa_type=LargeBinary,
        description="SHA-256 of the digest before, the content and the number; null until the commit",
    )
    transaction: int = Field(
        sa_type=BigInteger,
        sa_column_kwargs={"server_default": text("(pg_current_xact_id())::text::bigint")},
        description="Transaction that wrote the rows",
    )
    created_at: NaiveDatetime = Field(
        sa_column_kwargs={"server_default": func.clock_timestamp()}, description="When the statement ended"
    )


class AuditHead(Table, table=True):
    """The last entry of each chain.

    Extension: the whole table, because a chain grows at its head, under the lock of this row.
    """

    __tablename__ = "audit_heads"
    __table_args__ = (UniqueConstraint("table_name", "market"), {"info": {"key": ("table_name", "market")}})

    id: UUID = primary_key("Unique chain identifier")
    table_name: str = Field(sa_type=String(50), description="Table of the chain")
    market: str = Field(sa_type=String(50), description="Market of the chain; 'all' for models")
    number: int = Field(sa_type=BigInteger, description="Number of its last entry")
    digest: bytes = Field(sa_type=LargeBinary, description="Digest of its last entry")
    changed_at: NaiveDatetime = Field(
        sa_column_kwargs={"server_default": func.clock_timestamp()}, description="When it grew last"
    )


class AuditLog(Table, table=True):
    """Who did what to an account, a role or the active model.

    Extension: the whole table, because it must be provable who did it. Triggers write it, so SQL by hand is logged
    as well. Accounts are named by their id; no e-mail address and no hash is in it.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject", "subject", "subject_id"),
        {"info": {"key": ("id",)}},
    )

    id: UUID = primary_key("Unique event identifier")
    happened_at: NaiveDatetime = Field(
        index=True, sa_column_kwargs={"server_default": func.clock_timestamp()}, description="When it was done"
    )
    actor: str = Field(sa_type=String(255), description="Who did it: the login, and the account that it acted for")
    subject: str = Field(sa_type=String(50), description="Table, or 'roles'")
    subject_id: UUID | None = Field(default=None, description="Id of the account or the model version")
    action: str = Field(sa_type=Text, description="What was done, in a few words")
