"""The asset `price_bars_15m`: 15m bars, stored in the table `price_bars`.

What belongs here: the asset. Kept elsewhere: sources (`sources/`), the data contract (`quality/contract.py`).
"""

import dagster as dg
import polars as pl

from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.assets.policies import BARS_POLICY
from boursomatic_assets.calendars.slices import Slice, require_closed
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_run
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import PriceBar
from boursomatic_assets.tables.aliases.names import with_aliases

BARS_PER_CHUNK = 20_000
"""Instruments x sessions; each of them has 26 to 34 bars, and up to 64 with extended hours."""


@dg.asset(
    kinds={"postgres", "polars"},
    metadata=table_metadata(PriceBar),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=BARS_POLICY,
)
def price_bars_15m(context: dg.AssetExecutionContext, source: BarSource, instruments: pl.DataFrame) -> ChunkedRows:
    """One bar per instrument and 15 minutes of a session; `ts` is its start, naive UTC.

    Bars older than 30 days move to `archive_15m`. Bars before the open and after the close are rejected, unless
    extended hours are configured; they belong to the partition of their UTC date.
    """
    opened_source, known = source.open(), with_aliases(instruments)

    def deliver(part: Slice) -> Delivery:
        require_closed(part)
        raw = opened_source.bars(part.market, part.start, part.end, "15m")
        extended = source.extended_hours
        return apply_contract(
            raw, part, known, opened_source.name, "15m", extended=extended, with_raw=opened_source.with_raw
        )

    return ChunkedRows(slices_of_run(context), deliver, bars=BARS_PER_CHUNK)
