"""The sensor `freshness`: it looks each minute how far the markets are, and records what has changed.

What belongs here: when a check's result is recorded without a run.
Kept elsewhere: the check (`checks/now/freshness.py`), how far a market is (`tables/freshness.py`).
"""

import datetime as dt
import json

import dagster as dg

from boursomatic_assets import database, settings
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.checks.now.freshness import evaluate
from boursomatic_assets.tables.freshness import read_freshness

STATUS = dg.DefaultSensorStatus.RUNNING if settings.automation() else dg.DefaultSensorStatus.STOPPED
"""Of a sensor that nobody has switched in the UI."""


def look(cursor: str | None, now: dt.datetime) -> dg.SensorResult:
    """Return the result of each market's check that differs from the one before, which the cursor holds."""
    before: dict[str, str] = json.loads(cursor) if cursor else {}
    after, changed = {}, []
    with database.engine().connect() as connection:
        for market in MARKETS.values():
            freshness = read_freshness(connection, market, now)
            after[market.name] = str(freshness)
            if before.get(market.name) != str(freshness):
                changed.append(_evaluation(evaluate(freshness)))
    return dg.SensorResult(
        asset_events=changed,
        cursor=json.dumps(after),
        skip_reason="; ".join(after.values()),
    )


def _evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """A check's result as an event that belongs to no run."""
    assert result.asset_key is not None
    assert result.check_name is not None
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


@dg.sensor(
    name="freshness",
    minimum_interval_seconds=60,
    default_status=STATUS,
    description="Each minute. Whether the newest closed session of each market is loaded, computed and advised.",
)
def watch_freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look now."""
    return look(context.cursor, utc_now())
