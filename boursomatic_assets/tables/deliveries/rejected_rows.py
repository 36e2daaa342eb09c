"""Rejected rows: stored as delivered, deleted when a later delivery has them without a fault.

What belongs here: writing `rejected_bars`, and describing its rows. Kept elsewhere: why a row is rejected
(`quality/contract.py`).
"""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Table, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.contract import INCOMPLETE_REASONS
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import RejectedBar
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.staging import quote, stage

REJECTED_BARS: Table = RejectedBar.__table__


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
    rejected = delivery.rejected.unique("id", maintain_order=True)
    scope = {"market": part.market.name, "interval": interval, "sessions": sessions.to_list()}
    query = text(
        "SELECT id::text FROM rejected_bars WHERE market = :market AND interval = :interval"
        " AND (session IS NULL OR session = ANY(:sessions))"
    )
    stored_ids = set(connection.scalars(query, scope))
    new = rejected.filter(~pl.col("id").is_in(stored_ids))
    replace(connection, stored_ids - set(rejected["id"]), new, run_id)
    return rejected.height


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


def describe(
    connection: Connection, condition: str, parameters: Mapping[str, object], limit: int = 20
) -> list[str]:
    """Describe the first of some rejected rows: where they were delivered, and why they were rejected.

    Missing instruments and files come first. A file that cannot be parsed is recorded for every market, and
    described once.

    Args:
        connection: a connection.
        condition: SQL on `rejected_bars r`.
        parameters: the parameters of the condition.
        limit: how many descriptions are returned at most.
    """
    rows = connection.execute(
        text(
            f"SELECT file, line, raw, session::date, reason FROM rejected_bars r WHERE {condition}"
            " ORDER BY reason <> ALL(:incomplete), file, line, session, id LIMIT :rows"
        ),
        {**parameters, "incomplete": list(INCOMPLETE_REASONS), "rows": limit * len(MARKETS)},
    )
    return [*dict.fromkeys(_describe_row(*row) for row in rows)][:limit]


def _describe_row(file: str | None, line: int | None, raw: dict[str, Any], session: object, reason: str) -> str:
    """A file's error, else file and line, symbol, time and reason, as far as they are known."""
    explanation = str(raw.get("error", reason))
    location = f"{file}:{line}" if file and line else file
    if file and explanation.startswith(f"{file}:"):
        return explanation
    time = str(raw.get("ts") or session or "").removesuffix(".000000").removesuffix(" 00:00:00")
    return " ".join(filter(None, (location, raw.get("symbol"), time))) + f": {explanation}"
