"""The asset `price_bars`: daily bars.

What belongs here: the asset. Kept elsewhere: sources (`sources/`), the data contract (`quality/contract.py`).
"""

import dagster as dg
import polars as pl

from boursomatic_assets import database
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


@dg.asset(
    kinds={"postgres", "polars"},
    metadata=table_metadata(PriceBar),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=BARS_POLICY,
)
def price_bars(context: dg.AssetExecutionContext, source: BarSource, instruments: pl.DataFrame) -> ChunkedRows:
    """One daily bar per instrument and session; `ts` is the session's date at 00:00.

    Rows that violate the data contract go to `rejected_bars` with the reason; valid rows of the same delivery are
    written.
    """
    opened_source, known = source.open(), database.again(lambda: with_aliases(instruments))

    def deliver(part: Slice) -> Delivery:
        require_closed(part)
        raw = opened_source.bars(part.market, part.start, part.end)
        return apply_contract(raw, part, known, opened_source.name, with_raw=opened_source.with_raw)

    return ChunkedRows(slices_of_run(context), deliver)
