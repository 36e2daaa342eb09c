"""The asset `model_versions`: trained models, and the champion of each session.

What belongs here: the asset, and what the UI shows of its partitions.
Kept elsewhere: training and decisions (`registry/`), the model itself (`learning/`).
"""

from functools import partial
from itertools import count
from typing import Any

import dagster as dg

from boursomatic_assets import database, registry
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.assets.policies import RECOMMENDATIONS_POLICY
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.orchestration.backfills import await_upstream
from boursomatic_assets.orchestration.dagster_patches.steps import add_partition_metadata
from boursomatic_assets.orchestration.partitions import (
    EVERYTHING_BEFORE,
    MARKET_SESSIONS,
    partition_key,
    slices_of_run,
)
from boursomatic_assets.orchestration.progress import tell
from boursomatic_assets.orchestration.reporting import newest_keys, run_entry
from boursomatic_assets.registry import ChampionAsOf, Version
from boursomatic_assets.schema import ModelVersion

NOT_DUE = "no version is due on this date"
UNTRAINED = "a version is due on this date, but the history before it is too short to train one, or is not loaded"


@dg.asset(
    deps=[
        dg.AssetDep("features", partition_mapping=EVERYTHING_BEFORE),
        dg.AssetDep("price_bars", partition_mapping=EVERYTHING_BEFORE),
    ],
    kinds={"postgres", "lightgbm"},
    metadata=table_metadata(ModelVersion),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=RECOMMENDATIONS_POLICY,
    code_version="2",
)
def model_versions(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One pooled model of both markets per due date, the first session of a month.

    Training uses sessions of both markets that closed before that date's first open, and nothing later. The
    partition of a due date shows what the gate decided; every partition shows the champion, or why there is none.
    A due date is trained once: `stale` counts those whose history has changed since, and
    `boursomatic refresh --models` trains them again.
    """
    parts, step = slices_of_run(context), context.get_step_execution_context()
    await_upstream(step, "features")
    last, number, trained = max(part.dates[-1] for part in parts), count(1), set[str]()

    def when_trained(version: Version, due: int) -> None:
        trained.add(version.version)
        line = f"model_versions: {version.version} is trained, {next(number):,} of {due:,} due dates"
        tell(line, context.log.info)

    database.again(lambda: registry.train_due_versions(last, Parameters(), when_trained))
    stale_versions = database.again(_stale_versions)
    metadata = {
        partition_key(moment.date, part.market.name): _describe_moment(moment)
        for part in parts
        for moment in database.again(partial(registry.champion_timeline, part))
    }
    for key in newest_keys(metadata):
        metadata[key] |= run_entry({"trained": len(trained), "stale": len(stale_versions)})
    add_partition_metadata(step, context.asset_key, metadata)
    return dg.MaterializeResult()


def _stale_versions() -> list[Version]:
    with database.engine().connect() as connection:
        return registry.stale_versions(connection, Parameters())


def _describe_moment(moment: ChampionAsOf) -> dict[str, Any]:
    """What the UI shows of a partition: the champion, and on a due date the decision about its challenger."""
    challenger, decision = moment.challenger, moment.decision
    champion = _describe_champion(moment)
    if challenger is None or decision is None:
        return champion | {"note": UNTRAINED if due_dates(moment.date, moment.date) else NOT_DUE}
    metrics = {name: value for name, value in challenger.metrics.items() if isinstance(value, float)}
    outcome = {"decision": decision.kind, "reason": decision.reason, "metrics": dg.MetadataValue.json(metrics)}
    return {**champion, "challenger": challenger.version, **outcome}


def _describe_champion(moment: ChampionAsOf) -> dict[str, Any]:
    """The champion with the evidence for it, to one, or why there is none."""
    if moment.champion:
        evidence = Standing.from_metrics(moment.champion.metrics).evidence_at
        return {"champion": moment.champion.version} | {f"evidence/{n}_sessions": evidence[n] for n in evidence}
    if why := moment.abstention:
        return {"champion": "none: HOLD is published", "because": f"{why.version.version}: {why.reason}"}
    return {"champion": "none yet: the history is too short to train a version, and nothing is recommended"}
