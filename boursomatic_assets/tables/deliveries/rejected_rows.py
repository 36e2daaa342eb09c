"""Rejected rows: stored as delivered, deleted when a later delivery has them without a fault.

What belongs here: writing `rejected_bars`, counting and describing its rows. Kept elsewhere: why a row is rejected
(`quality/contract.py`).
"""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Table, func, select, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.contract import INCOMPLETE_REASONS
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import RejectedBar
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.deliveries import files
from boursomatic_assets.tables.staging import quote, stage

REJECTED_BARS: Table = RejectedBar.__table__

HINTS = {
    "symbol is of an unknown form": "write tickers such as MC.PA, or state `exchange:` in columns.yaml",
    "price is of an unknown form": "mend the cell, or state `decimal:` in columns.yaml",
    "volume is of an unknown form": "mend the cell, or state `decimal:` in columns.yaml",
    "time is of an unknown form": "mend the cell, or state `dates:` and `zone:` in columns.yaml",
    "bars lie weeks apart: they are no daily ones": "deliver daily bars",
}
"""What to do about rows that could not be read, by reason."""

MAX_CELLS = 120
"""Letters of a row that are shown."""


def record(connection: Connection, part: Slice, delivery: Delivery, run_id: str, interval: str = "daily") -> int:
    """Make the rejected rows of the delivered sessions equal to those of a delivery.

    A row that was rejected before keeps its first run and time. Rows without a readable time belong to no session,
    and are replaced with every delivery.

    Args:
        connection: the transaction that also writes the kept rows.
        part: the slice that was delivered; rejected rows of other slices stay.
        delivery: the rejected rows, and the sessions that were delivered.
        run_id: the run that rejects them.
        interval: the interval of the delivery, `daily` or `15m`.

    Returns:
        How many rows are rejected.
    """
    delivery = delivery.for_slice(part)
    sessions = delivery.counts["session"].drop_nulls().unique()
    if delivery.counts.is_empty():
        return 0
    rejected = _with_stored_names(delivery.rejected.unique("id", maintain_order=True))
    scope = {"market": part.market.name, "interval": interval, "sessions": sessions.to_list()}
    query = text(
        "SELECT id::text FROM rejected_bars WHERE market = :market AND interval = :interval"
        " AND (session IS NULL OR session = ANY(:sessions))"
    )
    stored_ids = set(connection.scalars(query, scope))
    new = rejected.filter(~pl.col("id").is_in(stored_ids))
    replace(connection, stored_ids - set(rejected["id"]), new, run_id)
    return rejected.height


