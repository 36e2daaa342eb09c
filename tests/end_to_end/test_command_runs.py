"""Runs of the command line are as good as those of the UI: found on its pages, and executed again there.

The webserver's GraphQL is Dagster's own, in this process, over the small platform of `worlds/platform.py`.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.load_target import WorkspaceFileTarget
from sqlalchemy import Engine
from worlds.webserver import Dagster, opened, write_settings

from boursomatic_assets import definitions
from boursomatic_assets.cli import launching
from boursomatic_assets.orchestration.instance import WORKSPACE

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),  # its own, when it describes a location
    pytest.mark.filterwarnings("ignore:coroutine 'BaseEventLoop.shutdown_asyncgens'"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

DAY, NEXT = dt.date(2024, 2, 1), dt.date(2024, 2, 2)
FEATURES = launching.Run(("features",), "US", DAY, NEXT)


@pytest.fixture
def dagster(
    filled: Engine, dagster_instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Dagster]:
    """A webserver that calls the small platform's location what the workspace's file calls it."""
    write_settings(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with opened("worlds.platform", "platform", location="boursomatic") as dagster:
        yield dagster


def executed(dagster: Dagster, run: launching.Run) -> dg.DagsterRun:
    """A run that the command line has executed."""
    result = launching.execute_run(run, dagster.instance)
    assert result.success, result.problems
    stored = dagster.instance.get_run_by_id(result.run_id)
    assert stored
    return stored


def test_a_run_is_stored_as_the_uis_own(dagster: Dagster) -> None:
    theirs = dagster.run(FEATURES.assets, FEATURES.tags, job="market_session")
    ours = executed(dagster, FEATURES)
    own = ("run_id", "remote_job_origin", "job_code_origin")
    names = [name for name in ours._fields if name not in own]
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert ours.remote_job_origin and theirs.remote_job_origin
    assert ours.remote_job_origin.job_name == theirs.remote_job_origin.job_name
    repository = theirs.remote_job_origin.repository_origin
    assert ours.remote_job_origin.repository_origin.get_selector() == repository.get_selector()
    assert ours.tags_for_storage() == theirs.tags_for_storage()
    assert ours.asset_selection == {dg.AssetKey("features")}
    assert ours.tags["boursomatic/launched_by"] == "command line"


def test_a_run_names_the_location_that_the_webserver_reads(dagster: Dagster) -> None:
    run = executed(dagster, FEATURES)
    assert run.remote_job_origin and run.job_code_origin
    (origin,) = WorkspaceFileTarget(paths=[str(WORKSPACE)]).create_origins()
    assert run.remote_job_origin.repository_origin.code_location_origin == origin
    assert run.job_code_origin.get_repo_pointer().load_target() is definitions.defs


HOME_PAGE = """query ($job: PipelineSelector!) { answer: pipelineOrError(params: $job) {
    ... on Pipeline { runs(limit: 9) { id tags { key value } assetSelection { path } } } } }"""
"""What the home page and a job's own page list of its runs."""


def test_the_jobs_page_lists_a_run_with_its_assets_and_who_launched_it(dagster: Dagster) -> None:
    run = executed(dagster, FEATURES)
    job = {"repositoryLocationName": "boursomatic", "repositoryName": "__repository__"}
    (shown,) = dagster.asked(HOME_PAGE, job=job | {"pipelineName": "market_session"})["answer"]["runs"]
    assert (shown["id"], shown["assetSelection"]) == (run.run_id, [{"path": ["features"]}])
    assert {"key": "boursomatic/launched_by", "value": "command line"} in shown["tags"]


def test_a_run_is_executed_again_in_the_ui(dagster: Dagster) -> None:
    parent = executed(dagster, FEATURES)
    again = dagster.run_again(parent.run_id)
    assert again.status == dg.DagsterRunStatus.SUCCESS
    assert (again.parent_run_id, again.asset_selection) == (parent.run_id, parent.asset_selection)
    made = dagster.instance.fetch_materializations(dg.AssetKey("features"), limit=9).records
    keys = {f"{DAY}|US", f"{NEXT}|US"}
    assert {(one.run_id, one.partition_key) for one in made} == {
        (run, key) for run in (parent.run_id, again.run_id) for key in keys
    }
