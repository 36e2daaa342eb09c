"""The asset `track_record`: what became of what was advised."""

from typing import Any

import dagster as dg
import polars as pl

from boursomatic_assets import database
from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.assets.metadata import OWNERS, table_metadata
from boursomatic_assets.assets.policies import TRACK_RECORD_POLICY
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import HORIZON_LOOKBACK, MARKET_SESSIONS, slices_of_run
from boursomatic_assets.schema import TrackRecord
from boursomatic_assets.tables import performance
from boursomatic_assets.tables.frames import required_columns
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import SliceReader

SCHEMA = required_columns(GRAINS["track_record"].table)

BARS_PER_CHUNK = 60_000
"""As of `recommendations`: a bar's three pieces of advice come with their evidence."""


@dg.asset(
    ins={
        "recommendations": dg.AssetIn(partition_mapping=HORIZON_LOOKBACK),
        "price_bars": dg.AssetIn(partition_mapping=HORIZON_LOOKBACK),
    },
    kinds={"postgres", "polars"},
    owners=OWNERS,
    metadata=table_metadata(TrackRecord),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=TRACK_RECORD_POLICY,
    code_version="1",
)
def track_record(
    context: dg.AssetExecutionContext, recommendations: SliceReader, price_bars: SliceReader
) -> ChunkedRows:
    """One row per piece of advice, on the session on which its horizon ended: what it was followed by.

    What stands when a session is computed is scored, from the stored advice and bars alone. When it is superseded
    later, its row stays until the session is computed again; then what stands by then has a row instead.
    """

    def compute(part: Slice) -> pl.DataFrame:
        return score_slice(part, recommendations, price_bars)

    return ChunkedRows(
        slices_of_run(context), compute, bars=BARS_PER_CHUNK, lookback=LONGEST_HORIZON, summary=summarise_market
    )


def score_slice(part: Slice, recommendations: SliceReader, price_bars: SliceReader) -> pl.DataFrame:
    """What a slice's sessions have to say of the advice that is due on them."""
    slice_with_horizons, sessions = part.looking_back(LONGEST_HORIZON), part.market.sessions()
    due_in_slice = pl.col("ts").is_between(part.start, part.end, closed="left")
    due = outcomes.select_due(recommendations(slice_with_horizons, outcomes.DUE_COLUMNS), sessions).filter(
        due_in_slice
    )
    recommended_slices = slices_of(part.market, due["session"].dt.date().unique())
    rows = [
        outcomes.select_due(recommendations(one, outcomes.RECOMMENDATION_COLUMNS), sessions).filter(due_in_slice)
        for one in recommended_slices
    ]
    if not rows:
        return pl.DataFrame(schema=SCHEMA)
    return outcomes.score_recommendations(
        pl.concat(rows), price_bars(slice_with_horizons, outcomes.BAR_COLUMNS)
    ).select(*SCHEMA)


def summarise_market(part: Slice) -> dict[str, Any]:
    """What the UI shows of a run's newest session: how all advice of its market did until then."""
    with database.engine().connect() as connection:
        figures = performance.measure(connection, market=part.market.name, until=part.end)
    if not figures.labels.height:
        return {}
    return {
        **performance.headline_figures(figures),
        "by_profile_and_label": dg.MetadataValue.md(performance.to_markdown(figures.labels)),
        "by_confidence": dg.MetadataValue.md(performance.to_markdown(figures.bins)),
        "reliability": dg.MetadataValue.md(performance.reliability_image(figures)),
    }
