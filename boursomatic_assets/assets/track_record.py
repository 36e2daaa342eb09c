"""The asset `track_record`: what became of what was advised."""

from typing import Any

import dagster as dg
import polars as pl

from boursomatic_assets import database
from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.assets.common import OWNERS, TRACK_RECORD_POLICY, about
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import HORIZON_LOOKBACK, MARKET_SESSIONS, slices_of_run
from boursomatic_assets.schema import TrackRecord
from boursomatic_assets.tables import performance
from boursomatic_assets.tables.frames import given
from boursomatic_assets.tables.reading import GRAINS, Reader

SCHEMA = given(GRAINS["track_record"].table)

BARS_PER_CHUNK = 60_000
"""As of `recommendations`: a bar's three pieces of advice come with their evidence."""


@dg.asset(
    ins={
        "recommendations": dg.AssetIn(partition_mapping=HORIZON_LOOKBACK),
        "price_bars": dg.AssetIn(partition_mapping=HORIZON_LOOKBACK),
    },
    kinds={"postgres", "polars"},
    owners=OWNERS,
    metadata=about(TrackRecord),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=TRACK_RECORD_POLICY,
    code_version="1",
)
def track_record(context: dg.AssetExecutionContext, recommendations: Reader, price_bars: Reader) -> ChunkedRows:
    """One row per piece of advice, on the session on which its horizon ended: what it was followed by.

    What stands when a session is computed is scored, from the stored advice and bars alone. When it is superseded
    later, its row stays until the session is computed again; then what stands by then has a row instead.
    """

    def computed(part: Slice) -> pl.DataFrame:
        return scored(part, recommendations, price_bars)

    return ChunkedRows(
        slices_of_run(context), computed, bars=BARS_PER_CHUNK, lookback=LONGEST_HORIZON, summary=summary
    )


def scored(part: Slice, recommendations: Reader, price_bars: Reader) -> pl.DataFrame:
    """What a slice's sessions have to say of the advice that is due on them."""
    seen, sessions = part.looking_back(LONGEST_HORIZON), part.market.sessions()
    within = pl.col("ts").is_between(part.start, part.end, closed="left")
    due = outcomes.select_due(recommendations(seen, outcomes.DATES), sessions).filter(within)
    advised = slices_of(part.market, due["session"].dt.date().unique())
    rows = [
        outcomes.select_due(recommendations(one, outcomes.RECOMMENDATION_COLUMNS), sessions).filter(within)
        for one in advised
    ]
    if not rows:
        return pl.DataFrame(schema=SCHEMA)
    return outcomes.score(pl.concat(rows), price_bars(seen, outcomes.BAR_COLUMNS)).select(*SCHEMA)


def summary(part: Slice) -> dict[str, Any]:
    """What the UI shows of a run's newest session: how all advice of its market did until then."""
    with database.engine().connect() as connection:
        found = performance.figures(connection, market=part.market.name, until=part.end)
    if not found.labels.height:
        return {}
    return {
        **performance.headlines(found),
        "by_profile_and_label": dg.MetadataValue.md(performance.as_markdown(found.labels)),
        "by_confidence": dg.MetadataValue.md(performance.as_markdown(found.bins)),
        "reliability": dg.MetadataValue.md(performance.reliability(found)),
    }
