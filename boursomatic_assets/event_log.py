"""Dagster's event log, with the planned events of a range written together.

What belongs here: where Dagster's own Postgres event log writes row by row what it is handed in batches.
Kept elsewhere: which server it lies on (`dagster_storage.py`).
"""

from collections.abc import Sequence
from itertools import groupby

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster_postgres import PostgresEventLogStorage

PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
TOGETHER = (PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION)


class BatchedEventLog(PostgresEventLogStorage):
    """Writes consecutive events of one kind and asset with one statement.

    Planned events stay one per partition, since Dagster derives from them which partitions failed.
    """

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, in order."""
        for (kind, _), group in groupby(events, key=_kind_and_asset):
            alike = list(group)
            if kind == PLANNED:
                self._store_planned(alike)
            elif kind in TOGETHER:
                super().store_event_batch(alike)
            else:
                for event in alike:
                    self.store_event(event)

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        """Planned events of one asset; the asset's own row follows the last of them."""
        statement = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self.index_transaction() as connection:
            identifiers = [row[0] for row in connection.execute(statement)]
            self._store_asset_event(connection, events[-1], max(identifiers))


def _kind_and_asset(event: EventLogEntry) -> tuple[dg.DagsterEventType | None, dg.AssetKey | None]:
    inner = event.dagster_event
    return (event.dagster_event_type, inner.asset_key) if inner else (None, None)
