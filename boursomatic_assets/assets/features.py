"""The asset `features`: technical indicators of daily bars.

What belongs here: the asset. Kept elsewhere: the formulas (`features/`).
"""

import datetime as dt

import dagster as dg
import polars as pl

from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.assets.policies import FEATURES_POLICY
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features.compute import compute_features
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, SAME_MARKET_LOOKBACK, slices_of_run
from boursomatic_assets.schema import Feature
from boursomatic_assets.tables.reading import SliceReader

BARS_PER_CHUNK = 300_000
"""A row has about 900 bytes as text, and takes 1.5 kB while it is computed."""

NO_BARS = "no bars of this session are stored"


@dg.asset(
    ins={"price_bars": dg.AssetIn(partition_mapping=SAME_MARKET_LOOKBACK)},
    kinds={"postgres", "polars", "numpy"},
    metadata=table_metadata(Feature),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=FEATURES_POLICY,
    code_version="3",
)
def features(context: dg.AssetExecutionContext, price_bars: SliceReader) -> ChunkedRows:
    """One row of technical indicators per daily bar, with that bar's `ts`; formulas are in docs/features.md.

    A row depends on its market's bars of the last 313 sessions at most, and is identical, to the last bit,
    whichever range it is computed in. `additional_features` holds features without a column, and each feature's
    rank among all instruments of the market in that session.
    """

    def compute(part: Slice) -> pl.DataFrame:
        bars = price_bars(part.looking_back(LOOKBACK))
        return compute_features(bars, part.market.sessions(), part.start)

    def describe(part: Slice, rows: pl.DataFrame) -> dict[dt.date, dict[str, str]]:
        computed = set(rows["ts"].dt.date())
        return {date: {"note": NO_BARS} for date in part.dates if date not in computed}

    return ChunkedRows(slices_of_run(context), compute, BARS_PER_CHUNK, LOOKBACK, describe)
