"""Each market's schedule requests each of its sessions once, after the close, in the exchange's time zone."""

import datetime as dt
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._utils.schedules import cron_string_iterator
from sqlalchemy import Engine

from boursomatic_assets.automation import schedules
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.definitions import defs
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS

PAIRS = list(zip((*MARKETS.values(), *MARKETS.values()), schedules[:4], strict=True))
each_market = pytest.mark.parametrize(("market", "schedule"), PAIRS, ids=[schedule.name for _, schedule in PAIRS])


def tick_times(schedule: dg.ScheduleDefinition, first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """The ticks of a schedule between two times, as Dagster's daemon computes them."""
    found = []
    assert isinstance(schedule.cron_schedule, str)
    for tick in cron_string_iterator(first.timestamp(), schedule.cron_schedule, schedule.execution_timezone):
        if tick > last:
            return found
        found.append(tick)
    return found


def evening(year: int, month: int, day: int, market: Market) -> dt.datetime:
    """An evening in the exchange's time zone."""
    return dt.datetime(year, month, day, 21, tzinfo=ZoneInfo(market.timezone))


def evaluate(schedule: dg.ScheduleDefinition, tick: dt.datetime) -> dg.RunRequest | dg.SkipReason:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=tick, repository_def=defs.get_repository_def()
        )
        result = schedule(context)
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


@each_market
def test_a_schedule_runs_in_its_exchanges_time_zone(market: Market, schedule: dg.ScheduleDefinition) -> None:
    assert schedule.execution_timezone == market.timezone
    assert schedule.name in (f"{market.name.lower()}_after_close", f"{market.name.lower()}_15m_after_close")
    hour = {"US": "17:30, America/New_York", "EURONEXT": "19:00, Europe/Paris"}[market.name]
    assert (schedule.description or "").startswith(f"Monday to Friday at {hour}, 90 minutes after a regular close")
    assert schedule.job.description in (schedule.description or "")


def test_every_schedule_describes_its_time_and_time_zone() -> None:
    for schedule in schedules:
        assert f", {schedule.execution_timezone}" in (schedule.description or ""), schedule.name
        minute, hour = str(schedule.cron_schedule).split()[:2]
        assert f" at {hour:0>2}:{minute:0>2}, " in (schedule.description or ""), schedule.name


@each_market
def test_every_session_of_three_years_has_one_tick_after_its_close(
    market: Market, schedule: dg.ScheduleDefinition
) -> None:
    """In summer, in winter, and in the weeks in which only one continent has changed its clocks."""
    first, last = (
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 12, 31, 23, 59, tzinfo=dt.UTC),
    )
    found = {tick.astimezone(ZoneInfo(market.timezone)).date(): tick for tick in tick_times(schedule, first, last)}
    sessions = [s for s in market.sessions().tolist() if dt.date(2024, 1, 1) <= s <= dt.date(2026, 12, 31)]
    assert len(sessions) > 740
    for session in sessions:
        wait = found[session].astimezone(dt.UTC).replace(tzinfo=None) - market.close_time(session)
        assert dt.timedelta(hours=1) <= wait <= dt.timedelta(hours=6), session


@pytest.mark.parametrize(
    ("date", "us", "euronext"),
    [
        ("2025-03-07", "22:30", "18:00"),  # both on winter time
        ("2025-03-10", "21:30", "18:00"),  # only New York has changed its clocks
        ("2025-03-28", "21:30", "18:00"),
        ("2025-03-31", "21:30", "17:00"),  # both on summer time
        ("2025-10-27", "21:30", "18:00"),  # only Paris has changed its clocks
        ("2025-11-03", "22:30", "18:00"),  # both on winter time
        ("2024-12-24", "22:30", "18:00"),  # both close early: the schedule waits as on any day
        ("2025-07-03", "21:30", "17:00"),  # New York closes early
        ("2025-01-09", None, "18:00"),  # a day of mourning in New York
        ("2019-12-25", None, None),
    ],
)
def test_each_market_is_requested_once_on_a_date_at_its_own_hour(
    date: str, us: str | None, euronext: str | None
) -> None:
    midnight = dt.datetime.fromisoformat(date).replace(tzinfo=dt.UTC)
    for (market, schedule), hour in zip(PAIRS[:2], (us, euronext), strict=True):
        (tick,) = tick_times(schedule, midnight, midnight + dt.timedelta(days=1))
        result = evaluate(schedule, tick)
        if hour is None:
            assert isinstance(result, dg.SkipReason)
        else:
            assert f"{tick.astimezone(dt.UTC):%Y-%m-%d %H:%M}" == f"{date} {hour}"
            assert isinstance(result, dg.RunRequest)
            assert result.partition_key == f"{date}|{market.name}"
            assert tick.astimezone(dt.UTC).replace(tzinfo=None) > market.close_time(dt.date.fromisoformat(date))


