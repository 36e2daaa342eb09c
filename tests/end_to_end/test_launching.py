"""Every way to launch materializes the same partitions and writes the same rows.

The webserver's GraphQL, the daemon's iterations and the runs are Dagster's own, in this process. What the
command line computes is the small platform of `worlds/platform.py` itself, with which the others are compared.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from sqlalchemy import Engine
from worlds.patched import PATCHED, only_patched
from worlds.webserver import ASSETS, DONE, FAILED, STAGES, Dagster, forget, opened, write_settings, written

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),  # its own, when it describes a location
    # A run in this process has an event loop inside of that of the daemon, and cannot close it.
    pytest.mark.filterwarnings("ignore:coroutine 'BaseEventLoop.shutdown_asyncgens'"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

JOB = "market_session"
DAYS = ("2024-02-01", "2024-02-02", "2024-02-05")
BOTH = {f"{date}|{market}" for date in DAYS for market in MARKETS}
ONE_MARKET = {f"{date}|EURONEXT" for date in DAYS}
SCATTERED = {"2024-01-30|US", "2024-02-05|US", "2024-02-05|EURONEXT"}

Opener = Callable[[str, str], AbstractContextManager[Dagster]]


@pytest.fixture
def dagster_of(dagster_instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Dagster over a module's definitions, with the project's settings, but without a queue or processes."""
    write_settings(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return opened


@pytest.fixture
def dagster(filled: Engine, dagster_of: Opener) -> Iterator[Dagster]:
    """Dagster over the small platform."""
    with dagster_of("worlds.platform", "platform") as dagster:
        yield dagster


@only_patched
@pytest.mark.parametrize(
    ("assets", "keys"),
    [(ASSETS, BOTH), (ASSETS, ONE_MARKET), (("price_bars", "features"), SCATTERED)],
    ids=["both markets", "one market", "scattered dates of some assets"],
)
def test_a_jobs_page_asks_for_what_the_assets_page_asks_for(
    dagster: Dagster, assets: tuple[str, ...], keys: set[str]
) -> None:
    by_assets_page, by_job_page = (
        dagster.data(dagster.backfill(assets, keys, job=job)).target_subset for job in (None, JOB)
    )
    assert by_job_page == by_assets_page
    asked = {
        (part.asset_key.to_user_string(), part.partition_key) for part in by_job_page.iterate_asset_partitions()
    }
    assert asked == {(asset, key) for asset in assets for key in keys}


@pytest.mark.parametrize(
    ("job", "keys"),
    [pytest.param(JOB, BOTH, marks=only_patched), (None, SCATTERED)],
    ids=["job's page, both markets", "assets' page, scattered"],
)
def test_a_backfill_writes_what_the_command_line_wrote(
    dagster: Dagster, filled: Engine, job: str | None, keys: set[str]
) -> None:
    before = written(filled)
    forget(filled, keys)
    for assets in [ASSETS] if PATCHED else STAGES:
        assert dagster.finish(dagster.backfill(assets, keys, job=job)) == "COMPLETED_SUCCESS"
    assert written(filled) == before
    assert all(dagster.coloured(asset) == {DONE: keys} for asset in ASSETS)
    if PATCHED:
        assert {run.tags[tags.COMPUTES] for run in dagster.instance.get_runs()} == {
            ", ".join(stage) for stage in STAGES
        }


@only_patched
def test_a_range_of_each_market_stays_one_run_over_several_daemon_iterations(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models wait for all features of the range; no session starts in a run of its own."""
    dagster.backfill(ASSETS, BOTH)
    dagster.look()
    monkeypatch.setattr(SyncInMemoryRunLauncher, "launch_run", lambda *_: None)  # features stay unfinished
    for _ in range(3):
        dagster.look()
    assert Counter(run.tags[tags.COMPUTES] for run in dagster.instance.get_runs()) == {
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


FAILING: set[str] = set()
"""Partitions of the toy asset `bars` that fail."""


def toy_options(stage: int) -> dict[str, Any]:
    return {"partitions_def": MARKET_SESSIONS, "backfill_policy": dg.BackfillPolicy.multi_run(100_000 + stage)}


@dg.asset(**toy_options(0))
def bars(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Materializes the good sessions, and fails naming the others."""
    keys = sorted(context.partition_keys)
    good, bad = [key for key in keys if key not in FAILING], [key for key in keys if key in FAILING]
    if not bad:
        return dg.MaterializeResult()
    for key in good:
        made = dg.AssetMaterialization("bars", partition=key)
        batch = DagsterEventBatchMetadata("good", is_end=key == good[-1])
        DagsterEvent.asset_materialization(context.get_step_execution_context(), made, batch)
    raise dg.Failure(f"no bars for {', '.join(bad)}")


@dg.asset(deps=[bars], **toy_options(1))
def numbers() -> None: ...


toy_definitions = dg.Definitions([bars, numbers], executor=dg.in_process_executor)


def test_one_failing_session_of_a_range_fails_and_is_retried_alone(
    dagster_of: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"2024-02-02|US"}
    monkeypatch.setattr(f"{__name__}.FAILING", bad)
    with dagster_of(__name__, "toy_definitions") as dagster:
        first = dagster.backfill(["bars", "numbers"], BOTH)
        assert dagster.finish(first) == "COMPLETED_FAILED"
        assert dagster.coloured("bars") == {DONE: BOTH - bad, FAILED: bad}
        assert dagster.coloured("numbers") == {DONE: BOTH - bad}
        missing = dagster.data(first).target_subset - dagster.data(first).materialized_subset
        assert {part.partition_key for part in missing.iterate_asset_partitions()} == bad
        monkeypatch.setattr(f"{__name__}.FAILING", set())
        assert dagster.finish(dagster.backfill(["bars", "numbers"], bad)) == "COMPLETED_SUCCESS"
        assert dagster.coloured("bars") == dagster.coloured("numbers") == {DONE: BOTH}
