"""Dagster's event log, for ranges of partitions in one run.

What belongs here: where Dagster's own Postgres event log writes row by row what it is handed in batches, and
where it loses sight of the partitions that a range's check was about.
Kept elsewhere: which server it lies on (`storage.py`), the results of checks by session (`check_results.py`), what
happens when that server goes away (`lost_connections.py`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from functools import partial
from itertools import accumulate, groupby
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.stats import (
    STEP_STATS_EVENT_TYPES,
    RunStepKeyStatsSnapshot,
    build_run_step_stats_from_events,
)
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import deserialize_values, serialize_value
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy.dialects import postgresql

from boursomatic_assets import database
from boursomatic_assets.orchestration.dagster_patches.check_history import check_results
from boursomatic_assets.orchestration.dagster_patches.check_history.check_states import Key, check_states
from boursomatic_assets.orchestration.dagster_patches.storages.lost_connections import store_once

PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
TOGETHER = (PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION)
ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)

MATERIALIZATIONS_OF_STATS = 1_000
"""How many materialisations the statistics of a run's steps hold; its events have them all. Dagster reads all of a
run of ten years for its page, which shows none of them: seconds."""


class BatchedEventLog(PostgresEventLogStorage):
    """Writes consecutive events of one kind and asset with one statement.

    Planned events stay one per partition, since Dagster derives from them which partitions failed.
    """

    stores_once = True
    """An event that a lost connection cut off is stored again here, and not twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._known_columns: set[str] = set()
        super().__init__(*args, **kwargs)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, in order."""
        for (kind, _), group in groupby(events, key=_kind_and_asset):
            alike = list(group)
            if kind == PLANNED:
                store_once(self, alike, partial(self._store_planned, alike))
            elif kind in TOGETHER:
                ordered = _by_partition(alike)
                store_once(self, ordered, partial(super().store_event_batch, ordered))
            else:
                for event in alike:
                    self.store_event(event)

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        """Planned events of one asset; the asset's own row follows the last of them."""
        statement = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self.index_transaction() as connection:
            identifiers = [row[0] for row in connection.execute(statement)]
            self._store_asset_event(connection, events[-1], max(identifiers))

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        """Whether Dagster's table of assets has a column: asked for each event, and true for ever once it is."""
        if column_name not in self._known_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._known_columns.add(column_name)
        return column_name in self._known_columns

    def get_step_stats_for_run(
        self, run_id: str, step_keys: Sequence[str] | None = None
    ) -> Sequence[RunStepKeyStatsSnapshot]:
        """When each step of a run began and ended, its attempts, and its first materialisations."""
        events = SqlEventLogStorageTable.c
        of_steps = sa.select(events.id, events.event).where(events.run_id == run_id, events.step_key.is_not(None))
        if step_keys:
            of_steps = of_steps.where(events.step_key.in_(step_keys))
        made = dg.DagsterEventType.ASSET_MATERIALIZATION
        kinds = [kind.value for kind in STEP_STATS_EVENT_TYPES if kind != made]
        few = of_steps.where(events.dagster_event_type == made.value).order_by(events.id)
        chosen = sa.union_all(
            of_steps.where(events.dagster_event_type.in_(kinds)), few.limit(MATERIALIZATIONS_OF_STATS)
        ).subquery()
        with self.run_connection(run_id) as connection:
            rows = connection.scalars(sa.select(chosen.c.event).order_by(chosen.c.id)).all()
        return build_run_step_stats_from_events(run_id, deserialize_values(rows, EventLogEntry))

    def get_asset_check_state(self, keys: Sequence[Key]) -> Mapping[dg.AssetCheckKey, AssetCheckState]:
        """The partitions of some checks by colour."""
        return check_states(self._instance, keys)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """A planned check, as one row per partition, without a copy of the whole range in each."""
        inner = event.get_dagster_event()
        planned = inner.asset_check_planned_data
        keys = planned.partitions_subset.get_partition_keys() if planned.partitions_subset else [None]
        slim = AssetCheckEvaluationPlanned(asset_key=planned.asset_key, check_name=planned.check_name)
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(
                event._replace(dagster_event=inner._replace(event_specific_data=slim))
            ),
            "evaluation_event_timestamp": dt.datetime.fromtimestamp(event.timestamp, dt.UTC).replace(tzinfo=None),
            "evaluation_event_storage_id": event_id,
        }
        same = [sa.literal(value, AssetCheckExecutionsTable.c[name].type) for name, value in row.items()]
        each = sa.func.unnest(sa.literal(list(keys), postgresql.ARRAY(sa.Text))).column_valued("partition")
        insert = AssetCheckExecutionsTable.insert().from_select([*row, "partition"], sa.select(*same, each))
        with self.index_connection() as connection:
            connection.execute(insert)

    def _update_asset_check_evaluation(self, event: EventLogEntry, event_id: int | None) -> None:
        """A check's result; that of a range is one for each of its sessions, and one for the run after them."""
        if event.get_dagster_event().asset_check_evaluation_data.partition is None:
            with self.index_transaction() as connection:
                check_results.store(connection, event, event_id)
        super()._update_asset_check_evaluation(event, event_id)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; once a run is over, what it planned and never began is no longer planned.

        That is done first: between a failure and the run's new status the daemon would see a failure of a run that
        has not failed, and never retry it.
        """
        if event.dagster_event_type in ENDS:
            database.again(partial(self._forget_what_never_began, event.run_id))
        store_once(self, [event], partial(super().store_event, event))

    def _forget_what_never_began(self, run_id: str) -> None:
        with self.index_transaction() as connection:
            check_results.forget_what_never_began(connection, run_id)

    def get_asset_check_execution_history(
        self,
        check_key: dg.AssetCheckKey,
        limit: int,
        cursor: int | None = None,
        status: Set[AssetCheckExecutionRecordStatus] | None = None,
        partition_filter: Any = None,
    ) -> Sequence[AssetCheckExecutionRecord]:
        """The newest results of a check: one for each run, or all of one partition."""
        if partition_filter is not None:
            return super().get_asset_check_execution_history(check_key, limit, cursor, status, partition_filter)
        with self.index_connection() as connection:
            return check_results.newest_of_each_run(connection, check_key, limit, cursor, status)


def _by_partition(events: Sequence[EventLogEntry]) -> list[EventLogEntry]:
    """A range's events by partition, since the UI shows the last as the asset's latest: the newest session.

    Dagster makes them in the order of a set, many within a millisecond. The UI knows an event by its millisecond,
    and shows one of each: so they are at least one apart, counted back from the last. Each is in the middle of its
    millisecond, as the UI cuts off what follows after a multiplication of floating-point numbers.
    """
    ordered = sorted(events, key=lambda event: event.get_dagster_event().partition or "")
    made = sorted((int(event.timestamp * 1_000) for event in events), reverse=True)
    milliseconds = [*accumulate(made, lambda later, earlier: min(earlier, later - 1))]
    return [
        event._replace(timestamp=(millisecond + 0.5) / 1_000)
        for event, millisecond in zip(ordered, reversed(milliseconds), strict=True)
    ]


def _kind_and_asset(event: EventLogEntry) -> tuple[dg.DagsterEventType | None, dg.AssetKey | None]:
    inner = event.dagster_event
    return (event.dagster_event_type, inner.asset_key) if inner else (None, None)
