"""How far a backfill is with one asset, as the daemon knows it.

What belongs here: reading what the daemon stores of a backfill. Kept elsewhere: waiting for it (`backfills.py`).

Without patches there is nothing to know: Dagster's own mapping lets the daemon wait for a whole look-back before
it starts a run.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from boursomatic_assets.orchestration.dagster_patches import guard

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset


@dataclass(frozen=True)
class Progress:
    """Partitions of one asset, as of the daemon's last look."""

    target: frozenset[str]
    """What the backfill is to materialise."""

    materialized: frozenset[str]
    settled: frozenset[str]
    """What has been asked for, or will not be since something before it failed."""

    cursor: int | None
    """The number of the last event that was looked at."""


def progress(instance: dg.DagsterInstance, backfill: str, asset: dg.AssetKey) -> Progress | None:
    """How far a backfill is with an asset; None if there is nothing to wait for."""
    found = instance.get_backfill(backfill) if guard.enabled() else None
    data = found.asset_backfill_data if found else None
    if data is None:
        return None
    settled = _keys(data.requested_subset, asset) | _keys(data.failed_and_downstream_subset, asset)
    return Progress(
        _keys(data.target_subset, asset), _keys(data.materialized_subset, asset), settled, data.latest_storage_id
    )


def _keys(subset: "AssetGraphSubset", asset: dg.AssetKey) -> frozenset[str]:
    """An asset's partitions in a subset of the graph."""
    partitions = subset.partitions_subsets_by_asset_key.get(asset)
    return frozenset(partitions.get_partition_keys()) if partitions else frozenset()


def open_partitions(instance: dg.DagsterInstance, asset: dg.AssetKey) -> frozenset[str]:
    """An asset's partitions that backfills are to materialise, and have not materialised yet."""
    requested = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    found = [backfill.asset_backfill_data for backfill in instance.get_backfills(filters=requested)]
    return frozenset[str]().union(
        *(
            _keys(data.target_subset, asset)
            - _keys(data.materialized_subset, asset)
            - _keys(data.failed_and_downstream_subset, asset)
            for data in found
            if data
        )
    )
