"""The asset `coverage_by_month`: a materialised view for reports.

What belongs here: the asset. Kept elsewhere: what the view holds (migration 0021), how it is refreshed
(`tables/summaries/`), when (`automation/summaries.py`).
"""

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.assets.metadata import refreshed, view_metadata
from boursomatic_assets.tables.summaries import refreshing


@dg.asset(
    deps=["price_bars", "features", "recommendations"],
    kinds={"postgres"},
    metadata=view_metadata("coverage_by_month"),
)
def coverage_by_month() -> dg.MaterializeResult[None]:
    """Sessions, bars, and instruments with bars, features and advice, of each market by month.

    `as_of` is the newest session that a row speaks for, `refreshed_at` when it was made.
    """
    return refreshed(database.again(lambda: refreshing.refresh("coverage_by_month")))
