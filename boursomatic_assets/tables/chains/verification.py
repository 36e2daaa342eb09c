"""Verification: whether each row is the one that its chain has, and each chain is whole.

What belongs here: the statements that find rows that were altered, removed or added without their chain, and
entries that were. Kept elsewhere: the heads that were seen before (`heads.py`).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.staging import quote
from boursomatic_assets.vocabulary import CHAINED_TABLES

TIMES = {"recommendations": "as_of", "model_versions": "as_of", "model_decisions": "decided_at"}
"""The time of a row that its entry holds."""


@dataclass(frozen=True)
class Difference:
    """What is not as its chain says.

    Attributes:
        what: altered, removed, added, superseded, entry or head.
        table: the table.
        row_id: the id of the row, None for an entry or a head.
        time: the row's session, or when it was decided.
        detail: what is wrong, in a few words.
        market: the market of the chain that has the row, None if no chain was asked.
    """

    what: str
    table: str
    row_id: str | None
    time: dt.datetime | None
    detail: str
    market: str | None = None

    def __str__(self) -> str:
        """One line that names the row by its date and id."""
        row = f" {self.time:%Y-%m-%d} {self.row_id}" if self.row_id and self.time else ""
        return f"{self.table}{row}: {self.detail}"


_LINKS = """
SELECT table_name, market, place, number, created_at,
    content = audit_content(table_name, market, kind, columns, row_ids, times, digests) AS sound,
    digest = sha256(coalesce(before, '') || content || convert_to(number::text, 'UTF8')) AS linked
FROM (
    SELECT e.*, lag(digest) OVER chain AS before, row_number() OVER chain AS place
    FROM audit_entries e WHERE number IS NOT NULL WINDOW chain AS (PARTITION BY table_name, market ORDER BY number)
) e
"""

_BROKEN = f"SELECT * FROM ({_LINKS}) l WHERE NOT sound OR NOT linked OR place <> number ORDER BY 1, 2, place"

_HEADS = """
SELECT table_name, market, h.number, last.number AS found
FROM audit_heads h FULL JOIN (
    SELECT DISTINCT ON (table_name, market) table_name, market, number, digest
    FROM audit_entries WHERE number IS NOT NULL ORDER BY table_name, market, number DESC
) last USING (table_name, market)
WHERE h.number IS DISTINCT FROM last.number OR h.digest IS DISTINCT FROM last.digest
"""

_RECORDED = """
SELECT row.id, row.time, row.digest, e.market, e.number
FROM audit_entries e, unnest(e.row_ids, e.times, e.digests) AS row(id, time, digest)
WHERE e.table_name = :table AND e.kind = :kind AND e.columns = CAST(:columns AS text[])
    AND (CAST(:start AS timestamp) IS NULL OR row.time >= :start AND row.time < :end)
