"""What the UI shows of the checks of each partition, for years of partitions.

What belongs here: how stored results become colours, and which are failures.
Kept elsewhere: storing them (`check_results.py`).

Dagster fetches a row for each partition of each check that a page shows, at each refresh, and adds one after the
other to a set that it copies each time: seconds. Here the server collects the partitions of each colour, and a
list of them that was read before is not read again. And Dagster leaves the partitions of a range grey, since the
result of a range names no single materialisation.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
)
from dagster._core.storage.asset_check_state import AssetCheckState, bulk_update_asset_check_state
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._serdes import deserialize_value

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
FAILED = sa.text("""
WITH newest AS (
    SELECT DISTINCT ON (asset_key, check_name, partition) id, asset_key, check_name, partition, run_id,
        execution_status AS status, evaluation_event_storage_id AS told
    FROM asset_check_executions
    WHERE evaluation_event_storage_id IS NOT NULL AND execution_status IN ('SUCCEEDED', 'FAILED')
    ORDER BY asset_key, check_name, partition, evaluation_event_storage_id DESC
), checks AS (
    SELECT asset_key, check_name, max(told) AS last,
        coalesce(max(told) FILTER (WHERE partition IS NULL), 0) AS whole
    FROM newest GROUP BY asset_key, check_name
)
SELECT n.id, asset_key, check_name, n.partition, n.run_id
FROM newest n JOIN checks c USING (asset_key, check_name)
WHERE n.status = 'FAILED' AND CASE WHEN n.partition IS NULL THEN told = last ELSE told > whole END
ORDER BY told
""")


@dataclass(frozen=True)
class FailedCheck:
    """A check whose newest results are failures, of one market or of none.

    Attributes:
        asset: The asset's name.
        check: The check's name.
        market: The market of its partitions; empty if it has none.
        dates: The dates of its failed partitions, in order.
        run_id: The run of the newest failure.
        is_error: Whether that is an error, and no warning.
        description: What it says.
        figures: What it reports.
    """

    asset: str
    check: str
    market: str
    dates: tuple[str, ...]
    run_id: str
    is_error: bool
    description: str
    figures: dict[str, Any]


def newest_result(instance: dg.DagsterInstance) -> int:
    """The number of the newest result of any check: while it stays the same, `failed_checks` does too."""
    log = instance.event_log_storage
    assert isinstance(log, SqlEventLogStorage)
    with log.index_connection() as connection:
        newest = sa.text("SELECT coalesce(max(evaluation_event_storage_id), 0) FROM asset_check_executions")
        return int(connection.execute(newest).scalar_one())


def failed_checks(instance: dg.DagsterInstance) -> list[FailedCheck]:
    """The checks whose newest results are failures, one for each market."""
    log = instance.event_log_storage
    assert isinstance(log, SqlEventLogStorage)
    groups = defaultdict(list)
    with log.index_connection() as connection:
        for row in connection.execute(FAILED):
            date, _, market = (row.partition or "").partition("|")
            groups[row.asset_key, row.check_name, market].append((date, row))
        ids = [rows[-1][1].id for rows in groups.values()]
        stored = sa.text("SELECT id, evaluation_event FROM asset_check_executions WHERE id = ANY(:ids)")
        events = {row.id: row.evaluation_event for row in connection.execute(stored, {"ids": ids})}
    return [
        _failed_check(market, sorted({date for date, _ in rows} - {""}), rows[-1][1], events[rows[-1][1].id])
        for (_, _, market), rows in groups.items()
    ]


def _failed_check(market: str, dates: Sequence[str], newest: Any, event: str) -> FailedCheck:
    """A check's failures of one market, with what the newest says."""
    told = deserialize_value(event, EventLogEntry).get_dagster_event().asset_check_evaluation_data
    return FailedCheck(
        asset=told.asset_key.to_user_string(),
        check=told.check_name,
        market=market,
        dates=tuple(dates),
        run_id=newest.run_id,
        is_error=told.severity == dg.AssetCheckSeverity.ERROR,
        description=told.description or "",
        figures={name: figure.value for name, figure in told.metadata.items()},
    )
