"""Dagster's storages while the database is away: they wait for it, and do again what a lost connection cut off.

What belongs here: which methods are repeated, and that a repeated one stores no event twice. It is no patch for
speed: it is the same on every version of Dagster and with `BOURSOMATIC_STOCK_DAGSTER=1`.
Kept elsewhere: how long a process waits (`database/waiting.py`).

Dagster itself tries a connection five times within some seconds, and never a statement again.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache, partial, wraps
from typing import Any, Final
from weakref import WeakSet

import psycopg2  # type: ignore[import-untyped]
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.runs.base import RunStorage
from dagster._core.storage.runs.schema import BackfillTagsTable, BulkActionsTable
from dagster._core.storage.schedules.base import ScheduleStorage
from dagster._serdes import serialize_value
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from boursomatic_assets import database
from boursomatic_assets.database import connections

NOT_REPEATED: Final = {
    "add_backfill", "add_run", "alembic_version", "dispose", "end_watch", "migrate", "optimize",
    "optimize_for_webserver", "store_event", "store_event_batch", "upgrade", "watch",
}  # fmt: skip
"""Methods that keep no rows, and those that add rows, which are repeated without what a lost attempt had added."""


_opened: Final = WeakSet[Any]()
"""The storages of this process that are in use."""


def install() -> None:
    """Let the connections of Dagster's driver wait for their server, in this process."""
    if not sa.event.contains(PGDialect_psycopg2, "do_connect", _connect):
        sa.event.listen(PGDialect_psycopg2, "do_connect", _connect)
        # Of a lost connection it prints a traceback, since that cannot be rolled back; the error itself is raised.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        connections.close_when_full(_let_go)


def _connect(dialect: Any, _record: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    connect = partial(dialect.connect, *arguments, **options)
    return connections.connect_with(database.dagster_url(), connect, psycopg2.Error)


def persist(storage: DagsterPostgresStorage) -> None:
    """Let the three storages of an instance do again what a lost connection cut off."""
    parts: tuple[Any, ...] = (storage._event_log_storage, storage._run_storage, storage._schedule_storage)
    kinds: tuple[Any, ...] = (EventLogStorage, RunStorage, ScheduleStorage)
    for part, kind in zip(parts, kinds, strict=True):
        theirs: Any = type(part)
        part.__class__ = _persistent(theirs, kind)
        part._engine.hide_parameters = True  # Dagster prints a failed statement, with what it was to store
        _opened.add(part)


def _let_go() -> None:
    """Close the idle connections of all storages."""
    for part in list(_opened):
        part._engine.dispose()


@cache
def _persistent(storage: Any, kind: Any) -> type:
    """A class of storages that does again what a lost connection cut off, and closes its connections at its end.

    It is a class, since an instance that held its own methods would keep its connections until it is collected.
    """
    names = {name for name, declared in vars(kind).items() if callable(declared) and not name.startswith("_")}
    methods = {name: _repeated(getattr(storage, name)) for name in names - NOT_REPEATED}
    if kind is EventLogStorage and not hasattr(storage, "stores_once"):
        methods |= {"store_event": _stored_once(storage), "store_event_batch": _batch_stored_once(storage)}
    if kind is RunStorage:
        methods |= {"add_run": _run_added_once(storage), "add_backfill": _backfill_added_once(storage)}

    def dispose(self: Any) -> None:
        storage.dispose(self)
        self._engine.dispose()

    return type(storage.__name__, (storage,), methods | {"dispose": dispose})


def _repeated(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def repeated(*arguments: Any, **options: Any) -> Any:
        return database.again(partial(method, *arguments, **options))

    return repeated


def _stored_once(storage: Any) -> Callable[..., None]:
    def store_event(self: Any, event: EventLogEntry) -> None:
        store_once(self, [event], partial(storage.store_event, self, event))

    return store_event


def _batch_stored_once(storage: Any) -> Callable[..., None]:
    def store_event_batch(self: Any, events: Sequence[EventLogEntry]) -> None:
        store_once(self, events, partial(storage.store_event_batch, self, events))

    return store_event_batch


def _run_added_once(storage: Any) -> Callable[..., Any]:
    def add_run(self: Any, run: DagsterRun) -> Any:
        return _again_from_nothing(
            partial(storage.add_run, self, run), partial(storage.delete_run, self, run.run_id)
        )

    return add_run


def _backfill_added_once(storage: Any) -> Callable[..., None]:
    def add_backfill(self: Any, backfill: PartitionBackfill) -> None:
        def remove() -> None:
            with self.connect() as connection:
                for key in (BackfillTagsTable.c.backfill_id, BulkActionsTable.c.key):
                    connection.execute(sa.delete(key.table).where(key == backfill.backfill_id))

        _again_from_nothing(partial(storage.add_backfill, self, backfill), remove)

    return add_backfill


def store_once(log: Any, events: Sequence[EventLogEntry], store: Callable[[], None]) -> None:
    """Store events, again if the connection is lost; what the lost attempt had stored of them is removed first."""

    def remove() -> None:
        with log.index_transaction() as connection:
            _remove(connection, events)

    _again_from_nothing(store, remove)


def _again_from_nothing(add: Callable[[], Any], remove: Callable[[], object]) -> Any:
    """Add rows, again if the connection is lost; what the lost attempt had added of them is removed first."""
    begun = list[bool]()

    def attempt() -> Any:
        if begun:
            remove()
        begun.append(True)
        return add()

    return database.again(attempt)


def _remove(connection: sa.Connection, events: Sequence[EventLogEntry]) -> None:
    """Remove events, and the checks that they plan."""
    log, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    of_runs = log.c.run_id.in_({event.run_id for event in events})
    same = log.c.event.in_([serialize_value(event) for event in events])
    ids = connection.scalars(sa.delete(log).where(of_runs, same).returning(log.c.id)).all()
    planned = checks.c.execution_status == AssetCheckExecutionRecordStatus.PLANNED.value
    connection.execute(sa.delete(checks).where(planned, checks.c.evaluation_event_storage_id.in_(ids)))
