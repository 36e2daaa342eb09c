"""The asset `instruments`: what can be traded.

What belongs here: the asset. Kept elsewhere: which instruments a source lists (`sources/`), which are still active
(`tables/activity.py`).
"""

import dagster as dg
import polars as pl

from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.assets.policies import BARS_POLICY
from boursomatic_assets.orchestration import failures
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_run
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.schema import Instrument, identifiers


@dg.asset(
    kinds={"postgres", "polars"},
    metadata=table_metadata(Instrument),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=BARS_POLICY,
)
def instruments(context: dg.AssetExecutionContext, source: BarSource) -> pl.DataFrame:
    """One row per symbol and exchange, as the source lists them when a session is computed.

    Rows are inserted and updated, never deleted: a symbol that the source no longer lists stays.
    """
    exchanges = [exchange for part in slices_of_run(context) for exchange in part.market.exchanges]
    opened_source = source.open()
    with failures.of_source():
        listed = opened_source.instruments().filter(pl.col("exchange").is_in(exchanges))
    return listed.with_columns(identifiers.of_instruments(listed))
