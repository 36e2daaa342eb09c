"""How a chunk of an asset is written: one transaction with all that belongs to its rows.

What belongs here: the order of writes, and which of two concurrent deliveries stays.
Kept elsewhere: the SQL (`tables/`), what Dagster asks of an IO manager (`io_manager.py`).
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection

from boursomatic_assets import absorbed
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.orchestration.chunks import Rows
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables import (
    activity,
    computations,
    merging,
    revisions,
    staleness,
)
from boursomatic_assets.tables.aliases.names import require_unmerged
from boursomatic_assets.tables.archive import files, moving, year_returns
from boursomatic_assets.tables.chains import heads
from boursomatic_assets.tables.deliveries import rejected_rows, sessions
from boursomatic_assets.tables.differences import Difference
from boursomatic_assets.tables.grains import Grain
from boursomatic_assets.tables.merging import MergeCounts
from boursomatic_assets.tables.reading.cold import ColdError
from boursomatic_assets.tables.revisions import PRICE_BARS
from boursomatic_assets.tables.staging import lock_slice, transaction
from boursomatic_assets.vocabulary import CHAINED_TABLES


@dataclass(frozen=True)
class ChunkWrite:
    """What a run is about to write: a chunk of an asset.

    Attributes:
        asset: The asset's name.
        grain: How the asset is stored.
        chunk: The slice to write.
        run_id: The run's id, for the delivery log and rejected rows.
        started_at: The database's time when the computation of the chunk started.
    """

    asset: str
    grain: Grain
    chunk: Slice
    run_id: str
    started_at: dt.datetime


def write_chunk(write: ChunkWrite, rows: Rows) -> tuple[MergeCounts, list[Slice]]:
    """Write a chunk in one transaction: valid rows, rejected rows, revisions and the delivery log.

    Of two deliveries of a session the one that was requested last stays, whichever is written last.

    Returns:
        What changed, and the sessions left untouched because a delivery that was requested later is there.

    Raises:
        RuntimeError: rows of an instrument that was merged into another after they were computed; scores, which
            keep the instrument of their recommendation, may have some.
    """
    year_returns.restore_written(write.asset, write.chunk)
    try:
        return _write_whole(write, rows)
    except ColdError as error:  # the nightly move came between
        absorbed.record(error, "it is put back once more")
        year_returns.restore_written(write.asset, write.chunk)
        return _write_whole(write, rows)


def _write_whole(write: ChunkWrite, rows: Rows) -> tuple[MergeCounts, list[Slice]]:
    """As `write_chunk`, of a chunk that is in its table."""
    grain, chunk, overtaken = write.grain, write.chunk, list[Slice]()
    if write.asset == "price_bars_15m":
        moving.restore_delivered(chunk, kept_rows(rows)[grain.time_column])
    with transaction() as connection:
        lock_slice(connection, grain.table.name, chunk)
        if write.asset != "track_record":
            require_unmerged(connection, kept_rows(rows)["instrument_id"])
        if isinstance(rows, Delivery):
            overtaken = computations.sessions_computed_since(connection, write.asset, chunk, write.started_at)
            rows = rows.outside_slices(overtaken)
        merge = _merge_rows(connection, write, rows)
        if write.asset == "price_bars":
            activity.update_activity(connection, chunk.market)
        if isinstance(rows, Delivery):
            rejected_rows.record(connection, chunk, rows, write.run_id, grain.interval)
            sessions.record(connection, chunk, rows, write.run_id, grain.interval)
    if grain.table.name in CHAINED_TABLES:
        heads.keep()
    return merge, overtaken


def _merge_rows(connection: Connection, write: ChunkWrite, rows: Rows) -> MergeCounts:
    """Merge the valid rows, and record replaced bars and the time of computation."""
    grain, chunk, delivery = write.grain, write.chunk, rows if isinstance(rows, Delivery) else None

    def record_difference(connection: Connection, difference: Difference) -> None:
        if grain.table is PRICE_BARS:
            revisions.record_revisions(connection, difference, delivery, write.run_id)
        staleness.record(
            connection, write.asset, chunk, write.started_at, difference.changed_dates(grain.time_column)
        )

    if grain.supersedes:
        return merging.supersede(connection, grain, chunk, kept_rows(rows), record_difference)
    incomplete = delivery is not None and not delivery.complete
    archived = files.archived_sessions(chunk) if grain.interval == "15m" else []
    kept_slices = [chunk] if incomplete else [session.part for session in archived]
    return merging.replace(connection, grain, chunk, kept_rows(rows), record_difference, incomplete=kept_slices)


def kept_rows(rows: Rows) -> pl.DataFrame:
    """The rows to write, with the columns of the asset's table; of a delivery those that were not rejected."""
    return rows.kept.drop("market", "file") if isinstance(rows, Delivery) else rows
