"""Missed sessions are asked for again: which, when, and never twice at once."""

import datetime as dt
from collections.abc import Mapping

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.platform import execute
from worlds.sessions import finish, load

from boursomatic_assets.automation import refill
from boursomatic_assets.automation.refill import Asked, plan
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.tables.freshness import Freshness, State

NOW = dt.datetime(2024, 6, 15, 8)


def market(name: str, states: Mapping[str, State]) -> Freshness:
    """How far a market is; a session before is complete."""
    dated: dict[dt.date, State] = {dt.date(2024, 6, 3): "complete"}
    dated |= {dt.date.fromisoformat(f"2024-06-{day}"): state for day, state in states.items()}
    return Freshness(MARKETS[name], dated, 1, dt.date(2024, 6, 3), dt.date(2024, 6, 3))


def asked_for(*markets: Freshness, in_flight: str = "", asked: Mapping[str, Asked] | None = None) -> list[str]:
    return [one.key for one in plan(markets, {in_flight}, dict(asked or {}), NOW).requests]


def ago(times: int, minutes: float) -> Asked:
    return Asked(times, (NOW - dt.timedelta(minutes=minutes)).isoformat())


@pytest.mark.parametrize("state", ["not loaded", "provisional", "not computed", "not advised", "incomplete"])
def test_a_session_that_is_not_as_it_should_be_is_asked_for(state: State) -> None:
    assert asked_for(market("US", {"10": state})) == ["2024-06-10|US"]


def test_nothing_is_asked_for_while_all_is_complete() -> None:
    planned = plan([market("US", {"10": "complete"})], set(), {}, NOW)
    assert (list(planned.requests), planned.asked, planned.note) == ([], {}, "no session is lacking")


def test_the_oldest_date_comes_first_and_alone() -> None:
    us = market("US", {"10": "complete", "11": "not loaded", "12": "not loaded"})
    euronext = market("EURONEXT", {"11": "not loaded", "12": "provisional"})
    assert asked_for(us, euronext) == ["2024-06-11|US", "2024-06-11|EURONEXT"]


def test_a_market_waits_for_an_earlier_date_of_the_other() -> None:
    """A model learns from both, and reads what both had closed before its due date."""
    us, euronext = market("US", {"11": "not loaded"}), market("EURONEXT", {"12": "not loaded"})
    assert asked_for(us, euronext) == ["2024-06-11|US"]
    assert asked_for(us, euronext, in_flight="US") == []


def test_nothing_is_asked_of_a_market_that_is_being_computed() -> None:
    us, euronext = market("US", {"11": "not loaded"}), market("EURONEXT", {"11": "not loaded"})
    assert asked_for(us, euronext, in_flight="US") == ["2024-06-11|EURONEXT"]


@pytest.mark.parametrize(("times", "minutes"), [(1, 15), (2, 30), (3, 60), (5, 240), (6, 240), (40, 240)])
def test_each_wait_is_twice_as_long_up_to_four_hours(times: int, minutes: int) -> None:
    us = market("US", {"11": "not loaded"})
    assert asked_for(us, asked={"2024-06-11|US": ago(times, minutes - 1)}) == []
    assert asked_for(us, asked={"2024-06-11|US": ago(times, minutes)}) == ["2024-06-11|US"]


def test_a_session_that_is_waited_for_does_not_hold_up_the_next() -> None:
    us = market("US", {"11": "not loaded", "12": "not loaded"})
    assert asked_for(us, asked={"2024-06-11|US": ago(1, 1)}) == ["2024-06-12|US"]


def test_what_is_complete_is_forgotten() -> None:
    us = market("US", {"11": "complete", "12": "not loaded"})
    planned = plan([us], set(), {"2024-06-11|US": ago(3, 1), "2024-06-12|US": ago(1, 1)}, NOW)
    assert planned.asked == {"2024-06-12|US": ago(1, 1)}
    assert planned.note == "waiting before asking again for 2024-06-12|US"


def test_a_session_that_lacks_only_some_instruments_is_asked_for_three_times() -> None:
    us, asked, times = market("US", {"11": "incomplete"}), dict[str, Asked](), 0
    for hour in range(48):
        planned = plan([us], set(), asked, NOW + dt.timedelta(hours=hour))
        times, asked = times + len(planned.requests), planned.asked
    assert times == 3


