"""Which result of a check stands, for those who list failures and those who count states."""

import dagster as dg
from sqlalchemy import Engine
from worlds.patched import only_patched

from boursomatic_assets.metrics.reading import Readings
from boursomatic_assets.orchestration.dagster_patches.check_history.failed_checks import failed_checks
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
POLICY = dg.BackfillPolicy.single_run()


@dg.asset(partitions_def=MARKET_SESSIONS, backfill_policy=POLICY)
def bars() -> None: ...


@dg.asset_check(asset=bars, partitions_def=MARKET_SESSIONS)
def sane(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed="bad" not in context.run.tags, severity=dg.AssetCheckSeverity.WARN, metadata={}
    )


def run(instance: dg.DagsterInstance, market: str, **tags: str) -> None:
    """A run over both dates of a market."""
    both = {"start": f"{MONDAY}|{market}", "end": f"{TUESDAY}|{market}"}
    ends = {f"dagster/asset_partition_range_{end}": key for end, key in both.items()}
    dg.materialize([bars, sane], instance=instance, tags=ends | tags)


def whole(instance: dg.DagsterInstance, *, passed: bool) -> None:
    """A result of the whole check."""
    severity = dg.AssetCheckSeverity.ERROR
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(dg.AssetKey("bars"), "sane", passed=passed, severity=severity, metadata={})
    )


def states() -> dict[tuple[str, str], int]:
    """How many partitions of a market have each state, without zeros."""
    (family,) = (one for one in Readings().read() if one.name == "boursomatic_check_partitions")
    return {
        (sample.labels["market"], sample.labels["state"]): int(sample.value)
        for sample in family.samples
        if sample.value
    }


@only_patched
def test_a_range_of_one_market_leaves_the_results_of_the_other(
    migrated: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    run(dagster_instance, "US", bad="yes")
    run(dagster_instance, "EURONEXT")
    (failing,) = failed_checks(dagster_instance)
    assert (failing.market, failing.dates) == ("US", (MONDAY, TUESDAY))
    assert states() == {("US", "warning"): 2, ("EURONEXT", "passed"): 2}
    run(dagster_instance, "US")
    assert failed_checks(dagster_instance) == []
    assert states() == {("US", "passed"): 2, ("EURONEXT", "passed"): 2}


@only_patched
def test_a_result_of_the_whole_check_takes_the_place_of_all_until_one_has_a_later_one(
    migrated: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    run(dagster_instance, "US", bad="yes")
    whole(dagster_instance, passed=False)
    assert [(one.market, one.is_error) for one in failed_checks(dagster_instance)] == [("", True)]
    assert states() == {("all", "error"): 1}
    run(dagster_instance, "EURONEXT")
    assert failed_checks(dagster_instance) == []
    assert states() == {("EURONEXT", "passed"): 2}
