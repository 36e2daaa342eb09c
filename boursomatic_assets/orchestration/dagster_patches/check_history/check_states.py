"""What the UI shows of the checks of each partition, for years of partitions.

What belongs here: how stored results become colours.
Kept elsewhere: storing them (`check_results.py`), which checks fail (`failed_checks.py`).

Dagster fetches a row for each partition of each check that a page shows, at each refresh, and adds one after the
other to a set that it copies each time: seconds. Here the server collects the partitions of each colour, and a
list of them that was read before is not read again. And Dagster leaves the partitions of a range grey, since the
result of a range names no single materialisation.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
)
from dagster._core.storage.asset_check_state import AssetCheckState, bulk_update_asset_check_state
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage

from boursomatic_assets.orchestration.dagster_patches import partition_keys

Colour = AssetCheckExecutionResolvedStatus
Key = tuple[dg.AssetCheckKey, dg.PartitionsDefinition | None]

PLANNED = AssetCheckExecutionRecordStatus.PLANNED.value
COLOURS = {
    AssetCheckExecutionRecordStatus.SUCCEEDED.value: Colour.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED.value: Colour.FAILED,
    PLANNED: Colour.IN_PROGRESS,
}

# A result counts if no newer materialisation overtook it; a range's names none, but came after its own.
BY_COLOUR = sa.text("""
WITH results AS MATERIALIZED (
    SELECT DISTINCT ON (asset_key, check_name, partition) asset_key, check_name, partition, run_id,
        execution_status AS status, evaluation_event_storage_id AS id, materialization_event_storage_id AS about
    FROM asset_check_executions
    WHERE asset_key = ANY(:assets) AND check_name = ANY(:checks)
        AND partition IS NOT NULL AND evaluation_event_storage_id IS NOT NULL
    ORDER BY asset_key, check_name, partition, asset_check_executions.id DESC
), made AS MATERIALIZED (
    SELECT asset_key, partition, max(id) AS id FROM event_logs
    WHERE asset_key = ANY(:assets) AND dagster_event_type = 'ASSET_MATERIALIZATION' AND partition IS NOT NULL
    GROUP BY asset_key, partition
)
SELECT asset_key, check_name, status, CASE status WHEN 'PLANNED' THEN run_id END AS run_id,
    max(results.id) AS newest, string_agg(partition, E'\\n' ORDER BY partition) AS partitions
FROM results LEFT JOIN made USING (asset_key, partition)
WHERE status = 'PLANNED' OR made.id IS NULL OR coalesce(about = made.id, results.id > made.id)
GROUP BY 1, 2, 3, 4
""")


def check_states(instance: dg.DagsterInstance, keys: Sequence[Key]) -> dict[dg.AssetCheckKey, AssetCheckState]:
    """The partitions of some checks by colour."""
    partitioned = {key: definition for key, definition in keys if definition}
    rows = defaultdict(list)
    for row in _rows(instance, partitioned):
        rows[row.asset_key, row.check_name].append(row)
    finished = _finished(instance, {row.run_id for group in rows.values() for row in group} - {None})
    states = {
        key: _state(key, definition, rows[key.asset_key.to_string(), key.name]).with_updates(
            key, definition, [], finished
        )
        for key, definition in partitioned.items()
    }
    others = [one for one in keys if one[0] not in states]
    empty = {key: AssetCheckState.empty() for key, _ in others}
    return {**states, **bulk_update_asset_check_state(instance, others, empty)}


def _rows(instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey]) -> Sequence[Any]:
    """A row for each check, colour and, of what is planned, run."""
    if not keys:
        return []
    asked = {"assets": list({key.asset_key.to_string() for key in keys}), "checks": [key.name for key in keys]}
    log = instance.event_log_storage
    assert isinstance(log, SqlEventLogStorage)
    with log.index_connection() as connection:
        rows: Sequence[Any] = connection.execute(BY_COLOUR, asked).all()
    return rows


def _finished(instance: dg.DagsterInstance, runs: set[str]) -> dict[str, dg.DagsterRunStatus]:
    """The status of those runs that planned a check, and ended without it."""
    if not runs:
        return {}
    ended = instance.get_runs(dg.RunsFilter(run_ids=list(runs), statuses=FINISHED_STATUSES))
    return {run.run_id: run.status for run in ended}


def _state(key: dg.AssetCheckKey, definition: dg.PartitionsDefinition, rows: Sequence[Any]) -> AssetCheckState:
    """One check's partitions by colour."""
    colours: dict[Colour, PartitionsSubset] = defaultdict(definition.empty_subset)
    runs = {}
    for row in rows:
        subset = _subset(definition, row.partitions)
        colours[COLOURS[row.status]] |= subset
        if row.status == PLANNED:
            runs[row.run_id] = SerializableEntitySubset(key, subset)
    return AssetCheckState(
        latest_storage_id=max((row.newest for row in rows), default=0),
        subsets={colour: SerializableEntitySubset(key, subset) for colour, subset in colours.items()},
        in_progress_runs=runs,
    )


@lru_cache(maxsize=256)
def _subset(definition: dg.PartitionsDefinition, partitions: str) -> PartitionsSubset:
    """Those of the partitions, each on a line, that the definition has."""
    valid = partition_keys.keys(definition).intersection(partitions.split("\n"))
    return definition.subset_with_partition_keys(valid)


# A result of a whole check, without a partition, takes the place of all earlier ones of its partitions.
