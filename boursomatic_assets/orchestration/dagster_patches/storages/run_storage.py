"""Dagster's run storage: what is asked for over many partitions becomes runs that are right and never starve.

What belongs here: where a backfill or a run is changed as it is stored, and what its end means for others.
Kept elsewhere: what a run waits for (`backfills.py`), which server it all lies on (`storage.py`).
"""

import datetime as dt
from collections.abc import Callable
from typing import Final

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import DagsterRun
from dagster_postgres import PostgresRunStorage

from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.tables.claims import liveness

ENDS: Final = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


class StagedRunStorage(PostgresRunStorage):
    """Takes a backfill of a job as one of its assets, and says of each run what it computes."""

    definitions: Callable[[], dg.Definitions] = staticmethod(dg.Definitions)
    """The platform's definitions, loaded at the first backfill of a job: heavy, and few processes need them."""

    _begun_here: Final = set[str]()
    """The runs that this process has begun."""

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Store a backfill that the daemon is to carry out."""
        super().add_backfill(by_assets(partition_backfill, self.definitions))

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Store a run; returns it as it was stored."""
        return super().add_run(dagster_run.with_tags({**dagster_run.tags, tags.COMPUTES: _computes(dagster_run)}))

    def handle_run_event(
        self, run_id: str, event: dg.DagsterEvent, update_timestamp: dt.datetime | None = None
    ) -> None:
        """Store a run's new status; one that another process ends, such as the daemon, can write no more."""
        if event.event_type == dg.DagsterEventType.RUN_START:
            self._begun_here.add(run_id)
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type in ENDS and run_id not in self._begun_here:
            liveness.give_up(run_id)


def by_assets(backfill: PartitionBackfill, definitions: Callable[[], dg.Definitions]) -> PartitionBackfill:
    """A backfill of one of our jobs, chosen on the job's page, as the assets' page would ask for it.

    Dagster puts the first partition's tags on the runs of a job's ranges, and so computes that partition under
    the names of the others. Each run would also take all assets at once, while they look back on others' rows.
    """
    if backfill.job_name is None or backfill.status != BulkActionStatus.REQUESTED or backfill.reexecution_steps:
        return backfill
    defs = definitions()
    if not defs.get_repository_def().has_job(backfill.job_name):
        return backfill
    layer = defs.resolve_job_def(backfill.job_name).asset_layer
    return PartitionBackfill.from_asset_partitions(
        backfill_id=backfill.backfill_id,
        asset_graph=layer.asset_graph,
        partition_names=backfill.partition_names,
        asset_selection=backfill.asset_selection or sorted(layer.executable_asset_keys),
        backfill_timestamp=backfill.backfill_timestamp,
        tags=backfill.tags,
        dynamic_partitions_store=None,  # type: ignore[arg-type] # no partitions are dynamic
        all_partitions=False,
        title=backfill.title or backfill.job_name,
        description=backfill.description,
        run_config=backfill.run_config,
    )


def _computes(run: DagsterRun) -> str:
    selection: frozenset[dg.AssetKey] = frozenset(run.asset_selection or ())
    return ", ".join(sorted(key.to_user_string() for key in selection)) or run.job_name
