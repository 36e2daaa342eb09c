"""Schedules: the whole graph and 15m bars after each market's close, the archive and accounts at night.

What belongs here: when a job runs. Kept elsewhere: the jobs (`jobs.py`), sessions that were missed (`refill.py`).
"""

from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from boursomatic_assets import settings
from boursomatic_assets.automation.jobs import accounts, archive_15m, market_session, market_session_15m
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.orchestration.partitions import partition_key
from boursomatic_assets.tables.archive import moving

ARCHIVE_CRON = f"{moving.ARCHIVE_TIME.minute} {moving.ARCHIVE_TIME.hour} * * *"
"""When old bars and features are archived, in UTC."""

ACCOUNTS_CRON = "0 4 * * *"
"""When the accounts, which the application writes, are checked, in UTC."""

STATUS = dg.DefaultScheduleStatus.RUNNING if settings.automation() else dg.DefaultScheduleStatus.STOPPED
"""Of a schedule that nobody has switched in the UI."""


def _schedule_after_close(market: Market, job: Any, suffix: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{market.name.lower()}_{suffix}",
        job=job,
        cron_schedule=f"{market.load_clock.minute} {market.load_clock.hour} * * 1-5",
        execution_timezone=market.timezone,
        default_status=STATUS,
        description=f"Monday to Friday at {market.load_clock:%H:%M}, {market.timezone}, 90 minutes after a regular"
        f" close of {market.name}; holidays are skipped. {job.description}",
    )
    def after_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        session = context.scheduled_execution_time.astimezone(ZoneInfo(market.timezone)).date()
        if not market.is_session(session):
            return dg.SkipReason(f"{session} is no session of {market.name}")
        key = partition_key(session, market.name)
        return dg.RunRequest(run_key=key, partition_key=key)

    return after_close


schedules = [
    *(_schedule_after_close(market, market_session, "after_close") for market in MARKETS.values()),
    *(_schedule_after_close(market, market_session_15m, "15m_after_close") for market in MARKETS.values()),
    dg.ScheduleDefinition(
        job=archive_15m,
        cron_schedule=ARCHIVE_CRON,
        execution_timezone="UTC",
        default_status=STATUS,
        description="Every day at 03:30, UTC. 15m bars that are older than 30 days move to Parquet files, and with"
        " `BOURSOMATIC_COLD_AFTER` old years of daily bars and features;"
        " `boursomatic archive restore` puts them back.",
    ),
    dg.ScheduleDefinition(
        job=accounts,
        cron_schedule=ACCOUNTS_CRON,
        execution_timezone="UTC",
        default_status=STATUS,
        description="Every day at 04:00, UTC. Accounts, which the application writes, are checked.",
    ),
]
