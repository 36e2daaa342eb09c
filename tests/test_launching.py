"""Every way to launch ends with the same partitions materialised and the same rows.

The webserver's GraphQL, the daemon's iterations and the runs are Dagster's own, in this process. What the
command line computes is the small platform of `platform_of.py` itself, against which the others are held.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql
from platform_of import rows
from sqlalchemy import Engine, text

from boursomatic_assets.markets import MARKETS
from boursomatic_assets.orchestration.dagster_patches.run_storage import COMPUTES_TAG
from boursomatic_assets.orchestration.instance import CONFIG
from boursomatic_assets.partitions import MARKET_SESSIONS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),  # of itself, when it describes a location
    # A run in this process has an event loop inside of that of the daemon, and cannot close it.
    pytest.mark.filterwarnings("ignore:coroutine 'BaseEventLoop.shutdown_asyncgens'"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ASSETS = ("instruments", "price_bars", "features", "model_versions", "recommendations", "track_record")
STAGES = {"instruments, price_bars", "features", "model_versions, recommendations", "track_record"}
JOB = "market_session"
DAYS = ("2024-02-01", "2024-02-02", "2024-02-05")
BOTH = {f"{date}|{market}" for date in DAYS for market in MARKETS}
ONE_MARKET = {f"{date}|EURONEXT" for date in DAYS}
SCATTERED = {"2024-01-30|US", "2024-02-05|US", "2024-02-05|EURONEXT"}

DONE, FAILED = AssetPartitionStatus.MATERIALIZED, AssetPartitionStatus.FAILED

BACKFILL = """mutation ($params: LaunchBackfillParams!) {
    answer: launchPartitionBackfill(backfillParams: $params) {
        __typename ... on LaunchBackfillSuccess { id: backfillId } ... on PythonError { message } } }"""
RUN = """mutation ($params: ExecutionParams!) {
    answer: launchPipelineExecution(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }"""
PATIENCE_TICKS = 8


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
        answer = self._sent(RUN, {"selector": selector, "executionMetadata": metadata, "mode": "default"})
        run = self.instance.get_run_by_id(answer["run"]["id"])
        assert run
        return run

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

    def _sent(self, mutation: str, params: dict[str, Any]) -> Any:
        context = self.workspace.create_request_context()
        answer = execute_dagster_graphql(context, mutation, {"params": params}).data["answer"]
        assert answer["__typename"].endswith("Success"), answer
        return answer


Opener = Callable[[str, str], AbstractContextManager[Dagster]]


@pytest.fixture
def dagster_of(dagster_instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Dagster over a module's definitions, with the project's settings, but without a queue or processes."""
    settings = yaml.safe_load(CONFIG.read_text())
    del settings["concurrency"], settings["run_monitoring"]
    core = "dagster._core"
    settings["run_coordinator"] = {"module": f"{core}.run_coordinator", "class": "DefaultRunCoordinator"}
    settings["run_launcher"] = {
        "module": f"{core}.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    }
    settings["python_logs"] = {"python_log_level": "CRITICAL"}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    @contextmanager
    def opened(module: str, attribute: str) -> Iterator[Dagster]:
        origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=module, attribute=attribute))
        target = InProcessTestWorkspaceLoadTarget(origin)
        with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as workspace:
            yield Dagster(workspace)

    return opened


@pytest.fixture
def dagster(filled: Engine, dagster_of: Opener) -> Iterator[Dagster]:
    """Dagster over the small platform."""
    with dagster_of("platform_of", "platform") as dagster:
        yield dagster


def forget(engine: Engine, keys: set[str]) -> None:
    """Delete the rows of some partitions."""
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


