"""A finding carries its sessions, and each session of a run has its own result."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest
from conftest import Admin
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Colour
from sqlalchemy import Engine
from worlds.patched import only_patched
from worlds.platform import LAST, execute, platform

from boursomatic_assets.checks.findings.finding import Counts, Finding, on_sessions
from boursomatic_assets.checks.findings.results import describe, to_result
from boursomatic_assets.cli import launching
from boursomatic_assets.orchestration.dagster_patches.check_history.failed_checks import failed_checks
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

MONDAY, TUESDAY, FRIDAY = dt.date(2024, 6, 10), dt.date(2024, 6, 11), dt.date(2024, 6, 14)
FIRST = dt.date(2024, 2, 5)
MISSING = "every_tracked_instrument_has_its_bar"
OF_US = "(SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
WITHOUT_BARS = (
    f"DELETE FROM price_bars WHERE ts = '2024-02-07' AND instrument_id IN {OF_US}"
    " AND instrument_id <> (SELECT id FROM instruments WHERE symbol = 'SIMU001')",
    f"DELETE FROM price_bars WHERE ts = '2024-02-14' AND instrument_id IN {OF_US}"
    " AND instrument_id = (SELECT id FROM instruments WHERE symbol = 'SIMU001')",
)


# --- findings


def test_findings_add_up_session_by_session() -> None:
    found = on_sessions("US", errors={MONDAY: 2}) + on_sessions("US", errors={MONDAY: 1}, warnings={TUESDAY: 4})
    assert (found.errors, found.warnings) == (3, 4)
    assert found.by_session == {("US", MONDAY): Counts(3, 0), ("US", TUESDAY): Counts(0, 4)}


def test_a_date_without_a_session_counts_for_the_partition_that_holds_it() -> None:
    assert on_sessions("US", errors={dt.date(2024, 6, 16): 1}).by_session == {("US", FRIDAY): Counts(1, 0)}


def test_what_belongs_to_no_session_belongs_to_the_whole_table() -> None:
    assert (on_sessions("US", errors={MONDAY: 2}) + Finding(errors=3)).of_whole_table == Counts(3, 0)


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        (Finding(), "no violation"),
        (Finding(errors=1), "1 error"),
        (on_sessions("US", errors={MONDAY: 2}), "2 errors on 1 session: US 2024-06-10"),
        (
            on_sessions("US", warnings={FRIDAY: 1, dt.date(2024, 6, 17): 1, dt.date(2024, 6, 20): 1}),
            "3 warnings on 3 sessions: US 2024-06-14 .. 2024-06-17, 2024-06-20",
        ),
        (
            on_sessions("US", errors={MONDAY: 1}, warnings={MONDAY: 1})
            + on_sessions("EURONEXT", errors={FRIDAY: 1}),
            "2 errors and 1 warning on 2 sessions: EURONEXT 2024-06-14; US 2024-06-10",
        ),
        (
            on_sessions("US", errors={MONDAY + dt.timedelta(14 * n): 1 for n in range(7)}) + Finding(errors=1),
            "8 errors on 7 sessions: US 2024-06-10, 2024-06-24, 2024-07-08, 2024-07-22, 2024-08-05; 2 more,"
            " and of the whole table",
        ),
    ],
)
def test_a_finding_is_told_in_one_sentence(finding: Finding, told: str) -> None:
    assert describe(finding) == told == to_result(finding).description


def test_failing_rows_are_a_table_of_twenty_at_most() -> None:
    rows = [{"session": MONDAY, "symbol": f"S{n}", "factor": 0.5} for n in range(30)]
    shown = to_result(Finding(warnings=30, figures={"bad": rows, "none": []})).metadata
    assert "none" not in shown
    assert [record.data for record in shown["bad"].records] == [
        {"session": "2024-06-10", "symbol": f"S{n}", "factor": 0.5} for n in range(20)
    ]
    assert [(one.name, one.type) for one in shown["bad"].schema.columns] == [
        ("session", "string"),
        ("symbol", "string"),
        ("factor", "float"),
    ]


# --- results of sessions


def run(instance: dg.DagsterInstance, check: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    """Run one check alone."""
    keys = {key for key in platform.resolve_asset_graph().asset_check_keys if key.name == check}
    job = platform.resolve_job_def("market_session")
    only = job.get_subset(asset_selection=set(), asset_check_selection=keys)
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return only.execute_in_process(config, instance=instance, tags=tags, raise_on_error=False)


def a_range(start: dt.date = FIRST, end: dt.date = LAST, market: str = "US") -> dict[str, str]:
    return launching.Run((), market, start, end).tags


def key_of(check: str) -> dg.AssetCheckKey:
    (key,) = (key for key in platform.resolve_asset_graph().asset_check_keys if key.name == check)
    return key


def colours(instance: dg.DagsterInstance, check: str) -> dict[Colour, set[str]]:
    key = key_of(check)
    state = instance.event_log_storage.get_asset_check_state([(key, MARKET_SESSIONS)])[key]
    found = {colour: set(subset.subset_value.get_partition_keys()) for colour, subset in state.subsets.items()}
    return {colour: keys for colour, keys in found.items() if keys}


def history(instance: dg.DagsterInstance, check: str, partition: str | None = None) -> list[Any]:
    """What the page of a check lists, of one partition or of all runs."""
    chosen = PartitionKeyFilter(key=partition) if partition else None
    return list(
        instance.event_log_storage.get_asset_check_execution_history(key_of(check), 100, partition_filter=chosen)
    )


def told(record: AssetCheckExecutionRecord) -> tuple[object, object, str | None]:
    found = record.evaluation
    assert found
    return found.metadata["errors"].value, found.metadata["warnings"].value, found.description


def symbols(record: AssetCheckExecutionRecord) -> list[Any]:
    assert record.evaluation
    return [row.data["symbol"] for row in record.evaluation.metadata["missing"].records]


@only_patched
def test_only_sessions_with_a_violation_are_red(filled: Engine, dagster_instance: dg.DagsterInstance) -> None:
    execute(filled, *WITHOUT_BARS)
    assert run(dagster_instance, MISSING, a_range()).success
    found = colours(dagster_instance, MISSING)
    assert found.keys() == {Colour.FAILED, Colour.SUCCEEDED}
    assert found[Colour.FAILED] == {"2024-02-07|US", "2024-02-14|US"}
    assert len(found[Colour.SUCCEEDED]) == 19 - 2


@only_patched
def test_each_session_has_its_own_count_and_rows(filled: Engine, dagster_instance: dg.DagsterInstance) -> None:
    execute(filled, *WITHOUT_BARS)
    run(dagster_instance, MISSING, a_range())
    (many,), (one,), (none,) = (
        history(dagster_instance, MISSING, f"2024-02-{day}|US") for day in ("07", "14", "15")
    )
    assert told(many) == (0, 11, "11 warnings")
    assert told(one) == (0, 1, "1 warning")
    assert told(none) == (0, 0, "no violation")
    assert symbols(one) == ["SIMU001"]
    assert len(symbols(many)) == 11
    assert none.evaluation.metadata.keys() == {"errors", "warnings"}
    assert {record.evaluation.partition for record in (one, none)} == {"2024-02-14|US", "2024-02-15|US"}


@only_patched
def test_the_history_has_one_entry_for_a_run_with_its_total(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    execute(filled, *WITHOUT_BARS)
    run(dagster_instance, MISSING, a_range())
    run(dagster_instance, MISSING, a_range(LAST, LAST))
    single, of_range = history(dagster_instance, MISSING)
    assert told(of_range) == (0, 12, "12 warnings on 2 sessions: US 2024-02-07, 2024-02-14")
    assert told(single) == (0, 0, "no violation")
    assert history(dagster_instance, MISSING)[1:][0].id == of_range.id
    log = dagster_instance.event_log_storage
    assert [one.id for one in log.get_asset_check_execution_history(key_of(MISSING), 5, cursor=single.id)] == [
        of_range.id
    ]
    assert log.get_latest_asset_check_execution_by_key([key_of(MISSING)])[key_of(MISSING)].id == single.id


@only_patched
def test_a_violation_of_the_whole_table_is_one_of_each_session(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    execute(filled, "DROP INDEX idx_price_bars_instrument_ts_interval")
    run(dagster_instance, "one_bar_per_instrument_and_session", a_range())
    assert len(colours(dagster_instance, "one_bar_per_instrument_and_session")[Colour.FAILED]) == 19


@only_patched
def test_what_belongs_to_no_session_of_one_market_is_not_the_others(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    execute(
        filled,
        "INSERT INTO rejected_bars (id, market, session, source, file, line, raw, reason) VALUES"
        " (gen_random_uuid(), 'US', NULL, 'files', 'a.csv', 3, '{}', 'time is missing'),"
        " (gen_random_uuid(), 'US', '2024-02-07', 'files', 'a.csv', 4, '{}', 'price is missing')",
    )
    for market in ("US", "EURONEXT"):
        run(dagster_instance, "no_row_was_refused", a_range(market=market))
    assert {key[-2:] for key in colours(dagster_instance, "no_row_was_refused")[Colour.FAILED]} == {"US"}
    (both,), (shared,) = (
        history(dagster_instance, "no_row_was_refused", f"2024-02-{day}|US") for day in ("07", "08")
    )
    assert told(both) == (0, 2, "2 warnings, 1 warning of no session")
    assert told(shared) == (0, 1, "1 warning, 1 warning of no session")
    (failing,) = failed_checks(dagster_instance)
    assert (failing.market, failing.counts, len(failing.dates)) == ("US", (0, 2), 19)
    assert failing.first_rows == "refused a.csv:3: time is missing"


# --- without a partition


@pytest.fixture
def materialized(filled: Engine, dagster_instance: dg.DagsterInstance, admin: Admin) -> Engine:
    """The filled platform, with materialisations of its bars in four weeks of both markets in Dagster's log."""
    for key in MARKET_SESSIONS.get_partition_keys():
        if "2024-02-05" <= key < "2024-03-01":
            dagster_instance.report_runless_asset_event(dg.AssetMaterialization("price_bars", partition=key))
    return filled


