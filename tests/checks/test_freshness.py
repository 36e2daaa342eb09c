"""The checks about now: they are red while a market is behind, and say how far."""

import datetime as dt

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic
from worlds.sessions import finish

from boursomatic_assets.automation import watch
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.definitions import defs
from boursomatic_assets.tables.freshness import GRACE

WEDNESDAY_NIGHT = dt.datetime(2024, 6, 13, 1)


def us_is_behind() -> str:
    """What is said of a US market whose newest session is 2019-06-10, with how many are due since."""
    due = MARKETS["US"].sessions_loaded_by(utc_now() - GRACE)
    return f"US is {sum(session > dt.date(2019, 6, 10) for session in due):,} sessions behind: "


def results(cursor: str | None) -> tuple[dict[str, dg.AssetCheckEvaluation], str | None]:
    found = watch.look(cursor, WEDNESDAY_NIGHT)
    events = [event for event in found.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    return {event.check_name: event for event in events}, found.cursor


def test_a_market_that_is_behind_is_an_error_that_says_how_far(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-10")
    found = results(None)[0]["us_is_up_to_date"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "US is 2 sessions behind: 2024-06-11 not loaded, 2024-06-12 not loaded"
    assert found.metadata["sessions_behind"].value == 2


def test_an_earlier_gap_is_a_warning(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-10", "2024-06-12")
    found = results(None)[0]["us_is_up_to_date"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["lacking"].value == "2024-06-11 not loaded"


def test_the_sensor_records_a_result_only_when_it_changes(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-11")
    first, cursor = results(None)
    assert set(first) == {"us_is_up_to_date", "euronext_is_up_to_date"}
    second, cursor = results(cursor)
    assert second == {}
    finish(migrated, "US", "2024-06-12")
    third, cursor = results(cursor)
    assert {name: event.passed for name, event in third.items()} == {"us_is_up_to_date": True}


def test_dagster_keeps_what_the_sensor_says(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-12")
    with dg.DagsterInstance.ephemeral() as instance:
        for event in watch.look(None, WEDNESDAY_NIGHT).asset_events:
            instance.report_runless_asset_event(event)
        key = dg.AssetCheckKey(dg.AssetKey("current_advice"), "us_is_up_to_date")
        stored = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert stored.event is not None
    assert stored.event.dagster_event is not None
    assert stored.event.dagster_event.asset_check_evaluation_data.passed


@pytest.mark.calendar
def test_the_job_judges_by_the_present_time(migrated: Engine) -> None:
    finish(migrated, "US", "2019-06-10")
    result = defs.resolve_job_def("freshness").execute_in_process()
    told = {found.check_name: found for found in result.get_asset_check_evaluations()}
    assert (told["us_is_up_to_date"].description or "").startswith(us_is_behind())
    assert told["euronext_is_up_to_date"].description == "EURONEXT has no loaded session yet"


@pytest.mark.calendar
def test_status_and_doctor_say_how_far_each_market_is(migrated: Engine, dagster_instance: object) -> None:
    finish(migrated, "US", "2019-06-10")
    assert f"freshness:        {us_is_behind()}" in boursomatic("status").output
    assert "freshness:        EURONEXT has no loaded session yet" in boursomatic("status").output
    (us, euronext) = (line for line in boursomatic("doctor").output.splitlines() if "  freshness  " in line)
    assert us.startswith(f"late  freshness          {us_is_behind()}")
    assert euronext.endswith("EURONEXT has no loaded session yet")
