"""An invariant: a function that counts its violations, turned into an asset check.

What belongs here: the finding that an invariant returns, the decorator that makes it an asset check with the
partitions of its asset, what the UI shows of a finding.
Kept elsewhere: the invariants (one file a subject), how violations are counted in SQL (`_counting.py`).
"""

import functools
import inspect
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg
from sqlalchemy import Connection

from boursomatic_assets import database
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_keys

UNPARTITIONED_ASSETS = ("users", "archive_15m")

MAX_NAMED = 20
"""Violations of a kind that a check lists by name; it counts all of them."""


@dataclass(frozen=True)
class Finding:
    """How many rows violate an invariant (`errors`) or are only unusual (`warnings`), and other figures.

    A figure may be a list of names: the UI shows the first MAX_NAMED of them, and leaves an empty list out.
    """

    errors: int = 0
    warnings: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Self) -> "Finding":
        """The finding of both together: counts, numeric figures and lists are added."""
        shared = self.figures.keys() & other.figures.keys()
        sums = {name: self.figures[name] + other.figures[name] for name in shared}
        return Finding(
            self.errors + other.errors,
            self.warnings + other.warnings,
            {**self.figures, **other.figures, **sums},
        )


def invariant(
    asset: str, *, blocking: bool = True
) -> Callable[[Callable[..., Finding]], dg.AssetChecksDefinition]:
    """Make a function an asset check, with the function's name and its docstring as the description.

    The function takes a connection. For a partitioned asset it also takes one slice of the run (`part`), and the
    findings of all slices are added; or it takes all slices at once (`parts`). Errors fail the check, and stop
    downstream assets if the check is blocking; warnings fail it with severity WARN, and stop nothing.
    """

    def decorate(function: Callable[..., Finding]) -> dg.AssetChecksDefinition:
        arguments = function.__code__.co_varnames[: function.__code__.co_argcount][1:]

        @dg.asset_check(
            asset=asset,
            name=function.__name__,
            description=inspect.getdoc(function),
            blocking=blocking,
            partitions_def=None if asset in UNPARTITIONED_ASSETS else MARKET_SESSIONS,
        )
        def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            with _open_snapshot() as connection:
                if not arguments:
                    return _to_result(function(connection))
                if arguments == ("parts",):
                    return _to_result(function(connection, slices_of_keys(context.partition_keys)))
                findings = (function(connection, part) for part in slices_of_keys(context.partition_keys))
                return _to_result(functools.reduce(operator.add, findings))

        return check

    return decorate


@contextmanager
def _open_snapshot() -> Iterator[Connection]:
    """A connection that sees one snapshot of the tables, whatever other runs commit meanwhile."""
    with database.engine().connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ")


def _to_result(finding: Finding) -> dg.AssetCheckResult:
    figures = {
        name: "; ".join(figure[:MAX_NAMED]) if isinstance(figure, list) else figure
        for name, figure in finding.figures.items()
        if figure != []
    }
    return dg.AssetCheckResult(
        passed=not finding.errors and not finding.warnings,
        severity=dg.AssetCheckSeverity.ERROR if finding.errors else dg.AssetCheckSeverity.WARN,
        metadata={"errors": finding.errors, "warnings": finding.warnings, **figures},
    )
