"""Dagster's own storage: runs, events and schedules, in the database `dagster` on the product's server.

What belongs here: the storage class that `dagster.yaml` names, and what it installs in a process of an instance.
The address comes from `database.py`; no setting of Dagster's is kept here, they are all in `dagster.yaml`.
"""

import importlib
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import coloredlogs
import dagster as dg
import psycopg
from dagster_postgres import DagsterPostgresStorage

from boursomatic_assets import database
from boursomatic_assets.database import locks
from boursomatic_assets.orchestration.dagster_patches import (
    backfill_policies,  # noqa: F401 - daemon and webserver must know the class by name
    guard,
    launcher,
    lookback,  # noqa: F401 - likewise
    partition_keys,
    webserver,
)
from boursomatic_assets.orchestration.dagster_patches.storages import lost_connections
from boursomatic_assets.settings import patience
from boursomatic_assets.settings.environment import forbids_colours

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

# The storages make their tables at first use. Processes at once collide there, and retry for a second only.
KEY = "SELECT hashtext('dagster storage')::bigint"
LOCK = "SELECT pg_try_advisory_lock(hashtext('dagster storage'))"

STATEMENT_TIMEOUT_MS = 300_000

BATCHES = {
    # Every process of an instance writes the events of a range together; Dagster reads this at each event. All
    # at once, since a daemon that saw the first thousand would ask for what is downstream in hundreds of runs.
    "DAGSTER_EVENT_BATCH_SIZE": "100000",
    # The daemon reads this many events again: those of a long transaction get their numbers before others, and
    # appear after them.
    "ASSET_BACKFILL_CURSOR_OFFSET": "20000",
}

COLOUR = re.compile(r"\x1b\[[\d;]*m")

LOGGERS = ("dagster", "dagster-webserver")
"""What Dagster's services log through."""

# The daemon's first start warns that it finds no cursor, which is as it should be.
logging.getLogger("dagster.daemon.EventLogConsumerDaemon").addFilter(
    lambda record: not record.getMessage().startswith("No cursor for event type")
)


class BoursomaticStorage(DagsterPostgresStorage):
    """Dagster's storage at the address of `database.dagster_url()`, so that its settings hold no secret."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The module with the platform's definitions, whose jobs are backfilled as their assets."""
        return {"definitions": dg.Field(str, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: "ConfigurableClassData | None", config_value: Mapping[str, Any]) -> Self:
        """Open the storage, its tables made first if need be.

        Raises:
            DatabaseError: The database `dagster` cannot be reached.
        """
        if not webserver.install():  # before a page somebody waits
            patience.be_patient()
        _write_plain_logs()
        lost_connections.install()
        storage = database.again(lambda: cls._open(inst_data))
        if guard.enabled():
            _patch(storage, config_value.get("definitions"))
        lost_connections.persist(storage)
        return storage

    @classmethod
    def _open(cls, inst_data: "ConfigurableClassData | None") -> Self:
        """Open it while no other process does; who waits keeps no connection, which that may need."""
        url = database.dagster_url()
        notice = locks.Notice()
        for pause in patience.pauses():
            with database.connect(url) as connection:
                if connection.execute(LOCK).fetchone() == (True,):
                    return cls(url.render_as_string(hide_password=False), inst_data=inst_data)
                _say_who_opens(connection, notice)
            database.let_go()
            time.sleep(pause)
        raise AssertionError("pauses have no end")


def _say_who_opens(connection: psycopg.Connection, notice: locks.Notice) -> None:
    """Say for whom is waited, if it is time to.

    Raises:
        LockWaitError: A person has waited as long as he may.
    """
    what, (key,) = "Dagster's storage to be opened", connection.execute(KEY).fetchone() or (0,)
    if notice.is_due() and (holder := locks.holder_of(connection, key)):
        notice.say(what, holder)
    if locks.patience is not None and notice.seconds > locks.patience:
        raise notice.give_up(what)


def _write_plain_logs() -> None:
    """Let the log of a service have no colours where nobody wants any; Dagster asks nobody, a file neither."""
    if sys.stdout.isatty() and not forbids_colours():
        return
    coloredlogs.ansi_wrap = lambda text, **_: text  # for loggers that are set up later, as the daemon's
    for name in LOGGERS:
        for handler in logging.getLogger(name).handlers:
            if isinstance(former := handler.formatter, coloredlogs.ColoredFormatter):
                handler.setFormatter(coloredlogs.ColoredFormatter(COLOUR.sub("", former._fmt), former.datefmt))


def _patch(storage: BoursomaticStorage, definitions: str | None) -> None:
    """Let a storage write ranges at once, and this process answer quickly about partitions."""
    from boursomatic_assets.orchestration.dagster_patches import partition_ranges
    from boursomatic_assets.orchestration.dagster_patches.storages import event_log, run_storage

    for name, value in BATCHES.items():
        os.environ.setdefault(name, value)
    storage._event_log_storage = event_log.BatchedEventLog(storage.postgres_url, should_autocreate_tables=False)
    storage._run_storage = run_storage.StagedRunStorage(storage.postgres_url, should_autocreate_tables=False)
    if definitions:
        storage._run_storage.definitions = lambda: importlib.import_module(definitions).defs
    for part in (storage._event_log_storage, storage._run_storage, storage._schedule_storage):
        part.optimize_for_webserver(STATEMENT_TIMEOUT_MS, pool_recycle=3600, max_overflow=20)
    partition_keys.install()
    launcher.install()
    partition_ranges.install()
