"""The table of claims: which runs go on, where, and which may still write."""

from typing import Final
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import CheckConstraint, String, UniqueConstraint, text
from sqlmodel import Field

from boursomatic_assets.schema._columns import Table, defaulting_to_now, primary_key

LONGEST_HOST: Final = 255


class RunClaim(Table, table=True):
    """One run that goes on, or that was given up and may write no more; a run that ended by itself has no row.

    Extension: the whole table, because a run whose process is gone must be seen, and one that was given up and
    wakes later must not write. Each transaction of a run that writes requires `epoch` to be 0.
    """

    __tablename__ = "run_claims"
    __table_args__ = (
        UniqueConstraint("run_id"),
        CheckConstraint("epoch >= 0", name="epoch"),
        {"info": {"key": ("run_id",)}},
    )

    id: UUID = primary_key("Unique claim identifier")
    run_id: str = Field(sa_type=String(36), description="Dagster's id of the run")
    epoch: int = Field(
        default=0,
        sa_column_kwargs={"server_default": text("0")},
        description="0 as long as it may write, more once it was given up",
    )
    host: str = Field(sa_type=String(LONGEST_HOST), description="Machine that it runs on")
    pid: int = Field(description="Its process there")
    claimed_at: NaiveDatetime = defaulting_to_now("When it began")
    seen_at: NaiveDatetime = defaulting_to_now("When its process last said that it lives")
