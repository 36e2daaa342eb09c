"""Jobs and schedules: the whole graph and 15m bars after each market's close, the archive and accounts at night.

What belongs here: which assets and checks a job runs, and when. Kept elsewhere: what these do (`assets/`,
`checks/`).
"""

from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.orchestration.partitions import partition_key
from boursomatic_assets.tables import archive

AFTER_CLOSE_CRON = {"US": "30 17 * * 1-5", "EURONEXT": "0 19 * * 1-5"}
"""When each market's session is loaded, in the exchange's time zone: 90 minutes after a regular close."""

ARCHIVE_CRON = f"{archive.ARCHIVE_TIME.minute} {archive.ARCHIVE_TIME.hour} * * *"
"""When old 15m bars are archived, in UTC."""

ACCOUNTS_CRON = "0 4 * * *"
"""When the accounts, which the application writes, are checked, in UTC."""

INTRADAY = dg.AssetSelection.assets("price_bars_15m")
ARCHIVE = dg.AssetSelection.assets("archive_15m")

market_session = dg.define_asset_job(
    "market_session",
    selection=dg.AssetSelection.all() - INTRADAY - ARCHIVE,
    description="One session of one market, from its bars to its recommendations and the track record.",
)
market_session_15m = dg.define_asset_job(
    "market_session_15m",
    selection=INTRADAY | dg.AssetSelection.assets("instruments"),
    description="The 15m bars of one session of one market, with their instruments and checks.",
)
archive_15m = dg.define_asset_job(
    "archive_15m_bars",
    selection=ARCHIVE,
    description="Move 15m bars that are older than 30 days to Parquet files.",
)
accounts = dg.define_asset_job(
    "accounts",
    selection=dg.AssetSelection.checks_for_assets("users"),
    description="The checks of accounts, which the application writes.",
)
jobs = [market_session, market_session_15m, archive_15m, accounts]


def _schedule_after_close(market: Market, job: Any, suffix: str) -> dg.ScheduleDefinition:
    minute, hour = AFTER_CLOSE_CRON[market.name].split()[:2]

    @dg.schedule(
        name=f"{market.name.lower()}_{suffix}",
        job=job,
        cron_schedule=AFTER_CLOSE_CRON[market.name],
        execution_timezone=market.timezone,
        description=f"Monday to Friday at {hour:0>2}:{minute:0>2}, {market.timezone}, 90 minutes after a regular"
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
        description="Every day at 03:30, UTC. 15m bars that are older than 30 days move to Parquet files;"
        " `boursomatic restore` puts them back.",
    ),
    dg.ScheduleDefinition(
        job=accounts,
        cron_schedule=ACCOUNTS_CRON,
        execution_timezone="UTC",
        description="Every day at 04:00, UTC. Accounts, which the application writes, are checked.",
    ),
]
