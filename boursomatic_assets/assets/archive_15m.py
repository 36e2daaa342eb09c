"""The asset `archive_15m`: 15m bars that are older than the table keeps, as Parquet files."""

import datetime as dt

import dagster as dg

from boursomatic_assets import settings
from boursomatic_assets.assets.common import OWNERS
from boursomatic_assets.tables import archive


@dg.asset(deps=["price_bars_15m"], kinds={"postgres", "parquet"}, owners=OWNERS)
def archive_15m() -> dg.MaterializeResult[None]:
    """15m bars older than 30 days: written to Parquet by date and market, then taken out of `price_bars`.

    `boursomatic restore` puts them back. Daily bars stay where they are.
    """
    moved = archive.retire(dt.datetime.now(dt.UTC).date())
    bars = sum(one.bars for one in moved)
    return dg.MaterializeResult(
        metadata={"sessions": len(moved), "bars": bars, "folder": str(settings.archive())},
    )
