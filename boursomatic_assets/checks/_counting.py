"""How a check counts: the rows of a slice as SQL, and how many of them break a rule.

What belongs here: `FROM` clauses of the tables, cut to a slice's sessions and market; counts of violations, of
duplicates, and of stale sessions; whether a unique index is in force.
Kept elsewhere: the invariants themselves (one file a subject), how one becomes an asset check (`invariant.py`).
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Index, PrimaryKeyConstraint, UniqueConstraint, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.invariant import Finding
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.schema import Table
from boursomatic_assets.tables import staleness

WITHOUT_INSTRUMENT = "t.instrument_id NOT IN (SELECT id FROM instruments)"
IN_MARKET = "t.instrument_id NOT IN (SELECT id FROM instruments WHERE exchange <> ALL(:exchanges))"
"""Rows of a market, and rows without an instrument: PostgreSQL hashes the ids once, and looks each row up.

A join is as slow as its plan: if the statistics say that a market has one instrument, it compares row by row.
"""

OF_SLICE = f"t.ts >= :start AND t.ts < :end AND {IN_MARKET}"
DAILY_BARS = f"price_bars t WHERE t.interval = 'daily' AND {OF_SLICE}"
BARS_15M = DAILY_BARS.replace("'daily'", "'15m'")
FEATURE_ROWS = f"features t WHERE {OF_SLICE}"
RECOMMENDATION_ROWS = f"recommendations t WHERE {OF_SLICE.replace('t.ts', 't.as_of')}"

INDEX_IN_FORCE = """
SELECT true FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
WHERE c.relname = :index AND x.indrelid = to_regclass(:table)
    AND x.indisunique AND x.indisvalid AND x.indisready AND x.indimmediate AND x.indexprs IS NULL
    AND ARRAY(
        SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
        WHERE k.place <= x.indnkeyatts ORDER BY k.place
    ) = CAST(:columns AS text[])
    AND btrim(pg_get_expr(x.indpred, x.indrelid), '()') IS NOT DISTINCT FROM CAST(:rows AS text)
"""


def count_violations(connection: Connection, violations: str, parameters: dict[str, Any]) -> Finding:
    """A finding with one error for each row of `FROM violations`."""
    return Finding(errors=connection.scalar(text(f"SELECT count(*) FROM {violations}"), parameters) or 0)


def count_duplicates(
    connection: Connection, index: str, rows: str, columns: str, parameters: dict[str, Any] | None = None
) -> Finding:
    """A finding with one error for each surplus row of a key, and one if its unique index is not in force."""
    surplus_rows = f"(SELECT count(*) - 1 AS n FROM {rows} GROUP BY {columns} HAVING count(*) > 1) d"
    repeated = (
        connection.scalar(text(f"SELECT coalesce(sum(n), 0)::int FROM {surplus_rows}"), parameters or {}) or 0
    )
    return Finding(errors=repeated, figures={"repeated": repeated}) + check_unique_index(connection, index)


def check_unique_index(connection: Connection, index: str) -> Finding:
    """A finding with one error if a unique index is not in force on the table, columns and rows of its model."""
    in_force = bool(connection.scalar(text(INDEX_IN_FORCE), _declared_index(index)))
    return Finding(errors=not in_force, figures={"index_at_work": in_force})


def _declared_index(index: str) -> dict[str, object]:
    """What the models declare for the unique index, constraint or primary key of this name, as bound parameters.

    Raises:
        ValueError: no model declares that name.
    """
    for table in Table.metadata.tables.values():
        for constraint in (*table.indexes, *table.constraints):
            if (
                isinstance(constraint, Index | UniqueConstraint | PrimaryKeyConstraint)
                and constraint.name == index
            ):
                options = constraint.dialect_options["postgresql"] if isinstance(constraint, Index) else {}
                predicate = options.get("where")
                rows = None if predicate is None else str(predicate)
                return {"index": index, "table": table.name, "columns": constraint.columns.keys(), "rows": rows}
    raise ValueError(f"no model declares {index!r}: name a unique index of a model in schema/")


def count_stale_sessions(connection: Connection, asset: str, parts: Sequence[Slice]) -> Finding:
    """A finding with one warning for each stale session, up to the last one that looks back on these slices."""
    stale: set[tuple[str, dt.date]] = set()
    for part in parts:
        stale_in_slice = staleness.stale_sessions(connection, asset, part.looking_ahead(LOOKBACK))
        stale |= {(part.market.name, session) for session in stale_in_slice}
    sessions = sorted(session for _, session in stale)
    return Finding(warnings=len(stale), figures={"sessions": f"{sessions[0]} .. {sessions[-1]}"} if stale else {})
