"""What the UI shows of the checks of each partition, for years of partitions.

What belongs here: how stored results become colours. Kept elsewhere: storing them (`event_log.py`).

Dagster adds one partition after the other to a set that it copies each time: seconds for each check that a page
shows, at each refresh. Here the partitions of each colour are collected first. And it leaves the partitions of a
range grey, since the result of a range names no single materialisation.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import dagster as dg
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from boursomatic_assets import partition_keys

PLANNED = AssetCheckExecutionRecordStatus.PLANNED
IN_PROGRESS = AssetCheckExecutionResolvedStatus.IN_PROGRESS
COLOURS = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: AssetCheckExecutionResolvedStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED: AssetCheckExecutionResolvedStatus.FAILED,
    PLANNED: IN_PROGRESS,
}

Key = tuple[dg.AssetCheckKey, dg.PartitionsDefinition | None]


def check_states(instance: dg.DagsterInstance, keys: Sequence[Key]) -> dict[dg.AssetCheckKey, AssetCheckState]:
    """The partitions of some checks by colour."""
    infos = defaultdict(list)
    for info in instance.event_log_storage.get_asset_check_partition_info([key for key, _ in keys]):
        infos[info.check_key].append(info)
    finished = _finished(instance, (info for group in infos.values() for info in group))
    return {key: _state(key, definition, infos[key], finished) for key, definition in keys}


def _finished(
    instance: dg.DagsterInstance, infos: Iterable[AssetCheckPartitionInfo]
) -> dict[str, dg.DagsterRunStatus]:
    """The status of those runs that planned a check, and ended without it."""
    runs = {info.latest_planned_run_id for info in infos if info.latest_execution_status == PLANNED}
    if not runs:
        return {}
    ended = instance.get_runs(dg.RunsFilter(run_ids=list(runs), statuses=FINISHED_STATUSES))
    return {run.run_id: run.status for run in ended}


def _state(
    key: dg.AssetCheckKey,
    definition: dg.PartitionsDefinition | None,
    infos: Sequence[AssetCheckPartitionInfo],
    finished: dict[str, dg.DagsterRunStatus],
) -> AssetCheckState:
    """One check's partitions by colour; a result that a newer materialisation overtook has none."""
    if definition is None:
        return AssetCheckState.empty().with_updates(key, None, infos, finished)
    valid = partition_keys.keys(definition)
    colours, runs = defaultdict(set), defaultdict(set)
    for info in infos:
        if info.partition_key in valid and info.latest_execution_status == PLANNED:
            runs[info.latest_planned_run_id].add(info.partition_key)
        if info.partition_key in valid and (info.latest_execution_status == PLANNED or _is_current(info)):
            colours[COLOURS[info.latest_execution_status]].add(info.partition_key)
    state = AssetCheckState(
        latest_storage_id=max((info.latest_check_event_storage_id for info in infos), default=0),
        subsets={
            colour: SerializableEntitySubset(key, definition.subset_with_partition_keys(found))
            for colour, found in colours.items()
        },
        in_progress_runs={
            run: SerializableEntitySubset(key, definition.subset_with_partition_keys(found))
            for run, found in runs.items()
        },
    )
    return state.with_updates(key, definition, [], finished)


def _is_current(info: AssetCheckPartitionInfo) -> bool:
    """Whether a result speaks of the newest materialisation; a range's names none, but came after its own."""
    made, spoken_of = info.latest_materialization_storage_id, info.latest_target_materialization_storage_id
    if made is not None and spoken_of is None:
        return info.latest_check_event_storage_id > made
    return info.is_current
