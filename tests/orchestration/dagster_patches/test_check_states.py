"""Checks of many partitions have the colours that Dagster gives them, found at once."""

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Colour
from dagster._core.storage.event_log.base import EventLogStorage

from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

KEY = dg.AssetCheckKey(dg.AssetKey("bars"), "sane")
WEEK = [f"2024-06-{day}|US" for day in (10, 11, 12, 13, 14)]
POLICY = dg.BackfillPolicy.single_run()


@dg.asset(partitions_def=MARKET_SESSIONS, backfill_policy=POLICY)
def bars() -> None: ...


@dg.asset_check(asset=bars, partitions_def=MARKET_SESSIONS)
def sane(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Fails, or breaks, as the run's tag asks for."""
    if context.run.tags.get("sane") == "broken":
        raise dg.Failure("as asked for")
    return dg.AssetCheckResult(passed=context.run.tags.get("sane") != "failed")


def run(instance: dg.DagsterInstance, tags: dict[str, str], sane_is: str, *, with_check: bool = True) -> None:
    chosen = [bars, sane] if with_check else [bars]
    dg.materialize(chosen, instance=instance, tags=tags | {"sane": sane_is}, raise_on_error=False)


def a_range(start: str, end: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}


def single(key: str) -> dict[str, str]:
    date, market = key.split("|")
    return {"dagster/partition": key, "dagster/partition/date": date, "dagster/partition/market": market}


def colours(instance: dg.DagsterInstance) -> dict[Colour, set[str]]:
    state = instance.event_log_storage.get_asset_check_state([(KEY, MARKET_SESSIONS)])[KEY]
    found = {colour: set(subset.subset_value.get_partition_keys()) for colour, subset in state.subsets.items()}
    return {colour: keys for colour, keys in found.items() if keys}


def test_a_range_has_the_colour_of_its_check(dagster_instance: dg.DagsterInstance) -> None:
    run(dagster_instance, a_range(WEEK[0], WEEK[1]), "passed")
    run(dagster_instance, a_range(WEEK[2], WEEK[3]), "failed")
    run(dagster_instance, a_range(WEEK[4], WEEK[4]), "broken")
    assert colours(dagster_instance) == {
        Colour.SUCCEEDED: {WEEK[0], WEEK[1]},
        Colour.FAILED: {WEEK[2], WEEK[3]},
        Colour.EXECUTION_FAILED: {WEEK[4]},
    }
    run(dagster_instance, a_range(WEEK[1], WEEK[4]), "passed", with_check=False)
    assert colours(dagster_instance)[Colour.SUCCEEDED] == {WEEK[0]}
    assert Colour.FAILED not in colours(dagster_instance)


def test_single_partitions_have_the_colours_that_dagster_finds_one_by_one(
    dagster_instance: dg.DagsterInstance,
) -> None:
    for key, sane_is in zip(WEEK, ("passed", "failed", "broken", "passed"), strict=False):
        run(dagster_instance, single(key), sane_is)
    run(dagster_instance, single(WEEK[3]), "passed", with_check=False)
    log = dagster_instance.event_log_storage
    theirs = EventLogStorage.get_asset_check_state(log, [(KEY, MARKET_SESSIONS)])[KEY]
    ours = log.get_asset_check_state([(KEY, MARKET_SESSIONS)])[KEY]
    assert {key for keys in colours(dagster_instance).values() for key in keys} == set(WEEK[:3])
    for colour in Colour:
        assert ours.subsets.get(colour) == theirs.subsets[colour] or theirs.subsets[colour].is_empty


def test_what_never_ran_in_a_failed_run_keeps_its_last_result(dagster_instance: dg.DagsterInstance) -> None:
    run(dagster_instance, a_range(WEEK[0], WEEK[2]), "failed")

    @dg.asset(name="bars", partitions_def=MARKET_SESSIONS, backfill_policy=POLICY)
    def broken() -> None:
        raise dg.Failure("as asked for")

    tags = a_range(WEEK[0], WEEK[4])
    assert not dg.materialize([broken, sane], instance=dagster_instance, tags=tags, raise_on_error=False).success
    assert colours(dagster_instance) == {Colour.FAILED: set(WEEK[:3])}
    latest = dagster_instance.event_log_storage.get_latest_asset_check_execution_by_key([KEY])[KEY]
    assert latest.status == AssetCheckExecutionRecordStatus.FAILED
