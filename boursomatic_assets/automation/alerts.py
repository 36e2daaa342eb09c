"""The sensor `alerts`: each minute it looks what is wrong, and tells those who are to know.

What belongs here: when that is done. Kept elsewhere: what is said, and how (`alerts/`).
"""

import dagster as dg

from boursomatic_assets.alerts.channels import configured
from boursomatic_assets.alerts.rounds import go_round
from boursomatic_assets.automation.watch import STATUS
from boursomatic_assets.calendars.clock import utc_now


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=60,
    default_status=STATUS,
    description="Each minute. Tells of failed runs, failed checks, markets that are behind and another champion,"
    " once each, and of their recovery, through the channels that the settings name.",
)
def tell(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Go a round; a channel that fails is in the log of the tick, and is tried again."""
    channels = configured()
    if not channels:
        return dg.SensorResult(skip_reason="no channel is set: see BOURSOMATIC_ALERT_WEBHOOK, _SMTP and _COMMAND")
    cursor, failed, done = go_round(context.instance, channels, context.cursor, utc_now())
    for problem in failed:
        context.log.error(problem)
    return dg.SensorResult(cursor=cursor, skip_reason=done)
