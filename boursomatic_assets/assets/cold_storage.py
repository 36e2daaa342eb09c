"""The asset `cold_storage`: daily bars and features of old years, as Parquet files.

What belongs here: the asset. Kept elsewhere: how years move to files and back (`tables/archive/year_moves.py`).
"""

import datetime as dt

import dagster as dg

from boursomatic_assets import settings
from boursomatic_assets.stores import places
from boursomatic_assets.tables.archive import year_moves


@dg.asset(deps=["price_bars", "features"], kinds={"postgres", "parquet"})
def cold_storage() -> dg.MaterializeResult[None]:
    """Daily bars and features older than `BOURSOMATIC_COLD_AFTER` whole years: a Parquet file a year and market.

    They are read from there as from their tables; `boursomatic archive restore` writes them back. Without the
    setting all years stay.
    """
    stay = settings.cold_after()
    moved = year_moves.move(stay, dt.datetime.now(dt.UTC).date()) if stay else []
    return dg.MaterializeResult(
        metadata={"years": "\n".join(map(str, moved)) or "none", "store": places.archive().address}
    )
