"""Refused rows: kept as they came, cleared when they are delivered again in order.

What belongs here: writing `rejected_bars`. Kept elsewhere: why a row is refused (`contracts.py`).
"""

import polars as pl
from sqlalchemy import Connection, Table, text

from boursomatic_assets import frames
from boursomatic_assets.models import RejectedBar
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import stage

REJECTED_BARS: Table = RejectedBar.__table__


def record(connection: Connection, part: Slice, kept: pl.DataFrame, rejected: pl.DataFrame, run_id: str) -> int:
    """Make the refusals of the sessions that were delivered equal to `rejected`; returns how many there are.

    A row that was refused before stays with its first run and time. Rows without a readable time belong to
    no session, and are replaced with every delivery.

    Args:
        connection: the transaction that also writes the kept rows.
        part: the slice that was delivered.
        kept: its good rows; only their sessions matter.
        rejected: refused rows of this and maybe other slices, as in `contracts.Delivery`.
        run_id: the run that refused them.
    """
    in_part = pl.col("session").is_between(part.start, part.end, closed="left") | pl.col("session").is_null()
    rejected = rejected.filter((pl.col("market") == part.market.name) & in_part).unique("id", maintain_order=True)
    sessions = pl.concat([kept["ts"], rejected["session"].drop_nulls()]).unique()
    if kept.is_empty() and rejected.is_empty():
        return 0
    rows = frames.check(REJECTED_BARS, rejected.with_columns(run_id=pl.lit(run_id)))
    staged = stage(connection, REJECTED_BARS, rows)
    connection.execute(
        text(
            "DELETE FROM rejected_bars t WHERE market = :market"
            " AND (session IS NULL OR session = ANY(:sessions))"
            f" AND NOT EXISTS (SELECT FROM {staged} s WHERE s.id = t.id)"
        ),
        {"market": part.market.name, "sessions": sessions.to_list()},
    )
    columns = ", ".join(rows.columns)
    connection.exec_driver_sql(
        f"INSERT INTO rejected_bars ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING"
    )
    return rows.height