def _with_stored_names(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with their files' names as the ledger of files has them."""
    names = rows["file"].drop_nulls().unique()
    return rows.with_columns(
        pl.col("file").replace(names, pl.Series(map(files.stored_name, names), dtype=pl.String))
    )


def replace(connection: Connection, cleared: Collection[str], new: pl.DataFrame, run_id: str) -> None:
    """Delete the rows of some ids, and insert others; one that is there already stays as it is.

    Args:
        connection: a transaction.
        cleared: the ids of the rows to delete.
        new: rows with the columns of `rejected_bars` but for the run.
        run_id: the run that rejects the new ones.
    """
    if cleared:
        connection.execute(text("DELETE FROM rejected_bars WHERE id = ANY(:ids)"), {"ids": [*map(UUID, cleared)]})
    if new.height:
        _insert(connection, frames.validate(REJECTED_BARS, new.with_columns(run_id=pl.lit(run_id))))


def _insert(connection: Connection, rows: pl.DataFrame) -> None:
    columns = ", ".join(map(quote, rows.columns))
    staged = stage(connection, REJECTED_BARS, rows)
    connection.exec_driver_sql(
        f"INSERT INTO rejected_bars ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING"
    )


def origins(connection: Connection, ids: pl.Series) -> pl.DataFrame:
    """The file and line of some rows, as bars name them: id, file_id, line.

    The file is what was read of it last before the row was rejected. Rows of no file, or of one that was read
    before contents were kept, are left out.
    """
    query = text(
        "SELECT r.id::text, f.file_id, r.line FROM rejected_bars r CROSS JOIN LATERAL (SELECT n.file_id"
        "   FROM delivered_files n WHERE (n.source, n.file) = (r.source, r.file) AND n.read_at <= r.rejected_at"
        "   ORDER BY n.read_at DESC LIMIT 1) f WHERE r.id = ANY(CAST(:ids AS uuid[])) AND f.file_id IS NOT NULL"
    )
    schema = {"id": pl.String(), "file_id": pl.Int64(), "line": pl.Int32()}
    return pl.DataFrame(connection.execute(query, {"ids": ids.to_list()}).all(), schema, orient="row")


def count_by_reason(connection: Connection, limit: int) -> dict[str, int]:
    """How many rows have each of the most frequent reasons; an index holds all that is read."""
    reason, rows = REJECTED_BARS.c.reason, func.count().label("rows")
    query = select(reason, rows).group_by(reason).order_by(rows.desc(), reason).limit(limit)
    return {row.reason: row.rows for row in connection.execute(query)}


def describe(
    connection: Connection, condition: str, parameters: Mapping[str, object], limit: int = 20
) -> list[str]:
    """Describe the first of some rejected rows: where they were delivered, and why they were rejected.

    Missing instruments and files come first. A file that cannot be parsed is recorded for every market, and
    described once. Of the rows of one file and reason the first is described, and the others are counted.

    Args:
        connection: a connection.
        condition: SQL on `rejected_bars r`.
        parameters: the parameters of the condition.
        limit: how many descriptions are returned at most; a file's rows of one reason are one.
    """
    group = "PARTITION BY file, reason, CASE WHEN line IS NULL THEN id END"
    rows = connection.execute(
        text(
            f"SELECT file, line, raw, session::date, reason, n FROM rejected_bars JOIN (SELECT id, count(*) OVER"
            f"   ({group}) AS n, row_number() OVER ({group} ORDER BY line, session, id) AS place"
            f"   FROM rejected_bars r WHERE {condition}) grouped USING (id) WHERE place = 1"
            " ORDER BY reason <> ALL(:incomplete), file, line, session, id LIMIT :rows"
        ),
        {**parameters, "incomplete": list(INCOMPLETE_REASONS), "rows": limit * len(MARKETS)},
    )
    return [*dict.fromkeys(_describe_group(*row) for row in rows)][:limit]


def _describe_group(
    file: str | None, line: int | None, raw: dict[str, Any], session: object, reason: str, count: int
) -> str:
    """The first row of some of one file and reason, and how many more there are."""
    described = _describe_row(file, line, raw, session, reason)
    if count == 1:
        return described
    return f"{described}, and {count - 1:,} more {'row' if count == 2 else 'rows'} of {file}"


def _describe_row(file: str | None, line: int | None, raw: dict[str, Any], session: object, reason: str) -> str:
    """A file's error, else file and line, symbol, time and reason, as far as they are known."""
    explanation = str(raw.get("error", reason))
    location = f"{file}:{line}" if file and line else file
    if file and explanation.startswith(f"{file}:"):
        return explanation
    time = str(raw.get("ts") or session or "").removesuffix(".000000").removesuffix(" 00:00:00")
    subject = " ".join(filter(None, (location, raw.get("symbol"), time)))
    return f"{subject}: {explanation}{_hint(reason, raw)}"


def _hint(reason: str, raw: dict[str, Any]) -> str:
    """What the row says, and what mends it, where its form is not understood."""
    if reason not in HINTS:
        return ""
    cells = ", ".join(f"{header} {cell}" for header, cell in raw.items() if cell is not None)
    shown = cells if len(cells) <= MAX_CELLS else f"{cells[:MAX_CELLS]}\N{HORIZONTAL ELLIPSIS}"
    return f" ({shown}): {HINTS[reason]}"