"""


def verify(connection: Connection, part: Slice | None = None) -> Iterator[Difference]:
    """Compare each chained row with the digest of its chain, and each entry with the one before it.

    The connection sees one snapshot if the caller asks for it. Columns that are not in an entry are not compared:
    `is_active`, and what later migrations add.

    Args:
        connection: of a role that may read the tables.
        part: the slice to which the recommendations are limited; the chains are always verified whole.

    Yields:
        every difference; none if all is as it was written.
    """
    connection.execute(text("SELECT set_config('client_encoding', 'UTF8', true)"))  # as when it was written
    yield from _broken_entries(connection)
    for table in CHAINED_TABLES:
        bounds: dict[str, Any] = {"start": None, "end": None}
        if part is not None and table == "recommendations":
            bounds = {"start": part.start, "end": part.end}
        yield from _changed_rows(connection, table, bounds)
        yield from _unchained_rows(connection, table, bounds)
    yield from _superseded_rows(connection)


def count_rows(connection: Connection) -> dict[str, int]:
    """How many rows of each table are in a chain."""
    query = "SELECT table_name, sum(cardinality(row_ids)) FROM audit_entries WHERE kind = 'inserted' GROUP BY 1"
    return {table: int(rows) for table, rows in connection.execute(text(query))}


def _broken_entries(connection: Connection) -> Iterator[Difference]:
    for entry in connection.execute(text(_BROKEN)):
        if entry.place != entry.number:
            detail = f"entry {entry.place} of its chain {entry.market} is missing"
        else:
            detail = (
                f"entry {entry.number} of its chain {entry.market}, of {entry.created_at:%Y-%m-%d}, was altered"
            )
        yield Difference("entry", entry.table_name, None, None, detail)
        if entry.place != entry.number:
            return  # all later places differ as well
    for head in connection.execute(text(_HEADS)):
        detail = f"its chain {head.market} ends at entry {head.found or 0}, and its head says {head.number or 0}"
        yield Difference("head", head.table_name, None, None, detail)


def _changed_rows(connection: Connection, table: str, bounds: dict[str, Any]) -> Iterator[Difference]:
    """Rows that differ from their digest, or are gone."""
    covered = text("SELECT DISTINCT columns FROM audit_entries WHERE table_name = :table AND kind = 'inserted'")
    for columns in connection.scalars(covered, {"table": table}).all():
        row = ", ".join(f"t.{quote(column)}" for column in columns)
        query = (
            f"SELECT r.id, r.time, r.market, r.number, t.id IS NULL AS gone FROM ({_RECORDED}) r"
            f" LEFT JOIN {quote(table)} t ON t.id = r.id"
            f" WHERE t.id IS NULL OR sha256(record_send(ROW({row}))) <> r.digest"
            " ORDER BY r.time, r.id"
        )
        parameters = {"table": table, "kind": "inserted", "columns": columns, **bounds}
        for found in connection.execute(text(query), parameters):
            what, detail = ("removed", "was removed") if found.gone else ("altered", "was altered")
            entry = f"after entry {found.number} of the chain {found.market}"
            yield Difference(what, table, str(found.id), found.time, f"{detail} {entry}", found.market)


def _unchained_rows(connection: Connection, table: str, bounds: dict[str, Any]) -> Iterator[Difference]:
    """Rows that no entry has, or more than one."""
    time = TIMES[table]
    in_time = f"(CAST(:start AS timestamp) IS NULL OR t.{time} >= :start AND t.{time} < :end)"
    recorded = "SELECT unnest(row_ids) AS id FROM audit_entries WHERE table_name = :table AND kind = 'inserted'"
    query = f"SELECT t.id, t.{time} AS time FROM {quote(table)} t WHERE {in_time} AND t.id NOT IN ({recorded})"
    for found in connection.execute(text(f"{query} ORDER BY time, id"), {"table": table, **bounds}):
        detail = "was added without its chain"
        yield Difference("added", table, str(found.id), found.time, detail)


def _superseded_rows(connection: Connection) -> Iterator[Difference]:
    """Recommendations whose `superseded_at` is not what the last entry about it says."""
    recorded = (
        "SELECT DISTINCT ON (row.id) row.id, row.time"
        " FROM audit_entries e, unnest(e.row_ids, e.times) AS row(id, time)"
        " WHERE e.table_name = 'recommendations' AND e.kind = 'superseded' ORDER BY row.id, e.number DESC"
    )
    query = (
        f"WITH recorded AS MATERIALIZED ({recorded}), stored AS MATERIALIZED"
        " (SELECT id, as_of, superseded_at FROM recommendations WHERE superseded_at IS NOT NULL)"
        " SELECT id, t.as_of, r.time, s.superseded_at FROM recorded r FULL JOIN stored s USING (id)"
        " LEFT JOIN recommendations t USING (id)"
        " WHERE t.id IS NOT NULL AND r.time IS DISTINCT FROM s.superseded_at ORDER BY t.as_of, id"
    )
    for found in connection.execute(text(query)):
        said = f"superseded at {found.time}" if found.time else "never superseded"
        stored = found.superseded_at or "nothing"
        detail = f"superseded_at is {stored}, and its chain says: {said}"
        yield Difference("superseded", "recommendations", str(found.id), found.as_of, detail)