def test_without_a_partition_a_check_looks_at_all_loaded_sessions(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    execute(filled, *WITHOUT_BARS, "DELETE FROM price_bars WHERE ts = '2023-06-15'")
    result = run(dagster_instance, MISSING, {})
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.metadata["warnings"].value == 12 + 24
    looked_at = [record.data for record in evaluation.metadata["looked at"].records]
    assert looked_at == [
        {"market": "EURONEXT", "from": "2023-01-03", "to": "2024-02-29"},
        {"market": "US", "from": "2023-01-03", "to": "2024-02-29"},
    ]


@only_patched
def test_without_a_partition_each_loaded_session_has_its_result(
    materialized: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    execute(materialized, *WITHOUT_BARS)
    result = run(dagster_instance, MISSING, {})
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    found = colours(dagster_instance, MISSING)
    assert found.keys() == {Colour.FAILED, Colour.SUCCEEDED}
    assert found[Colour.FAILED] == {"2024-02-07|US", "2024-02-14|US"}
    assert len(found[Colour.SUCCEEDED]) == 2 * 19 - 2
    (of_run,) = history(dagster_instance, MISSING)
    assert told(of_run) == (0, 12, "12 warnings on 2 sessions: US 2024-02-07, 2024-02-14")


@pytest.mark.parametrize("asset", ["instruments", "price_bars", "features", "model_versions"])
def test_every_check_of_an_asset_runs_without_a_partition(
    filled: Engine, dagster_instance: dg.DagsterInstance, asset: str
) -> None:
    keys = {key for key in platform.resolve_asset_graph().asset_check_keys if key.asset_key.path[-1] == asset}
    job = platform.resolve_job_def("market_session")
    only = job.get_subset(asset_selection=set(), asset_check_selection=keys)
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = only.execute_in_process(config, instance=dagster_instance, raise_on_error=False)
    assert {one.check_name: one.passed for one in result.get_asset_check_evaluations()} == dict.fromkeys(
        (key.name for key in keys), True
    )
