"""An invariant: a function that counts its violations, turned into an asset check.

What belongs here: the decorator that makes it an asset check with the partitions of its asset, the list of all
invariants, their evaluation on some slices, with Dagster and without.
Kept elsewhere: the invariants (one file a subject), what they find and how it is told (`findings/`).
"""

import functools
import importlib
import inspect
import operator
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import dagster as dg
from sqlalchemy import Connection

from boursomatic_assets import checks, database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.finding import MAX_NAMED as MAX_NAMED
from boursomatic_assets.checks.findings.finding import Finding as Finding
from boursomatic_assets.checks.findings.finding import on_sessions as on_sessions
from boursomatic_assets.checks.findings.loaded import loaded_slices
from boursomatic_assets.checks.findings.results import to_result
from boursomatic_assets.database import replica
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_keys
from boursomatic_assets.stores.archive_files import ArchiveFileError
from boursomatic_assets.tables.archive import shown
from boursomatic_assets.tables.reading import cold, see_one_moment

BESIDE = {
    "price_bars": ("price_bars",),
    "price_bars_15m": ("price_bars",),
    "features": cold.ASSETS,
    "recommendations": cold.ASSETS,
    "track_record": ("price_bars",),
}
"""Whose rows the rules of an asset look at in SQL, of those assets that cold storage may hold."""

UNPARTITIONED_ASSETS = ("users", "archive_15m", "cold_storage")


@dataclass(frozen=True)
class Invariant:
    """A rule about the rows of an asset.

    Attributes:
        asset: The asset.
        name: The name of the check.
        description: What is true of every row.
        function: Counts the violations, as `invariant` says.
        argument: `part`, `parts`, or None: what the function takes besides the connection.
    """

    asset: str
    name: str
    description: str
    function: Callable[..., Finding]
    argument: str | None

    @property
    def partitioned(self) -> bool:
        """Whether its asset has partitions."""
        return self.asset not in UNPARTITIONED_ASSETS

    def find(self, connection: Connection, parts: Sequence[Slice]) -> Finding:
        """What breaks the rule in some slices, or in the whole table if it has no sessions."""
        if self.argument is None:
            return self.function(connection)
        try:
            shown.show(connection, BESIDE.get(self.asset, ()), parts)
        except ArchiveFileError as error:
            return Finding(errors=1, figures={"not_looked_at": str(error)})
        if self.argument == "parts":
            return self.function(connection, parts)
        return functools.reduce(operator.add, (self.function(connection, part) for part in parts), Finding())


_INVARIANTS: list[Invariant] = []


def invariant(
    asset: str, *, blocking: bool = True
) -> Callable[[Callable[..., Finding]], dg.AssetChecksDefinition]:
    """Make a function an asset check, with the function's name and its docstring as the description.

    The function takes a connection. For a partitioned asset it also takes one slice of the run (`part`), and the
    findings of all slices are added; or it takes all slices at once (`parts`). Errors fail the check, and stop
    downstream assets if the check is blocking; warnings fail it with severity WARN, and stop nothing. A run
    without a partition looks at all loaded sessions of both markets.
    """

    def decorate(function: Callable[..., Finding]) -> dg.AssetChecksDefinition:
        arguments = function.__code__.co_varnames[: function.__code__.co_argcount][1:]
        rule = Invariant(
            asset, function.__name__, inspect.getdoc(function) or "", function, next(iter(arguments), None)
        )
        _INVARIANTS.append(rule)

        @dg.asset_check(
            asset=asset,
            name=rule.name,
            description=rule.description,
            blocking=blocking,
            partitions_def=MARKET_SESSIONS if rule.partitioned else None,
        )
        def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            dated = rule.partitioned and context.op_execution_context.has_partitions
            keys = context.partition_keys if dated else None
            return database.again(lambda: _look(rule, keys))

        return check

    return decorate


def _look(rule: Invariant, keys: Sequence[str] | None) -> dg.AssetCheckResult:
    """The result of a check for some partitions; None: for all that is loaded."""
    with replica.reading(verified=True), open_snapshot() as connection:
        if not rule.partitioned:
            return to_result(rule.find(connection, ()))
        if keys is not None:
            return to_result(rule.find(connection, slices_of_keys(keys)))
        parts = loaded_slices(connection, rule.asset)
        return to_result(rule.find(connection, parts), looked_at=parts)


def all_invariants() -> list[Invariant]:
    """Every invariant, in the order of the files and of the functions in them."""
    for module in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}."):
        importlib.import_module(module.name)
    return list(_INVARIANTS)


@contextmanager
def open_snapshot() -> Iterator[Connection]:
    """A connection that sees one snapshot of the tables, whatever other runs commit meanwhile; it only reads.

    Once years are in cold storage it is the primary's: on a replica nobody can show their rows.
    """
    with database.engine().connect() as connection:
        any_cold = any(cold.years_seen(connection, asset) for asset in cold.ASSETS)
    with replica.from_primary() if any_cold else nullcontext(), database.engine().connect() as connection:
        see_one_moment(connection)
        yield connection
