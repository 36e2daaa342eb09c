"""The asset `archive_15m`: 15m bars that are older than the table keeps, as Parquet files."""

import datetime as dt

import dagster as dg

from boursomatic_assets import settings
from boursomatic_assets.assets.metadata import OWNERS
from boursomatic_assets.tables import archive


@dg.asset(deps=["price_bars_15m"], kinds={"postgres", "parquet"}, owners=OWNERS)
def archive_15m() -> dg.MaterializeResult[None]:
    """15m bars older than 30 days: written to Parquet by date and market, then taken out of `price_bars`.

    `boursomatic restore` puts them back. Daily bars stay where they are.
    """
    archived_sessions = archive.move_to_archive(dt.datetime.now(dt.UTC).date())
    bars = sum(one.bar_count for one in archived_sessions)
    return dg.MaterializeResult(
        metadata={"sessions": len(archived_sessions), "bars": bars, "folder": str(settings.archive())},
    )
