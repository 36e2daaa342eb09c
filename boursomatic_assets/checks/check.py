"""A promise: a function that counts what breaks it, as an asset check.

What belongs here: how a promise counts, rows and whether an index guards them, how it becomes a check, partitioned
like its asset, and what the UI shows of it.
Kept elsewhere: the promises (`checks.py`).
"""

import functools
import inspect
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg
from sqlalchemy import Connection, Index, PrimaryKeyConstraint, UniqueConstraint, text

from boursomatic_assets import database
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_keys
from boursomatic_assets.schema import Table

UNPARTITIONED = ("users", "archive_15m")

SHOWN = 20
"""Findings of a kind that a check shows by name; it counts all of them."""

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


@dataclass(frozen=True)
class Finding:
    """How many rows break a promise (`errors`), how many are only strange (`warnings`), and other figures.

    A figure may be a list of names: the UI shows the first SHOWN of them, and nothing if there are none.
    """

    errors: int = 0
    warnings: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Self) -> "Finding":
        """Findings of two slices as one: counts, numeric figures and lists add up."""
        both = self.figures.keys() & other.figures.keys()
        added = {name: self.figures[name] + other.figures[name] for name in both}
        return Finding(
            self.errors + other.errors,
            self.warnings + other.warnings,
            {**self.figures, **other.figures, **added},
        )


def invariant(
    asset: str, *, blocking: bool = True
) -> Callable[[Callable[..., Finding]], dg.AssetChecksDefinition]:
    """Make a function an asset check of its name, described by its docstring.

    The function takes a connection and, for an asset cut into slices, one slice of the run (`part`), and its
    findings over all slices are added up; or all of them at once (`parts`). Errors fail the check, and stop what
    is downstream if it is blocking; warnings fail it with a lower severity, and stop nothing.
    """

    def decorate(function: Callable[..., Finding]) -> dg.AssetChecksDefinition:
        about = function.__code__.co_varnames[: function.__code__.co_argcount][1:]

        @dg.asset_check(
            asset=asset,
            name=function.__name__,
            description=inspect.getdoc(function),
            blocking=blocking,
            partitions_def=None if asset in UNPARTITIONED else MARKET_SESSIONS,
        )
        def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            with _snapshot() as connection:
                if not about:
                    return _result(function(connection))
                if about == ("parts",):
                    return _result(function(connection, slices_of_keys(context.partition_keys)))
                findings = (function(connection, part) for part in slices_of_keys(context.partition_keys))
                return _result(functools.reduce(operator.add, findings))

        return check

    return decorate


@contextmanager
def _snapshot() -> Iterator[Connection]:
    """A connection that sees the tables as they are now until its end, whatever other runs write meanwhile."""
    with database.engine().connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ")


def count(connection: Connection, violations: str, given: dict[str, Any]) -> Finding:
    """A finding with one error for each row of `FROM breaches`."""
    return Finding(errors=connection.scalar(text(f"SELECT count(*) FROM {violations}"), given) or 0)


def unique(
    connection: Connection, index: str, rows: str, columns: str, given: dict[str, Any] | None = None
) -> Finding:
    """A finding with one error for each surplus row of a key, and one if its unique index is not at work."""
    surplus = f"(SELECT count(*) - 1 AS n FROM {rows} GROUP BY {columns} HAVING count(*) > 1) d"
    repeated = connection.scalar(text(f"SELECT coalesce(sum(n), 0)::int FROM {surplus}"), given or {}) or 0
    return Finding(errors=repeated, figures={"repeated": repeated}) + guarded(connection, index)


def guarded(connection: Connection, index: str) -> Finding:
    """A finding with one error if a unique index is not at work on the table, columns and rows of its model."""
    at_work = bool(connection.scalar(text(INDEX_IN_FORCE), _declared_index(index)))
    return Finding(errors=not at_work, figures={"index_at_work": at_work})


def _declared_index(index: str) -> dict[str, object]:
    """What the models say of the unique index, constraint or primary key of this name, as bound parameters."""
    for table in Table.metadata.tables.values():
        for one in (*table.indexes, *table.constraints):
            if isinstance(one, Index | UniqueConstraint | PrimaryKeyConstraint) and one.name == index:
                where = one.dialect_options["postgresql"]["where"] if isinstance(one, Index) else None
                rows = None if where is None else str(where)
                return {"index": index, "table": table.name, "columns": one.columns.keys(), "rows": rows}
    raise ValueError(f"no model declares {index!r}: name a unique index of models.py")


def _result(finding: Finding) -> dg.AssetCheckResult:
    shown = {
        name: "; ".join(figure[:SHOWN]) if isinstance(figure, list) else figure
        for name, figure in finding.figures.items()
        if figure != []
    }
    return dg.AssetCheckResult(
        passed=not finding.errors and not finding.warnings,
        severity=dg.AssetCheckSeverity.ERROR if finding.errors else dg.AssetCheckSeverity.WARN,
        metadata={"errors": finding.errors, "warnings": finding.warnings, **shown},
    )
