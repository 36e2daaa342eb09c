"""The tables of provenance: what was delivered, rejected and computed, and when."""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import BigInteger, CheckConstraint, Index, String, UniqueConstraint, func
from sqlmodel import Field

from boursomatic_assets.schema._columns import DEFAULT_FALSE, JSON_OR_NULL, Table, defaulting_to_now, primary_key


class RejectedBar(Table, table=True):
    """One rejected row of a delivery, as delivered, with the reason.

    Extension: the whole table, because an invalid row must neither stop the valid ones nor be lost.
    """

    __tablename__ = "rejected_bars"
    __table_args__ = (
        Index("ix_rejected_bars_market_session", "market", "session"),
        {"info": {"key": ("id",)}},
    )

    id: UUID = primary_key("Unique rejection identifier")
    market: str = Field(sa_type=String(50), description="Market it was delivered for")
    session: NaiveDatetime | None = Field(
        default=None, description="Session it was delivered for; null: the row has no readable time"
    )
    source: str = Field(sa_type=String(50), description="Source that delivered it")
    file: str | None = Field(default=None, sa_type=String(500), description="File that contains it")
    line: int | None = Field(default=None, sa_type=BigInteger, description="Line of that file, from 1")
    raw: dict[str, Any] = Field(sa_type=JSON_OR_NULL, description="The row as delivered")
    interval: str = Field(
        default="daily",
        sa_type=String(10),
        sa_column_kwargs={"server_default": "daily"},
        description="Interval it was delivered for",
    )
    reason: str = Field(sa_type=String(100), index=True, description="The rule that it violates")
    run_id: str | None = Field(default=None, sa_type=String(50), description="Run that rejected it")
    rejected_at: NaiveDatetime = defaulting_to_now("When it was rejected")


class DeliveredSession(Table, table=True):
    """The row counts of the latest delivery of a market's session: every row is kept, merged or rejected.

    Extension: the whole table, because it must be provable that no delivered row was dropped without a record.
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

    id: UUID = primary_key("Unique delivery identifier")
    market: str = Field(sa_type=String(50), description="Market it was delivered for")
    session: NaiveDatetime | None = Field(
        default=None, description="Session; null for rows without a readable time"
    )
    interval: str = Field(sa_type=String(10), description="Time interval")
    source: str = Field(sa_type=String(50), description="Source that delivered it")
    delivered: int = Field(description="Rows that were delivered")
    kept: int = Field(description="Rows that are stored as bars")
    merged: int = Field(description="Rows that repeat a kept one")
    rejected: int = Field(description="Rows that were rejected, see `rejected_bars`")
    repaired: int = Field(description="Kept rows whose high or low was off by float noise")
    provisional: bool = Field(
        description="Whether it was delivered before the session had settled, and not confirmed since"
    )
    run_id: str | None = Field(
        default=None, sa_type=String(50), description="Run that first recorded these counts"
    )
    delivered_at: NaiveDatetime = defaulting_to_now("When these counts were first recorded")


class DeliveredFile(Table, table=True):
    """What became of each line of a file: header, blank, comment, footer, or delivered. Rows are never changed.

    Extension: the whole table, because it must be provable that no line of a file was lost while it was parsed. It
    is a log: of the rows of a file the newest one holds, unless the file is gone since.
    """

    __tablename__ = "delivered_files"
    __table_args__ = (
        UniqueConstraint("source", "file", "read_at"),
        {"info": {"key": ("source", "file", "read_at")}},
    )

    id: UUID = primary_key("Unique file identifier")
    source: str = Field(sa_type=String(50), description="Source that delivered it")
    file: str = Field(sa_type=String(500), description="Its name, from the folder of the source")
    recognised: str | None = Field(
        default=None, sa_type=String(200), description="What it was recognised as; null: not understood"
    )
    lines: int = Field(sa_type=BigInteger, description="Lines of a text, records or rows of other formats")
    header: int = Field(sa_type=BigInteger, description="Lines that hold headers, or stand above them")
    blank: int = Field(sa_type=BigInteger, description="Lines without any content")
    comments: int = Field(sa_type=BigInteger, description="Lines that are comments")
    footer: int = Field(sa_type=BigInteger, description="Lines below the last row, such as totals")
    delivered: int = Field(sa_type=BigInteger, description="Lines that hold rows of bars, good or bad")
    problem: str | None = Field(
        default=None, sa_type=String(1000), description="Why it could not be read, or what must be stated of it"
    )
    passed_over: bool = Field(description="Whether it is none of bars, and was not read")
    gone: bool = Field(
        default=False, sa_column_kwargs=DEFAULT_FALSE, description="Whether the source did not have it any more"
    )
    run_id: str | None = Field(default=None, sa_type=String(50), description="Run that read it")
    read_at: NaiveDatetime = Field(
        sa_column_kwargs={"server_default": func.clock_timestamp()}, description="When it was read"
    )
    digest: str | None = Field(
        default=None, sa_type=String(64), description="SHA-256 of its content, unpacked; null: it held no bars"
    )
    file_id: int | None = Field(
        default=None,
        sa_type=BigInteger,
        index=True,
        description="Stands for its name and its digest in bars that came from it",
    )


class ComputedSession(Table, table=True):
    """When an asset's rows of a market's session were computed, and when they last changed.

    Extension: the whole table, because a correction must be traced through look-backs of any length.
    """

    __tablename__ = "computed_sessions"
    __table_args__ = (
        UniqueConstraint("asset", "market", "session"),
        {"info": {"key": ("asset", "market", "session")}},
    )

    id: UUID = primary_key("Unique computation identifier")
    asset: str = Field(sa_type=String(50), description="Asset that was computed")
    market: str = Field(sa_type=String(50), description="Market it was computed for")
    session: NaiveDatetime = Field(description="Session it was computed for")
    computed_at: NaiveDatetime = Field(description="When its inputs were about to be read")
    changed_at: NaiveDatetime = Field(description="When its rows last changed")
