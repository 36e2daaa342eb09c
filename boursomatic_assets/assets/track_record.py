"""The asset `track_record`: scores of past recommendations.

What belongs here: the asset, which recommendations a slice scores, and the summary that the UI shows.
Kept elsewhere: how one recommendation is scored (`advice/outcomes.py`), performance (`tables/performance.py`).
"""

import datetime as dt
from typing import Any

import dagster as dg
import polars as pl

from boursomatic_assets import database
from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.assets.policies import TRACK_RECORD_POLICY
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.features.price_basis import LOOKBACK
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import HORIZON_LOOKBACK, MARKET_SESSIONS, slices_of_run
from boursomatic_assets.schema import TrackRecord
from boursomatic_assets.tables import performance
from boursomatic_assets.tables.aliases.names import with_merged_series
from boursomatic_assets.tables.frames import required_columns
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import SliceReader

SCHEMA = required_columns(GRAINS["track_record"].table)

BARS_PER_CHUNK = 60_000
"""As for `recommendations`: a bar has three of them, each with its justification."""


NOTHING_DUE = "nothing is due: no recommendation has its horizon end on this session"


@dg.asset(
    ins={
        "recommendations": dg.AssetIn(partition_mapping=HORIZON_LOOKBACK),
        "price_bars": dg.AssetIn(partition_mapping=HORIZON_LOOKBACK),
    },
    kinds={"postgres", "polars"},
    metadata=table_metadata(TrackRecord),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=TRACK_RECORD_POLICY,
    code_version="1",
)
def track_record(
    context: dg.AssetExecutionContext, recommendations: SliceReader, price_bars: SliceReader
) -> ChunkedRows:
    """One row per recommendation, on the session that ends its horizon: its outcome and realised return.

    A run scores the recommendations that are current at that time, from stored rows alone. The row of one that is
    superseded later stays until its session is computed again.
    """

    def compute(part: Slice) -> pl.DataFrame:
        return score_slice(part, recommendations, price_bars)

    parts, lookback = slices_of_run(context), LONGEST_HORIZON + LOOKBACK
    return ChunkedRows(parts, compute, BARS_PER_CHUNK, lookback, describe_sessions, summarise_market)


def score_slice(part: Slice, recommendations: SliceReader, price_bars: SliceReader) -> pl.DataFrame:
    """The scores of the recommendations that are due on a slice's sessions."""
    horizons, sessions = part.looking_back(LONGEST_HORIZON), part.market.sessions()
    with_lookback = horizons.looking_back(LOOKBACK)
    in_slice = pl.col("ts").is_between(part.start, part.end, closed="left")

    def read_due(within: Slice, columns: tuple[str, ...]) -> pl.DataFrame:
        return outcomes.select_due(recommendations(within, columns), sessions).filter(in_slice)

    recommended_on = read_due(horizons, outcomes.DUE_COLUMNS)["session"].dt.date().unique()
    due = [read_due(one, outcomes.RECOMMENDATION_COLUMNS) for one in slices_of(part.market, recommended_on)]
    if not due:
        return pl.DataFrame(schema=SCHEMA)
    bars = with_merged_series(price_bars(with_lookback, outcomes.BAR_COLUMNS).select(outcomes.BAR_COLUMNS))
    return outcomes.score_recommendations(pl.concat(due), bars).select(*SCHEMA)


def describe_sessions(part: Slice, rows: pl.DataFrame) -> dict[dt.date, dict[str, Any]]:
    """What the UI shows of each session: its scores and the share that was right, or why it has none."""
    sessions = rows.group_by(pl.col("ts").dt.date().alias("date")).agg(
        scored=pl.col("hit").count(), hit_rate=pl.col("hit").mean()
    )
    figures = {
        date: {"scored": scored} | ({"hit_rate": rate} if scored else {})
        for date, scored, rate in sessions.iter_rows()
    }
    return {date: figures.get(date, {"note": NOTHING_DUE}) for date in part.dates}


def summarise_market(part: Slice) -> dict[str, Any]:
    """What the UI shows of a run's newest session: how its market's recommendations did, and are expected to."""
    with database.engine().connect() as connection:
        figures = performance.measure(connection, market=part.market.name, until=part.end)
        expected = performance.measure_expected(connection, market=part.market.name, until=part.end)
    if not figures.labels.height:
        return {}
    return {
        "so_far": dg.MetadataValue.json(performance.headline_figures(figures)),
        "by_profile_and_label": dg.MetadataValue.md(performance.to_markdown(figures.labels)),
        "expected": dg.MetadataValue.md(performance.to_markdown(expected)),
        "by_confidence": dg.MetadataValue.md(performance.to_markdown(figures.bins)),
        "reliability": dg.MetadataValue.md(performance.reliability_image(figures)),
    }