def written(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """What stands in the tables, without what differs each time it is written; scores of DAYS and before."""
    drawn = "'{id,created_at,updated_at,trained_at,generated_at,model_version_id}'::text[]"
    version = "(SELECT version FROM model_versions m WHERE m.id::text = to_jsonb(t)->>'model_version_id')"
    query = f"SELECT {version} AS model, (to_jsonb(t) - {drawn})::text AS row FROM"
    scores = "(SELECT * FROM track_record WHERE ts::date <= '2024-02-05')"
    held = {**{asset: asset for asset in ASSETS}, "track_record": scores}
    return {asset: rows(engine, f"{query} {table} t ORDER BY 2, 1") for asset, table in held.items()}


@pytest.mark.parametrize(
    ("assets", "keys"),
    [(ASSETS, BOTH), (ASSETS, ONE_MARKET), (("price_bars", "features"), SCATTERED)],
    ids=["both markets", "one market", "scattered dates of some assets"],
)
def test_a_jobs_page_asks_for_what_the_assets_page_asks_for(
    dagster: Dagster, assets: tuple[str, ...], keys: set[str]
) -> None:
    theirs, ours = (dagster.data(dagster.backfill(assets, keys, job=job)).target_subset for job in (None, JOB))
    assert ours == theirs
    asked = {(part.asset_key.to_user_string(), part.partition_key) for part in ours.iterate_asset_partitions()}
    assert asked == {(asset, key) for asset in assets for key in keys}


@pytest.mark.parametrize(
    ("job", "keys"), [(JOB, BOTH), (None, SCATTERED)], ids=["job's page, both markets", "assets' page, scattered"]
)
def test_a_backfill_writes_what_the_command_line_wrote(
    dagster: Dagster, filled: Engine, job: str | None, keys: set[str]
) -> None:
    before = written(filled)
    forget(filled, keys)
    assert dagster.finish(dagster.backfill(ASSETS, keys, job=job)) == "COMPLETED_SUCCESS"
    assert written(filled) == before
    assert all(dagster.coloured(asset) == {DONE: keys} for asset in ASSETS)
    assert {run.tags[COMPUTES_TAG] for run in dagster.instance.get_runs()} == STAGES


def test_a_range_of_each_market_stays_one_run_however_often_the_daemon_looks_meanwhile(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models wait for all features of the range; none of its sessions goes ahead in a run of its own."""
    dagster.backfill(ASSETS, BOTH)
    dagster.look()
    monkeypatch.setattr(SyncInMemoryRunLauncher, "launch_run", lambda *_: None)  # features take their time
    for _ in range(3):
        dagster.look()
    assert Counter(run.tags[COMPUTES_TAG] for run in dagster.instance.get_runs()) == {
        "instruments, price_bars": len(MARKETS),
        "features": len(MARKETS),
    }


A_RANGE = {
    "dagster/asset_partition_range_start": "2024-02-01|US",
    "dagster/asset_partition_range_end": "2024-02-05|EURONEXT",
}


@pytest.mark.parametrize(
    ("job", "tags", "keys"),
    [("__ASSET_JOB", A_RANGE, BOTH), (JOB, {"dagster/partition": "2024-02-05|US"}, {"2024-02-05|US"})],
    ids=["a range", "one partition, as a schedule's tick"],
)
def test_a_single_run_writes_what_the_command_line_wrote(
    dagster: Dagster, filled: Engine, job: str, tags: dict[str, str], keys: set[str]
) -> None:
    before = written(filled)
    forget(filled, keys)
    assert dagster.run(ASSETS, tags, job=job).status == dg.DagsterRunStatus.SUCCESS
    assert written(filled) == before
    assert all(dagster.coloured(asset) == {DONE: keys} for asset in ASSETS)


BAD: set[str] = set()
"""Partitions of the toy asset `bars` that fail."""


def toy(stage: int) -> dict[str, Any]:
    return {"partitions_def": MARKET_SESSIONS, "backfill_policy": dg.BackfillPolicy.multi_run(100_000 + stage)}


@dg.asset(**toy(0))
def bars(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Reports each session that it wrote, and fails for the others, naming them."""
    keys = sorted(context.partition_keys)
    good, bad = [key for key in keys if key not in BAD], [key for key in keys if key in BAD]
    if not bad:
        return dg.MaterializeResult()
    for key in good:
        made = dg.AssetMaterialization("bars", partition=key)
        batch = DagsterEventBatchMetadata("good", is_end=key == good[-1])
        DagsterEvent.asset_materialization(context.get_step_execution_context(), made, batch)
    raise dg.Failure(f"no bars for {', '.join(bad)}")


@dg.asset(deps=[bars], **toy(1))
def numbers() -> None: ...


toys = dg.Definitions([bars, numbers], executor=dg.in_process_executor)


def test_one_bad_session_of_a_range_is_red_alone_and_asked_for_alone(
    dagster_of: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"2024-02-02|US"}
    monkeypatch.setattr(f"{__name__}.BAD", bad)
    with dagster_of(__name__, "toys") as dagster:
        first = dagster.backfill(["bars", "numbers"], BOTH)
        assert dagster.finish(first) == "COMPLETED_FAILED"
        assert dagster.coloured("bars") == {DONE: BOTH - bad, FAILED: bad}
        assert dagster.coloured("numbers") == {DONE: BOTH - bad}
        missing = dagster.data(first).target_subset - dagster.data(first).materialized_subset
        assert {part.partition_key for part in missing.iterate_asset_partitions()} == bad
        monkeypatch.setattr(f"{__name__}.BAD", set())
        assert dagster.finish(dagster.backfill(["bars", "numbers"], bad)) == "COMPLETED_SUCCESS"
        assert dagster.coloured("bars") == dagster.coloured("numbers") == {DONE: BOTH}
