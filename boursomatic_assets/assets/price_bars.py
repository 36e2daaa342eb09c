"""The asset `price_bars`: what was paid."""

import dagster as dg
import polars as pl

from boursomatic_assets.assets.metadata import OWNERS, table_metadata
from boursomatic_assets.assets.policies import BARS_POLICY
from boursomatic_assets.calendars.slices import Slice, require_closed
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_run
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.quality.contract import judge
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import PriceBar


@dg.asset(
    kinds={"postgres", "polars"},
    owners=OWNERS,
    metadata=table_metadata(PriceBar),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=BARS_POLICY,
)
def price_bars(context: dg.AssetExecutionContext, source: BarSource, instruments: pl.DataFrame) -> ChunkedRows:
    """One daily bar per instrument and session; `ts` is the session's date at 00:00 UTC.

    Bars that break a rule go to `rejected_bars` with the reason; the good rows of the same delivery go on.
    """
    opened_source = source.open()

    def deliver(part: Slice) -> Delivery:
        require_closed(part)
        raw = opened_source.bars(part.market, part.start, part.end)
        return judge(raw, part, instruments, opened_source.name, with_raw=opened_source.with_raw)

    return ChunkedRows(slices_of_run(context), deliver)
