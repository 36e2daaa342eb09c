"""The asset `archive_15m`: 15m bars beyond the retention of the table, as Parquet files.

What belongs here: the asset. Kept elsewhere: how bars move to the archive and back (`tables/archive/`).
"""

import datetime as dt

import dagster as dg

from boursomatic_assets.stores import places
from boursomatic_assets.tables.archive import moving

DUE = dg.FreshnessPolicy.cron(deadline_cron="30 5 * * *", lower_bound_delta=dt.timedelta(hours=3))
"""Each night. Assets with partitions have no such policy: it looks at the last materialisation, of any date."""


@dg.asset(deps=["price_bars_15m"], kinds={"postgres", "parquet"}, freshness_policy=DUE)
def archive_15m() -> dg.MaterializeResult[None]:
    """15m bars older than 30 days: written to Parquet files by date and market, then deleted from `price_bars`.

    `boursomatic archive restore` writes them back. Daily bars go to `cold_storage`.
    """
    archived_sessions = moving.move_to_archive(dt.datetime.now(dt.UTC).date())
    bars = sum(session.bar_count for session in archived_sessions)
    return dg.MaterializeResult(
        metadata={"sessions": len(archived_sessions), "bars": bars, "store": places.archive().address},
    )
