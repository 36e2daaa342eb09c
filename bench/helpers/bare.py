"""The platform without an orchestrator: the same pure functions and the same SQL, called bare in one process.

What belongs here: what each asset does to a slice, one after the other, without checks, events or runs.
Kept elsewhere: the assets themselves.
"""

import os
from collections.abc import Sequence

import polars as pl

from boursomatic_assets import database, registry
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.assets.recommendations import BARS_PER_CHUNK, SCHEMA, champion_sessions, recommend_sessions
from boursomatic_assets.assets.track_record import score_slice
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features import compute
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources import open_source
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.deliveries import rejected_rows, sessions
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import SliceReader, read_slice


def bare(parts: Sequence[Slice]) -> None:
    """Bring slices up to date, stage by stage."""
    source = open_source(os.environ["BOURSOMATIC_SOURCE"], os.environ.get("BOURSOMATIC_FILES"))
    listed = source.instruments()
    listed = listed.with_columns(identifiers.of_instruments(listed))
    with database.engine().begin() as connection:
        merging.upsert(connection, INSTRUMENTS, listed)
    for part in parts:
        delivery = apply_contract(source.bars(part.market, part.start, part.end), part, listed, source.name)
        with database.engine().begin() as connection:
            merging.replace(connection, GRAINS["price_bars"], part, delivery.kept.drop("market", "file"))
            rejected_rows.record(connection, part, delivery, "bare")
            sessions.record(connection, part, delivery, "bare")
    for part in parts:
        seen = read_slice(GRAINS["price_bars"], part.looking_back(LOOKBACK))
        own = compute.compute_features(seen, part.market.sessions(), part.start)
        with database.engine().begin() as connection:
            merging.replace(connection, GRAINS["features"], part, own)
    registry.train_due_versions(max(part.dates[-1] for part in parts), Parameters())
    for part in parts:
        count = listed.filter(pl.col("exchange").is_in(part.market.exchanges)).height
        for piece in part.chunks(max(BARS_PER_CHUNK // max(count, 1), 1)):
            features, bars = (read_slice(GRAINS[name], piece) for name in ("features", "price_bars"))
            advice = [
                recommend_sessions(piece, one, unpack(features), bars, "en") for one in champion_sessions(piece)
            ]
            with database.engine().begin() as connection:
                merging.supersede(
                    connection, GRAINS["recommendations"], piece, pl.concat([pl.DataFrame(schema=SCHEMA), *advice])
                )
    advised, bars = (SliceReader(GRAINS[name]) for name in ("recommendations", "price_bars"))
    for part in parts:
        count = listed.filter(pl.col("exchange").is_in(part.market.exchanges)).height
        for piece in part.chunks(max(BARS_PER_CHUNK // max(count, 1), LONGEST_HORIZON)):
            scores = score_slice(piece, advised, bars)
            with database.engine().begin() as connection:
                merging.replace(connection, GRAINS["track_record"], piece, scores)
