"""How long the daemon and the webserver think about ten years of both markets.

What is measured is Dagster's own code over the platform's real partitions and mappings: nothing is computed and
nothing is written. Here seconds are the figure: each stands between a click and its answer.
"""

import datetime as dt
import logging
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from helpers.harness import ROUNDS, Line, server, timed

YEARS = 10
AIM = "< 1 s"


def lines() -> Iterator[Line]:
    """One line per evaluation that the daemon or a page repeats."""
    from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

    keys = [str(key) for key in MARKET_SESSIONS.get_partition_keys()][-YEARS * 260 * 2 :]
    size = f"{len(keys)} partitions"
    for work, evaluate in _evaluations(keys):
        yield _line(work, size, evaluate)
    with server(), _workspace() as workspace:
        for work, evaluate in _iterations(workspace, keys):
            yield _line(work, f"{size} of five assets", evaluate)


def _line(work: str, size: str, evaluate: Callable[[], object]) -> Line:
    seconds = statistics.median(timed(evaluate) for _ in range(ROUNDS))
    return Line(work, size, f"{seconds:.2f} s", AIM)


def _evaluations(keys: list[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """What pages and iterations are made of, and each edge of the graph in both directions."""
    from boursomatic_assets.definitions import defs
    from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, START

    everything, some = MARKET_SESSIONS, MARKET_SESSIONS.subset_with_partition_keys(keys)
    yield f"all keys since {START.year}", lambda: everything.get_partition_keys(dt.datetime.now(dt.UTC))
    yield "validate keys", lambda: everything.filter_valid_partition_keys(set(keys))
    yield "cut keys into ranges", lambda: some.get_partition_key_ranges(everything)
    graph = defs.resolve_asset_graph()
    for child in sorted(graph.executable_asset_keys):
        for parent in sorted(graph.get(child).parent_keys):
            edge, arguments = graph.get_partition_mapping(child, parent), (some, everything, everything)
            up, down = parent.to_user_string(), child.to_user_string()
            yield (
                f"partitions of {up} that {down} needs",
                _bound(edge.get_upstream_mapped_partitions_result_for_partitions, *arguments),
            )
            yield (
                f"partitions of {down} that need {up}",
                _bound(edge.get_downstream_partitions_for_partitions, *arguments),
            )


def _bound(function: Callable[..., object], *arguments: Any) -> Callable[[], object]:
    return lambda: function(*arguments)


@contextmanager
def _workspace() -> Iterator[Any]:
    """The platform's code location, as the daemon sees it."""
    import os

    import dagster as dg
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
    from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext

    from boursomatic_assets.orchestration.instance import ensure_dagster_home

    os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="boursomatic_assets.definitions"))
    target = InProcessTestWorkspaceLoadTarget(origin)
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as workspace:
        yield workspace


def _iterations(workspace: Any, keys: list[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """The daemon's iterations over a backfill: at its start, and after each of its stages."""
    from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView, TemporalContext
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
    from dagster._core.execution.asset_backfill import AssetBackfillData, execute_asset_backfill_iteration_inner

    graph, now = workspace.create_request_context().asset_graph, dt.datetime.now(dt.UTC)
    assets = sorted(key for key in graph.executable_asset_keys)
    fields = {"dynamic_partitions_store": workspace.instance, "backfill_start_timestamp": now.timestamp()}

    def asked() -> AssetBackfillData:
        return AssetBackfillData.from_asset_partitions(graph, keys, assets, all_partitions=False, **fields)

    def iterate(data: AssetBackfillData) -> object:
        context = TemporalContext(effective_dt=now, last_event_id=None)
        view = AssetGraphView(temporal_context=context, instance=workspace.instance, asset_graph=graph)
        return execute_asset_backfill_iteration_inner(
            "bench", data, view, now.timestamp(), logging.getLogger("bench"), None
        )

    yield "ask for a backfill", asked
    yield "first iteration", lambda: iterate(asked())
    done: set[str] = set()
    for stage in (("instruments", "price_bars"), ("features",)):
        done |= set(stage)
        target = asked().target_subset
        part = AssetGraphSubset(
            {key: keys for key, keys in target.partitions_subsets_by_asset_key.items() if key.path[-1] in done}
        )
        data = asked()._replace(
            requested_runs_for_target_roots=True, requested_subset=part, materialized_subset=part
        )
        yield f"iteration after {', '.join(stage)}", _bound(iterate, data)
