"""Dagster's private parts are touched in one room alone, by patches that are listed, proven and can be off."""

import ast
import importlib.metadata
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from conftest import Admin
from dagster._core.storage import tags as theirs
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG
from worlds.patched import only_patched

import boursomatic_assets
from boursomatic_assets.orchestration.dagster_patches import backfill_policies, guard, tags
from boursomatic_assets.orchestration.instance import CONFIG, ensure_dagster_home

PACKAGE = Path(boursomatic_assets.__file__).parent
CHECKOUT, TESTS = PACKAGE.parent, Path(__file__).parents[2]
ROOM = PACKAGE / "orchestration" / "dagster_patches"
PRIVATE = re.compile(r"dagster\._|dagster_(graphql|postgres|shared)\b")
PAGE = (CHECKOUT / "docs" / "dagster-patches.md").read_text()


def breaches(source: str) -> Iterator[str]:
    """What a module imports or reads of Dagster that is private: its line, and what."""
    tree = ast.parse(source)
    names = [module for node in ast.walk(tree) for module in imported(node)]
    of_dagster = any(module.partition(".")[0] == "dagster" for _, module in names)
    yield from (f"{line}: {module}" for line, module in names if PRIVATE.match(module))
    for node in ast.walk(tree):
        if (
            of_dagster
            and isinstance(node, ast.Attribute)
            and re.match(r"_[^_]", node.attr)
            and not own(node.value)
        ):
            yield f"{node.lineno}: .{node.attr}"


def own(node: ast.expr) -> bool:
    """Whether what is read belongs to the class that reads it."""
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def imported(node: ast.AST) -> list[tuple[int, str]]:
    """The modules that a statement imports, with its line; an import by a literal name too."""
    if isinstance(node, ast.Import):
        return [(node.lineno, alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    if isinstance(node, ast.Call) and node.args and "import" in ast.unparse(node.func):
        return [(node.lineno, str(getattr(node.args[0], "value", "")))]
    return []


def test_nothing_private_is_touched_outside_of_the_room() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if ROOM not in path.parents]
    found = {path.relative_to(PACKAGE).as_posix(): list(breaches(path.read_text())) for path in modules}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from dagster._core.events import DagsterEvent",
        "import dagster_postgres",
        "def late():\n    from dagster_graphql import schema",
        "from dagster import _core",
        "importlib.import_module('dagster._serdes')",
        "import dagster as dg\nprint(context._step_context)",
    ],
)
def test_what_is_private_is_recognised(source: str) -> None:
    assert list(breaches(source))


