"""How a check counts: the rows of a slice as SQL, and how many of them break a rule on each session.

What belongs here: `FROM` clauses of the tables, cut to a slice's sessions and market; counts of violations, of
duplicates, and of stale sessions; whether a unique index is in force.
Kept elsewhere: the invariants themselves (one file a subject), how one becomes an asset check
(`checks/invariant.py`).
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Index, PrimaryKeyConstraint, UniqueConstraint, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.finding import Finding, on_sessions
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.schema import Table
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.staging import bounds

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
WHERE c.relname = :index AND x.indrelid = to_regclass('public.' || :table)
    AND x.indisunique AND x.indisvalid AND x.indisready AND x.indimmediate AND x.indexprs IS NULL
    AND ARRAY(
        SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
        WHERE k.place <= x.indnkeyatts ORDER BY k.place
    ) = CAST(:columns AS text[])
    AND btrim(pg_get_expr(x.indpred, x.indrelid), '()') IS NOT DISTINCT FROM CAST(:rows AS text)
"""


def count_violations(
    connection: Connection,
    violations: str,
    parameters: dict[str, Any],
    part: Slice | None = None,
    time: str = "t.ts",
) -> Finding:
    """A finding with one error for each row of `FROM violations`.

    Args:
        connection: An open connection.
        violations: The rows.
        parameters: Their bound parameters.
        part: The slice of which they are; without one they belong to no session.
        time: The time of a row, from which its session follows; null for none.
    """
    if part is None:
        return Finding(errors=connection.scalar(text(f"SELECT count(*) FROM {violations}"), parameters) or 0)
    by_date = text(f"SELECT ({time})::date, count(*)::int FROM {violations} GROUP BY 1")
    return on_sessions(part.market.name, errors=counts_of(connection.execute(by_date, parameters)))


def counts_of(rows: Iterable[Any]) -> dict[dt.date | None, int]:
    """Counts by date, of rows of a date and a count."""
    return {date: count for date, count in rows}  # noqa: C416 - rows of SQLAlchemy are no pairs to a type checker


def count_duplicates(
    connection: Connection,
    index: str,
    rows: str,
    columns: str,
    part: Slice | None = None,
    time: str = "t.ts",
) -> Finding:
    """A finding with one error for each surplus row of a key, and one if its unique index is not in force.

    Args:
        connection: An open connection.
        index: The name of the unique index.
        rows: A `FROM` clause of the rows.
        columns: The columns of the key.
        part: The slice of which the rows are; without one they belong to no session.
        time: The time of a row, from which its session follows.
    """
    date = f"max({time})::date" if part else "NULL::date"
    surplus_rows = (
        f"(SELECT {date} AS day, count(*) - 1 AS n FROM {rows} GROUP BY {columns} HAVING count(*) > 1) d"
    )
    found = connection.execute(
        text(f"SELECT day, sum(n)::int FROM {surplus_rows} GROUP BY 1"), bounds(part) if part else {}
    )
    by_date = counts_of(found)
    repeated = sum(by_date.values())
    figures = {"repeated": repeated}
    surplus = (
        on_sessions(part.market.name, errors=by_date, figures=figures)
        if part
        else Finding(errors=repeated, figures=figures)
    )
    return surplus + check_unique_index(connection, index)


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
    stale: dict[str, set[dt.date]] = {}
    for part in parts:
        stale_in_slice = staleness.stale_sessions(connection, asset, part.looking_ahead(LOOKBACK))
        stale.setdefault(part.market.name, set()).update(stale_in_slice)
    findings = (on_sessions(market, warnings=dict.fromkeys(dates, 1)) for market, dates in stale.items())
    return sum(findings, Finding())