def test_lacking_sessions_come_before_incomplete_ones() -> None:
    assert asked_for(market("US", {"11": "incomplete", "12": "not loaded"})) == ["2024-06-12|US"]


def test_of_incomplete_sessions_only_the_newest_are_asked_for() -> None:
    us = market("US", {"10": "incomplete", **dict.fromkeys(("11", "12", "13", "14", "17"), "complete")})  # type: ignore[arg-type]
    assert asked_for(us) == []


def test_a_market_that_was_never_loaded_or_left_long_ago_is_left_to_a_backfill() -> None:
    never = Freshness(MARKETS["US"], {}, 0, None, None)
    left = Freshness(MARKETS["EURONEXT"], {dt.date(2024, 6, 10): "not loaded"}, 1500, None, dt.date(2018, 6, 1))
    planned = plan([never, left], set(), {}, NOW)
    assert list(planned.requests) == []
    assert planned.note == (
        "US has no session yet: a backfill loads the first ones; EURONEXT is 1,500 sessions behind: backfill them"
    )


def test_a_session_is_left_to_its_schedule_for_a_quarter_of_an_hour(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-11")
    with dg.DagsterInstance.ephemeral() as instance:
        early = refill.evaluate(instance, None, dt.datetime(2024, 6, 12, 21, 44))
        late = refill.evaluate(instance, None, dt.datetime(2024, 6, 12, 21, 45))
    assert early.run_requests == []
    (request,) = late.run_requests or ()
    assert request.partition_key == "2024-06-12|US"
    assert request.tags["boursomatic/because"] == "not loaded"


def test_the_cursor_keeps_what_was_asked_for(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-11")
    moment = dt.datetime(2024, 6, 12, 22)
    with dg.DagsterInstance.ephemeral() as instance:
        first = refill.evaluate(instance, None, moment)
        again = refill.evaluate(instance, first.cursor, moment + dt.timedelta(minutes=14))
        later = refill.evaluate(instance, again.cursor, moment + dt.timedelta(minutes=15))
    assert [len(result.run_requests or ()) for result in (first, again, later)] == [1, 0, 1]
    assert {request.run_key for result in (first, later) for request in result.run_requests or ()} == {
        "2024-06-12|US#2024-06-12T22:00:00",
        "2024-06-12|US#2024-06-12T22:15:00",
    }


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/partition": "2024-06-12|US"},
        {
            "dagster/asset_partition_range_start": "2024-06-03|US",
            "dagster/asset_partition_range_end": "2024-06-12|US",
        },
    ],
)
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_what_runs_or_is_queued_is_not_asked_for(
    migrated: Engine, tags: dict[str, str], status: dg.DagsterRunStatus
) -> None:
    finish(migrated, "US", "2024-06-11")
    moment = dt.datetime(2024, 6, 12, 22)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun(job_name="market_session", run_id="1", status=status, tags=tags))
        result = refill.evaluate(instance, None, moment)
    assert result.run_requests == []
    assert result.skip_reason is not None
    assert str(result.skip_reason.skip_message).startswith("US is being computed")


def test_runs_that_load_no_bars_or_have_ended_hold_nothing_up(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-11")
    tags = {"dagster/partition": "2024-06-12|US"}
    with dg.DagsterInstance.ephemeral() as instance:
        for number, (job, status) in enumerate(
            [
                ("market_session", dg.DagsterRunStatus.FAILURE),
                ("market_session", dg.DagsterRunStatus.SUCCESS),
                ("market_session_15m", dg.DagsterRunStatus.STARTED),
            ]
        ):
            instance.add_run(dg.DagsterRun(job_name=job, run_id=str(number), status=status, tags=tags))
        result = refill.evaluate(instance, None, dt.datetime(2024, 6, 12, 22))
    assert [request.partition_key for request in result.run_requests or ()] == ["2024-06-12|US"]


def test_a_run_without_rows_leaves_its_session_lacking(migrated: Engine) -> None:
    """A run over bars that are not there succeeds, and everything is computed from none."""
    finish(migrated, "US", "2024-06-11", "2024-06-12")
    execute(migrated, "DELETE FROM delivered_sessions WHERE session = '2024-06-12'")
    load(migrated, "US", "2024-06-12", rows=0)
    with dg.DagsterInstance.ephemeral() as instance:
        result = refill.evaluate(instance, None, dt.datetime(2024, 6, 12, 22))
    assert [request.partition_key for request in result.run_requests or ()] == ["2024-06-12|US"]
