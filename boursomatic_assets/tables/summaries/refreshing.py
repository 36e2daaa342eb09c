"""Refreshing: summaries as they should be now, and those that are out of date.

What belongs here: the questions to the database, which does the work. Kept elsewhere: what a summary holds, and
what it is made from (migration 0021).
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from boursomatic_assets.tables.reading import keep_tables
from boursomatic_assets.tables.staging import transaction

SUMMARIES: Final = ("advice_by_sector", "track_record_by_month", "coverage_by_month")

_SOURCES = text("SELECT summary_sources()")

_OUTDATED = text("""
SELECT name FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS s (name, place)
LEFT JOIN summaries made USING (name) WHERE made.sources IS DISTINCT FROM :sources ORDER BY place
""")


@dataclass(frozen=True)
class Extent:
    """What a summary holds.

    Attributes:
        rows: how many rows it has.
        as_of: the newest session that it speaks for; None without a row.
    """

    rows: int
    as_of: dt.datetime | None

    def __str__(self) -> str:
        return f"{self.rows:,} rows, up to {self.as_of:%Y-%m-%d}" if self.as_of else "no rows"


def refresh(name: str) -> Extent:
    """Make a summary anew; who reads it meanwhile sees the former one."""
    with transaction() as connection:
        keep_tables(connection)
        connection.execute(text("SELECT refresh_summary(:name)"), {"name": name})
        return extent(connection, name)


def extent(connection: Connection, name: str) -> Extent:
    """What a summary holds."""
    if name not in SUMMARIES:
        raise ValueError(f"there is no summary {name!r}: choose from {', '.join(SUMMARIES)}")
    return Extent(*connection.execute(text(f"SELECT count(*), max(as_of) FROM {name}")).one())  # nosec B608


def sources(connection: Connection) -> str:
    """A digest of what summaries are made from."""
    return str(connection.scalar(_SOURCES))


def outdated(connection: Connection) -> Sequence[str]:
    """The summaries that are not made from what is there now."""
    return connection.scalars(_OUTDATED, {"names": list(SUMMARIES), "sources": sources(connection)}).all()