@each_market
def test_a_session_is_requested_by_its_partition(market: Market, schedule: dg.ScheduleDefinition) -> None:
    request = evaluate(schedule, evening(2024, 6, 10, market))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == request.run_key == f"2024-06-10|{market.name}"


@each_market
def test_a_tick_after_midnight_in_utc_requests_its_own_session(
    market: Market, schedule: dg.ScheduleDefinition
) -> None:
    late = dt.datetime(2024, 1, 10, 23, 30, tzinfo=ZoneInfo(market.timezone)).astimezone(dt.UTC)
    request = evaluate(schedule, late)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == f"2024-01-10|{market.name}"


@each_market
def test_a_holiday_is_skipped_with_its_reason(market: Market, schedule: dg.ScheduleDefinition) -> None:
    for month, day in ((1, 1), (3, 29), (12, 25)):
        skipped = evaluate(schedule, evening(2024, month, day, market))
        assert isinstance(skipped, dg.SkipReason)
        assert f"2024-{month:02}-{day:02} is no session of {market.name}" in str(skipped.skip_message)


def test_a_holiday_of_one_market_is_a_session_of_the_other() -> None:
    us, euronext = schedules[:2]
    fourth_of_july, may_day = (2024, 7, 4), (2024, 5, 1)
    assert isinstance(evaluate(us, evening(*fourth_of_july, MARKETS["US"])), dg.SkipReason)
    assert isinstance(evaluate(euronext, evening(*fourth_of_july, MARKETS["EURONEXT"])), dg.RunRequest)
    assert isinstance(evaluate(us, evening(*may_day, MARKETS["US"])), dg.RunRequest)
    assert isinstance(evaluate(euronext, evening(*may_day, MARKETS["EURONEXT"])), dg.SkipReason)


@pytest.mark.slow
@each_market
def test_the_requested_partition_exists_at_the_tick(market: Market, schedule: dg.ScheduleDefinition) -> None:
    """A session's partition exists on its own date, and not before it."""
    session = dt.date(2024, 6, 12)
    request = evaluate(schedule, evening(2024, 6, 12, market))
    assert isinstance(request, dg.RunRequest)
    (tick,) = tick_times(schedule, evening(2024, 6, 12, market).replace(hour=0), evening(2024, 6, 12, market))
    for instant, exists in ((tick, True), (tick - dt.timedelta(days=1), False)):
        with partition_loading_context(effective_dt=instant):
            dates = MARKET_SESSIONS.get_partitions_def_for_dimension("date").get_partition_keys()
            assert (session.isoformat() in dates) is exists
            assert (request.partition_key in MARKET_SESSIONS.get_partition_keys()) is exists


@pytest.mark.calendar
@each_market
def test_the_newest_session_can_be_requested_on_its_own_evening(
    market: Market, schedule: dg.ScheduleDefinition
) -> None:
    now = dt.datetime.now(dt.UTC)
    session: dt.date = market.sessions()[market.sessions() <= np.datetime64(now.date())][-1].item()
    request = evaluate(schedule, evening(session.year, session.month, session.day, market))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key is not None
    with partition_loading_context(effective_dt=now):
        assert MARKET_SESSIONS.has_partition_key(request.partition_key)


def test_each_job_has_its_schedules() -> None:
    job_names = {schedule.name: schedule.job_name for schedule in defs.schedules or ()}  # type: ignore[union-attr]
    assert job_names == {
        "us_after_close": "market_session",
        "euronext_after_close": "market_session",
        "us_15m_after_close": "market_session_15m",
        "euronext_15m_after_close": "market_session_15m",
        "archive_15m_bars_schedule": "archive_15m_bars",
        "accounts_schedule": "accounts",
    }


def test_every_check_has_a_job_that_runs_it() -> None:
    jobs = [
        defs.resolve_job_def(job.name) for job in defs.get_repository_def().get_all_jobs() if "__" not in job.name
    ]
    checked = {key for job in jobs for key in job.asset_layer.asset_graph.asset_check_keys}
    assert checked == defs.resolve_asset_graph().asset_check_keys


def test_accounts_are_checked_without_a_partition(migrated: Engine) -> None:
    (evaluation,) = defs.resolve_job_def("accounts").execute_in_process().get_asset_check_evaluations()
    assert (evaluation.asset_key.path[-1], evaluation.check_name, evaluation.passed) == (
        "users",
        "one_account_per_email",
        True,
    )
