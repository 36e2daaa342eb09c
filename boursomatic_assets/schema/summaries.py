"""The table of summaries: what each materialised view was made from."""

from uuid import UUID

from sqlalchemy import String, UniqueConstraint
from sqlmodel import Field

from boursomatic_assets.schema._columns import Table, primary_key


class Summary(Table, table=True):
    """A materialised view, and a digest of what it was made from: with another one today it is out of date.

    Extension: the whole table, because a summary must not be taken for newer than it is; an empty one has no row
    that could say so.
    """

    __tablename__ = "summaries"
    __table_args__ = (UniqueConstraint("name"), {"info": {"key": ("name",), "derived": True}})

    id: UUID = primary_key("Unique summary identifier")
    name: str = Field(sa_type=String(50), description="Name of the materialised view")
    sources: str = Field(sa_type=String(32), description="Digest of what it was made from")
