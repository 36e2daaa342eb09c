"""The table of the archive: which file of the store stands for which rows."""

from typing import Any, Final
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import BigInteger, CheckConstraint, Index, String, text
from sqlmodel import Field

from boursomatic_assets.schema._columns import JSON_OR_NULL, Table, defaulting_to_now, primary_key

LONGEST_NAME: Final = 200


class ArchiveFile(Table, table=True):
    """One file of the archive: rows of an asset that are in no table, or that are in it again since.

    Extension: the whole table, because a file is written once, under its SHA-256, and readers must find the one
    that stands. It is named in the transaction that deletes its rows, so each row is in its table or in a file.
    """

    __tablename__ = "archive_files"
    __table_args__ = (
        Index(
            "uq_archive_files_current",
            "asset",
            "market",
            "first_session",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
        CheckConstraint("first_session <= last_session", name="range"),
        CheckConstraint("size > 0 AND row_count >= 0", name="counts"),
        {"info": {"key": ("id",)}},
    )

    id: UUID = primary_key("Unique file identifier")
    asset: str = Field(sa_type=String(50), description="Asset whose rows it holds")
    market: str = Field(sa_type=String(50), description="Market of the rows")
    first_session: NaiveDatetime = Field(description="Its session, or the first day of its year")
    last_session: NaiveDatetime = Field(description="Its session, or the last day of its year")
    name: str = Field(
        sa_type=String(LONGEST_NAME), description="Its name in the archive's store, which holds its SHA-256"
    )
    size: int = Field(sa_type=BigInteger, description="Its bytes")
    row_count: int = Field(sa_type=BigInteger, description="Rows that it holds")
    written_at: NaiveDatetime = defaulting_to_now("When it was named")
    superseded_at: NaiveDatetime | None = Field(
        default=None,
        description="When another took its place, or its rows were put back; null: it stands",
    )
    months: list[dict[str, Any]] | None = Field(
        default=None,
        sa_type=JSON_OR_NULL,
        description="Of a year, by month: newest time, number of sessions, of rows and of instruments",
    )
