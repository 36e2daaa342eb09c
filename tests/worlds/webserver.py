"""A webserver and a daemon over one code location, in the process of a test.

What belongs here: asking for runs and backfills as the pages do, letting the daemon look, colours of partitions,
and what stands in the platform's tables. Kept elsewhere: what the platform holds (`platform_of.py`).
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql
from sqlalchemy import Engine, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.orchestration.dagster_patches import guard
from boursomatic_assets.orchestration.instance import CONFIG
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS
from boursomatic_assets.tables.chains import heads
from worlds.platform import rows

STAGES = (("instruments", "price_bars"), ("features",), ("model_versions", "recommendations"), ("track_record",))
"""Assets that share a run, in order. Stock Dagster widens a backfill of several stages to all later sessions."""

ASSETS = tuple(asset for stage in STAGES for asset in stage)
DONE, FAILED = AssetPartitionStatus.MATERIALIZED, AssetPartitionStatus.FAILED

BACKFILL = """mutation ($params: LaunchBackfillParams!) {
    answer: launchPartitionBackfill(backfillParams: $params) {
        __typename ... on LaunchBackfillSuccess { id: backfillId } ... on PythonError { message } } }"""
RUN = """mutation ($params: ExecutionParams!) {
    answer: launchPipelineExecution(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }"""
AGAIN = """mutation ($params: ReexecutionParams!) {
    answer: launchRunReexecution(reexecutionParams: $params) {
        __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }"""
PATIENCE_TICKS = 8 if guard.enabled() else 40
"""Stock Dagster asks for a range in more runs."""


class Dagster:
    """A webserver and a daemon over one code location, in this process."""

    def __init__(self, workspace: WorkspaceProcessContext) -> None:
        self.workspace, self.instance = workspace, workspace.instance

    def backfill(self, assets: Iterable[str], keys: Iterable[str], *, job: str | None = None) -> str:
        """Send what the dialog of the assets' page sends, or that of a job's page; the backfill's id."""
        params = {"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": sorted(keys)}
        if job:
            params |= {"selector": {"partitionSetName": f"{job}_partition_set", "repositorySelector": self._where}}
        return str(self._sent(BACKFILL, params | {"fromFailure": False})["id"])

    def run(self, assets: Iterable[str], tags: dict[str, str], *, job: str) -> dg.DagsterRun:
        """Send what the dialogs send for a single run; the run, when it is over."""
        selector = self._where | {"pipelineName": job, "assetSelection": [{"path": [asset]} for asset in assets]}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        return self._launched(RUN, {"selector": selector, "executionMetadata": metadata, "mode": "default"})

    def run_again(self, parent: str) -> dg.DagsterRun:
        """Send what "Re-execute all" on a run's page sends; the new run, when it is over."""
        return self._launched(AGAIN, {"parentRunId": parent, "strategy": "ALL_STEPS"})

    def asked(self, query: str, **variables: Any) -> Any:
        """The answer to a query."""
        return execute_dagster_graphql(self.workspace.create_request_context(), query, variables).data

    def finish(self, backfill: str) -> str:
        """Let the daemon work until a backfill is over; its status."""
        for _ in range(PATIENCE_TICKS):
            self.look()
            found = self.instance.get_backfill(backfill)
            if found and found.status.value != "REQUESTED":
                return found.status.value
        raise AssertionError("the backfill goes on and on")

    def look(self) -> None:
        """Let the daemon look once what is to be done."""
        list(execute_backfill_iteration(self.workspace, logging.getLogger("daemon")))

    def data(self, backfill: str) -> AssetBackfillData:
        """What the daemon knows of a backfill."""
        found = self.instance.get_backfill(backfill)
        assert found and found.asset_backfill_data
        return found.asset_backfill_data

    def coloured(self, asset: str) -> dict[AssetPartitionStatus, set[str]]:
        """The partitions of an asset by the colour that its page shows."""
        keys = MARKET_SESSIONS.get_partition_keys()
        found = self.instance.get_status_by_partition(dg.AssetKey(asset), keys, MARKET_SESSIONS)
        assert found is not None
        colours = set(found.values()) - {None}
        return {colour: {key for key in keys if found.get(key) == colour} for colour in colours}

    @property
    def _where(self) -> dict[str, Any]:
        (location,) = self.workspace.create_request_context().code_locations
        return {"repositoryLocationName": location.name, "repositoryName": "__repository__"}

    def _launched(self, mutation: str, params: dict[str, Any]) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(self._sent(mutation, params)["run"]["id"])
        assert run
        return run

    def _sent(self, mutation: str, params: dict[str, Any]) -> Any:
        answer = self.asked(mutation, params=params)["answer"]
        assert answer["__typename"].endswith("Success"), answer
        return answer


def write_settings(folder: Path) -> None:
    """The project's settings of the instance in a folder, but without a queue or processes."""
    settings = yaml.safe_load(CONFIG.read_text())
    del settings["run_monitoring"]
    core = "dagster._core"
    settings["run_coordinator"] = {"module": f"{core}.run_coordinator", "class": "DefaultRunCoordinator"}
    settings["run_launcher"] = {
        "module": f"{core}.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    }
    settings["python_logs"] = {"python_log_level": "CRITICAL"}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))


@contextmanager
def opened(module: str, attribute: str, location: str | None = None) -> Iterator[Dagster]:
    """Dagster over a module's definitions, with the settings of DAGSTER_HOME."""
    loaded = LoadableTargetOrigin(module_name=module, attribute=attribute)
    origin = InProcessCodeLocationOrigin(loaded, location_name=location)
    target = InProcessTestWorkspaceLoadTarget(origin)
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as workspace:
        yield Dagster(workspace)


def forget(engine: Engine, keys: set[str]) -> None:
    """Delete the rows of some partitions, as if they had never been computed."""
    for key in keys:
        date, market = key.split("|")
        given = {"date": date, "exchanges": list(MARKETS[market].exchanges)}
        times = {"track_record": "ts", "recommendations": "as_of", "features": "ts", "price_bars": "ts"}
        for table, time in (("track_record", "as_of"), *times.items()):
            statement = (
                f"DELETE FROM {table} t USING instruments i WHERE i.id = t.instrument_id"
                f" AND t.{time}::date = :date AND i.exchange = ANY(:exchanges)"
            )
            with engine.begin() as connection:
                deleted = connection.execute(text(statement), given).rowcount
                assert deleted or (table, time) == ("track_record", "as_of")  # it may be scored later
    heads.restart("partitions are computed for the first time again")


def written(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """What stands in the tables, without what differs each time it is written; scores of DAYS and before."""
    drawn = "'{id,created_at,updated_at,trained_at,generated_at,model_version_id}'::text[]"
    version = "(SELECT version FROM model_versions m WHERE m.id::text = to_jsonb(t)->>'model_version_id')"
    query = f"SELECT {version} AS model, (to_jsonb(t) - {drawn})::text AS row FROM"
    scores = "(SELECT * FROM track_record WHERE ts::date <= '2024-02-05')"
    held = {**{asset: asset for asset in ASSETS}, "track_record": scores}
    return {asset: rows(engine, f"{query} {table} t ORDER BY 2, 1") for asset, table in held.items()}
