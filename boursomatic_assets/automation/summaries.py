"""The sensor `summaries`: it has summaries refreshed once nothing that they are made from is being computed.

What belongs here: when they are refreshed. Kept elsewhere: which are out of date (`tables/summaries/`), how they
are refreshed (`assets/`).

A backfill of ten years changes what they are made from with each chunk, and pays for one refresh, at its end.
"""

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.automation.in_flight import UNFINISHED
from boursomatic_assets.automation.jobs import archive_15m, market_session_15m, summaries
from boursomatic_assets.automation.watch import STATUS
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.tables.summaries import refreshing

APART = {archive_15m.name, market_session_15m.name}
"""Jobs that change nothing of what summaries are made from."""

TAGS = {"boursomatic/launched_by": "summaries"}


@dg.sensor(
    name="summaries",
    job=summaries,
    minimum_interval_seconds=60,
    default_status=STATUS,
    description="Each minute. Refreshes the summaries that are out of date, once nothing is being computed.",
)
def refresh_outdated(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run of all that are out of date; where it has failed, again in another hour."""
    with database.engine().connect() as connection:
        outdated, digest = refreshing.outdated(connection), refreshing.sources(connection)
    if not outdated:
        return dg.SkipReason("all are up to date")
    runs = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if busy := [run for run in runs if run.job_name not in APART]:
        return dg.SkipReason(f"{', '.join(outdated)}: left until run {busy[0].run_id[:8]} has ended")
    return dg.RunRequest(
        run_key=f"{digest} {utc_now():%Y-%m-%dT%H}",
        asset_selection=[dg.AssetKey(name) for name in outdated],
        tags=TAGS,
    )
