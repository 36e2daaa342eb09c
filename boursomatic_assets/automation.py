"""What runs by itself: one job over the whole graph, and one schedule per market.

What belongs here: when a session's partition is asked for. Kept elsewhere: what it does (`assets/`).
"""

from zoneinfo import ZoneInfo

import dagster as dg

from boursomatic_assets.markets import MARKETS, Market
from boursomatic_assets.partitions import partition_key

AFTER_CLOSE = {"US": "30 17 * * 1-5", "EURONEXT": "0 19 * * 1-5"}
"""When each market's session is fetched, on the exchange's own clock: 90 minutes after a regular close."""

market_session = dg.define_asset_job(
    "market_session",
    selection=dg.AssetSelection.all(),
    description="One session of one market: from its bars through to its recommendations, with all checks.",
)


def _schedule(market: Market) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{market.name.lower()}_after_close",
        job=market_session,
        cron_schedule=AFTER_CLOSE[market.name],
        execution_timezone=market.timezone,
        description=f"Every {market.name} session, after its close; holidays are skipped.",
    )
    def after_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        session = context.scheduled_execution_time.astimezone(ZoneInfo(market.timezone)).date()
        if not market.is_session(session):
            return dg.SkipReason(f"{session} is no session of {market.name}")
        key = partition_key(session, market.name)
        return dg.RunRequest(run_key=key, partition_key=key)

    return after_close


schedules = [_schedule(market) for market in MARKETS.values()]
