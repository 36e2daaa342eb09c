"""Dagster's run storage: what is asked for over many partitions becomes runs that are right and never starve.

What belongs here: where a backfill or a run is changed as it is stored, and what its end means for others.
Kept elsewhere: what a run waits for (`backfills.py`), which server it all lies on (`storage.py`).
"""

import datetime as dt
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import DagsterRun
from dagster_postgres import PostgresRunStorage

from boursomatic_assets import database
from boursomatic_assets.database.server_time import ClockError
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.dagster_patches.queue import places
from boursomatic_assets.tables.claims import holding, liveness
from boursomatic_assets.tables.claims.holding import GivenUpError

ENDS: Final = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


class StagedRunStorage(PostgresRunStorage):
    """Takes a backfill of a job as one of its assets, says of each run what it computes, and claims runs.

    A process claims its run before Dagster stores that it has begun, until Dagster has stored that it is over.
    """

    definitions: Callable[[], dg.Definitions] = staticmethod(dg.Definitions)
    """The platform's definitions, loaded at the first backfill of a job: heavy, and few processes need them."""

    _begun_here: Final = dict[str, ExitStack]()
    """The runs that this process has begun, each with its claim."""

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Store a backfill that the daemon is to carry out."""
        super().add_backfill(by_assets(partition_backfill, self.definitions))

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Store a run; returns it as it was stored."""
        own = {**places.tags_of(dagster_run), **dagster_run.tags, tags.COMPUTES: _computes(dagster_run)}
        return super().add_run(dagster_run.with_tags(own))

    def handle_run_event(
        self, run_id: str, event: dg.DagsterEvent, update_timestamp: dt.datetime | None = None
    ) -> None:
        """Store a run's new status; one that another process ends, such as the daemon, can write no more."""
        if event.event_type == dg.DagsterEventType.RUN_START and run_id not in self._begun_here:
            self._begun_here[run_id] = _claimed(run_id)
            self._require_unended(run_id)
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type not in (dg.DagsterEventType.RUN_SUCCESS, *ENDS):
            return
        if claim := self._begun_here.pop(run_id, None):
            claim.close()
        elif event.event_type in ENDS:
            liveness.give_up(run_id)

    def _require_unended(self, run_id: str) -> None:
        """Require that nobody has ended a run while it waited to begin.

        Raises:
            GivenUpError: Somebody has.
        """
        if any(run.is_finished for run in self.get_runs(dg.RunsFilter(run_ids=[run_id]))):
            self._begun_here.pop(run_id).close()
            raise GivenUpError(f"run {run_id} was ended from outside before it began: nothing is computed")


def _claimed(run_id: str) -> ExitStack:
    """The claim of a run, until it is closed; the IO manager claims one that cannot be now, and says why."""
    stack = ExitStack()
    with suppress(database.DatabaseError, ClockError):  # which the IO manager meets again, and raises
        stack.enter_context(holding.held(run_id))
    return stack


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