def test_the_room_is_small_and_knows_nothing_of_the_definitions() -> None:
    modules = [path for path in ROOM.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 14
    names = {
        name for path in modules for node in ast.walk(ast.parse(path.read_text())) for _, name in imported(node)
    }
    assert "boursomatic_assets.definitions" not in {name.rpartition(".")[0] for name in names} | names


@pytest.mark.parametrize("patch", guard.PATCHES, ids=lambda patch: patch.name)
def test_a_patch_is_on_the_page_with_a_proof_that_exists(patch: guard.Patch) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {patch.name} |")]
    assert patch.proof in row
    file, _, test = patch.proof.partition("::")
    assert f"def {test}(" in (TESTS / file).read_text()
    assert patch.what
    assert patch.without


def test_the_page_lists_no_patch_that_is_not_there() -> None:
    table = PAGE.partition("## The patches")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == [patch.name for patch in guard.PATCHES]


def test_proven_versions_are_those_of_the_page_and_lie_in_the_bounds_of_the_project() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text()
    for package, versions in guard.proven_on().items():
        assert all(f"{package} {version}" in PAGE for version in versions)
        bounded = {"dagster-graphql": "dagster-webserver"}.get(package, package)  # which brings it
        (lowest,) = re.findall(rf'"{bounded}>=([\d.]+),<[\d.]+"', project)
        assert lowest in versions


def test_tags_are_those_of_dagster() -> None:
    assert (tags.RANGE_START, tags.RANGE_END) == (
        theirs.ASSET_PARTITION_RANGE_START_TAG,
        theirs.ASSET_PARTITION_RANGE_END_TAG,
    )
    assert (tags.BACKFILL, tags.WILL_RETRY) == (theirs.BACKFILL_ID_TAG, theirs.WILL_RETRY_TAG)
    assert tags.MAX_RETRIES == theirs.MAX_RETRIES_TAG
    assert tags.QUEUE == DAGSTER_CELERY_QUEUE_TAG
    assert tags.PARTITION == theirs.PARTITION_NAME_TAG
    assert tags.DIMENSION_PREFIX == theirs.MULTIDIMENSIONAL_PARTITION_PREFIX


@pytest.fixture
def another_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dagster 1.14.0 is installed."""
    real = importlib.metadata.version
    monkeypatch.setattr(guard, "version", lambda package: "1.14.0" if package == "dagster" else real(package))
    monkeypatch.delenv("BOURSOMATIC_STOCK_DAGSTER", raising=False)
    guard._proven.cache_clear()
    yield
    guard._proven.cache_clear()


@pytest.mark.usefixtures("another_version")
def test_on_another_version_the_patches_are_off_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert [guard.enabled() for _ in range(3)] == [False] * 3
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in (
        "dagster 1.14.0",
        "dagster==1.13.27",
        "a backfill writes its events one by one",
        "dagster-patches",
    ):
        assert part in record.message


@pytest.mark.usefixtures("another_version")
def test_who_asks_for_stock_dagster_is_not_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BOURSOMATIC_STOCK_DAGSTER", "1")
    assert not guard.enabled()
    assert not caplog.records


ANOTHER_DAGSTER = """
import importlib.metadata, sys
real = importlib.metadata.version
importlib.metadata.version = lambda name: "1.14.0" if name == "dagster" else real(name)
from boursomatic_assets.orchestration.dagster_patches import guard
assert not guard.enabled()
import dagster as dg
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS
from boursomatic_assets.definitions import defs
from boursomatic_assets.orchestration.dagster_patches.steps import add_partition_metadata

@dg.asset(partitions_def=MARKET_SESSIONS, backfill_policy=dg.BackfillPolicy.single_run())
def bars(context) -> None:
    metadata = {key: {"rows": 1} for key in context.partition_keys}
    add_partition_metadata(context.get_step_execution_context(), context.asset_key, metadata)

bounds = {"start": "2024-06-10|US", "end": "2024-06-11|US"}
tags = {f"dagster/asset_partition_range_{end}": key for end, key in bounds.items()}
with dg.DagsterInstance.get() as instance:
    assert dg.materialize([bars], instance=instance, tags=tags).success
    print(*sorted(instance.get_materialized_partitions(dg.AssetKey("bars"))))
    print(type(instance.event_log_storage).__name__, type(instance.run_storage).__name__)
patched = {"event_log", "check_states", "check_results", "run_storage", "partition_ranges"}
print({name.rpartition(".")[2] for name in sys.modules if "dagster_patches" in name} & patched or "none")
"""


@only_patched
def test_on_another_version_a_range_is_materialised_by_dagsters_own_storage(
    admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No module that only patches is imported, so nothing that such a version lacks is missed."""
    name = admin.create()
    environment = os.environ | {
        "DAGSTER_DATABASE_URL": admin.address(name),
        "DAGSTER_HOME": str(ensure_dagster_home()),
        "BOURSOMATIC_START": "2024-05-01",
    }
    command = [sys.executable, "-W", "ignore", "-c", ANOTHER_DAGSTER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-3:] == [
        "2024-06-10|US 2024-06-11|US",
        "PostgresEventLogStorage PostgresRunStorage",
        "none",
    ]
    assert done.stderr.count("the patches of Dagster are off") == 1
    admin.drop(name)


OLDER = {"module": "boursomatic_assets.dagster_storage", "class": "BoursomaticStorage", "config": {}}


@pytest.mark.parametrize("custom", [OLDER, None], ids=["an older home", "the project"])
def test_a_home_may_name_the_storage_in_its_older_place(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, custom: dict[str, object] | None
) -> None:
    import dagster as dg

    name = admin.create()
    settings = yaml.safe_load(CONFIG.read_text())
    settings["storage"]["custom"] = custom or settings["storage"]["custom"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", admin.address(name))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs_count() == 0
        if guard.enabled():
            definitions = instance.run_storage.definitions()  # type: ignore[attr-defined]
            assert definitions.resolve_job_def("market_session")
    admin.drop(name)


STAGES = ("bars", "features", "advice")


def test_stages_differ_and_their_pages_show_a_limit_only_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster_graphql.schema.backfill import GrapheneBackfillPolicy

    def shown(limit: int | None) -> set[str]:
        policies = backfill_policies.stage_policies(STAGES, limit)
        assert len(set(policies)) == len(STAGES)
        return {GrapheneBackfillPolicy(policy).resolve_description(SimpleNamespace()) for policy in policies}

    if guard.enabled():
        assert shown(None) == {"Backfills all partitions in a single run"}
        assert shown(250) == {"Backfills in multiple runs, with a maximum of 250 partitions per run"}
    monkeypatch.setenv("BOURSOMATIC_STOCK_DAGSTER", "1")
    assert len(shown(250)) == len(STAGES)


def test_a_policy_travels_between_processes() -> None:
    from dagster._serdes import deserialize_value, serialize_value

    policy = backfill_policies.StagePolicy(250, "bars")
    assert deserialize_value(serialize_value(policy)) == policy
    assert policy != backfill_policies.StagePolicy(250, "features")
