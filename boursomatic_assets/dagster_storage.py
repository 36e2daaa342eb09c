"""Dagster's own storage: runs, events and schedules, in the database `dagster` on the product's server.

What belongs here: the storage class named in `dagster.yaml`, and the folder that Dagster calls its home. The
address comes from `database.py`; no setting of Dagster's is kept here, they are all in `dagster.yaml`.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from boursomatic_assets import (
    database,
    lookback,  # noqa: F401 - daemon and webserver must know the class by name
    partition_ranges,
    settings,
)
from boursomatic_assets.event_log import BatchedEventLog
from boursomatic_assets.run_storage import StagedRunStorage

CONFIG = Path(__file__).resolve().parent.parent / "dagster.yaml"
# The storages make their tables at first use. Processes at once collide there, and retry for a second only.
LOCK = "SELECT pg_advisory_lock(hashtext('dagster storage'))"

STATEMENT_TIMEOUT_MS = 300_000
# Every process of an instance writes the events of a range together; Dagster reads this at each event. All of
# them at once, since a daemon that saw the first thousand would ask for what is downstream in hundreds of runs.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "100000")
# The daemon reads this many events again: those of a long transaction get their numbers before others, and
# appear after them.
os.environ.setdefault("ASSET_BACKFILL_CURSOR_OFFSET", "20000")
# The daemon's first start warns that it finds no cursor, which is as it should be.
logging.getLogger("dagster.daemon.EventLogConsumerDaemon").addFilter(
    lambda record: not record.getMessage().startswith("No cursor for event type")
)


class BoursomaticStorage(DagsterPostgresStorage):
    """Dagster's storage at the address of `database.dagster_url()`, so that its settings hold no secret."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any] | PostgresStorageConfig
    ) -> "BoursomaticStorage":
        """Open the storage, its tables made first if need be.

        Raises:
            DatabaseError: The database `dagster` cannot be reached.
        """
        url = database.dagster_url()
        with database.connect(url) as connection:
            connection.execute(LOCK)
            storage = cls(url.render_as_string(hide_password=False), inst_data=inst_data)
        storage._event_log_storage = BatchedEventLog(storage.postgres_url, should_autocreate_tables=False)
        storage._run_storage = StagedRunStorage(storage.postgres_url, should_autocreate_tables=False)
        for part in (storage._event_log_storage, storage.run_storage, storage.schedule_storage):
            part.optimize_for_webserver(STATEMENT_TIMEOUT_MS, pool_recycle=3600, max_overflow=20)
        partition_ranges.install()
        return storage


def ensure_dagster_home() -> Path:
    """Return Dagster's folder, made if need be, with the project's `dagster.yaml` in it.

    `DAGSTER_HOME`, else `dagster` in the home folder. A `dagster.yaml` that somebody put there is kept.
    """
    folder = settings.dagster_home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if config.is_symlink() or not config.exists():
        fresh = folder / f"dagster.yaml.{os.getpid()}"
        fresh.symlink_to(CONFIG)
        fresh.replace(config)
    return folder
