"""The asset `advice_by_sector`: a materialised view for reports.

What belongs here: the asset. Kept elsewhere: what the view holds (migration 0021), how it is refreshed
(`tables/summaries/`), when (`automation/summaries.py`).
"""

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.assets.metadata import refreshed, view_metadata
from boursomatic_assets.tables.summaries import refreshing


@dg.asset(deps=["recommendations"], kinds={"postgres"}, metadata=view_metadata("advice_by_sector"))
def advice_by_sector() -> dg.MaterializeResult[None]:
    """The active recommendations of each market, profile and sector: how many, and their labels.

    `as_of` is the newest session that a row speaks for, `refreshed_at` when it was made.
    """
    return refreshed(database.again(lambda: refreshing.refresh("advice_by_sector")))
