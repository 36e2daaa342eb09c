"""Which neighbouring dates of date x market partitions look alike, as the UI draws them.

What belongs here: how partitions become the ranges that a page asks for. Kept elsewhere: which partitions have
which colour (`check_states.py`, Dagster itself).

Dagster parses each key, and makes a set for each date, for each asset and check of a page: seconds for ten years.
Here a key is split, and two dates are compared by what they have.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.subset import PartitionsSubset

SERVED_BY = ("dagster_graphql.implementation.fetch_assets", "dagster_graphql.implementation.fetch_asset_checks")
REPLACED = "build_multi_partition_ranges_generic"


Pattern = frozenset[tuple[Any, str]]
"""What a primary key has: statuses with secondary keys."""


def install() -> None:
    """Let this process draw ranges as it is done here, if it is one that serves the UI."""
    for name in SERVED_BY:
        if name in sys.modules:
            setattr(sys.modules[name], REPLACED, ranges)


def ranges(
    subsets: Mapping[Any, PartitionsSubset | None],
    definition: dg.MultiPartitionsDefinition,
    dynamic_partitions_store: Any,
    build_secondary_dim: Callable[[Mapping[Any, PartitionsSubset]], Any],
) -> Sequence[Any]:
    """Runs of primary keys that have the same secondary keys of the same statuses, in order.

    The arguments and what is returned are those of Dagster's function of the name REPLACED.
    """
    partitions = tuple(
        (status, frozenset(subset.get_partition_keys())) for status, subset in subsets.items() if subset
    )
    swapped = definition.primary_dimension.name > definition.secondary_dimension.name
    other_dimension = definition.secondary_dimension.partitions_def

    def drawn(pattern: Pattern) -> Any:
        parts = {status: {key for other, key in pattern if other == status} for status in subsets}
        return build_secondary_dim(
            {status: other_dimension.subset_with_partition_keys(keys) for status, keys in parts.items() if keys}
        )

    with partition_loading_context(dynamic_partitions_store=dynamic_partitions_store):
        primary = definition.primary_dimension.partitions_def
        runs = _runs(partitions, swapped, tuple(primary.get_partition_keys()))
        return [_range(primary, first, last, drawn(pattern)) for pattern, first, last in runs]


@lru_cache(maxsize=64)
def _runs(
    partitions: tuple[tuple[Any, frozenset[str]], ...], swapped: bool, keys: tuple[str, ...]
) -> list[tuple[Pattern, str, str]]:
    """What neighbouring primary keys have, with the first and the last of them; most checks have the same.

    A key names its dimensions in the order of their names, so the primary one may come second: `swapped`.
    """
    found = defaultdict(set)
    for status, keys_of_status in partitions:
        for key in keys_of_status:
            first, _, second = key.partition("|")
            primary, secondary = (second, first) if swapped else (first, second)
            found[primary].add((status, secondary))
    has = {key: frozenset(pattern) for key, pattern in found.items()}
    runs = [(pattern, list(run)) for pattern, run in groupby(keys, key=lambda key: has.get(key, frozenset()))]
    return [(pattern, run[0], run[-1]) for pattern, run in runs if pattern]


def _range(primary: dg.PartitionsDefinition, first: str, last: str, secondary: Any) -> Any:
    from dagster_graphql.implementation.partition_status_utils import MultiPartitionRange

    start = end = None
    if isinstance(primary, dg.TimeWindowPartitionsDefinition):
        start = primary.time_window_for_partition_key(first).start.timestamp()
        end = primary.time_window_for_partition_key(last).end.timestamp()
    return MultiPartitionRange(
        primary_dim_start_key=first,
        primary_dim_end_key=last,
        primary_dim_start_time=start,
        primary_dim_end_time=end,
        secondary_dim=secondary,
    )
