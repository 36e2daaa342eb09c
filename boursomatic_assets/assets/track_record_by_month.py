"""The asset `track_record_by_month`: a materialised view for reports.

What belongs here: the asset. Kept elsewhere: what the view holds (migration 0021), how it is refreshed
(`tables/summaries/`), when (`automation/summaries.py`).
"""

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.assets.metadata import refreshed, view_metadata
from boursomatic_assets.tables.summaries import refreshing


@dg.asset(deps=["track_record"], kinds={"postgres"}, metadata=view_metadata("track_record_by_month"))
def track_record_by_month() -> dg.MaterializeResult[None]:
    """The scores of each market, profile and horizon by the month in which the horizons ended.

    `as_of` is the newest session that a row speaks for, `refreshed_at` when it was made.
    """
    return refreshed(database.again(lambda: refreshing.refresh("track_record_by_month")))
