"""The IO manager: stores assets in PostgreSQL and loads them, by partition or range.

What belongs here: what Dagster asks of an IO manager: the slices of a run's partitions, and materializations.
Kept elsewhere: how a run is cut (`chunks.py`), how a chunk is written (`chunk_writes.py`), what the UI shows
(`reporting.py`), SQL (`tables/`).

An asset may return a polars or pandas frame, a delivery, or `ChunkedRows`, which are computed chunk by chunk. Its
inputs are frames, or a `SliceReader`. `instruments` has no sessions: it is loaded whole, and rows are upserted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import dagster as dg
import pandas as pd
import polars as pl
from sqlalchemy import text

from boursomatic_assets import absorbed, database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import waiting
from boursomatic_assets.database.locks import LockWaitError
from boursomatic_assets.orchestration.backfills import await_upstream
from boursomatic_assets.orchestration.chunk_writes import ChunkWrite, kept_rows, write_chunk
from boursomatic_assets.orchestration.chunks import ChunkedRows, run_chunks
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.partitions import slices_of_keys
from boursomatic_assets.orchestration.progress import Progress
from boursomatic_assets.orchestration.reporting import Report
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables import merging, staleness
from boursomatic_assets.tables.claims import holding
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS, Grain
from boursomatic_assets.tables.merging import MergeCounts
from boursomatic_assets.tables.reading import SliceReader, count_rows, read_slice, read_table
from boursomatic_assets.tables.staging import bounds, transaction

Frame = pl.DataFrame | pd.DataFrame
ENDED = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError, database.AwayError, LockWaitError)
"""What ends a step between two chunks."""

Output = Frame | Delivery | ChunkedRows


class PostgresIOManager(dg.ConfigurableIOManager):
    """Stores an asset in the table of its name, and loads it by partition or range with its look-back."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> "Iterator[PostgresIOManager]":
        """Claim the run, and collect the errors that it absorbs; afterwards tag it with them.

        Dagster opens it for each process of a run, before the first step.
        """
        run_id = context.run.run_id if context.run else None
        with absorbed.collected() as reasons, holding.held(run_id):
            try:
                yield self
            finally:
                if context.instance and context.run and (found := _tags(reasons)):
                    context.instance.add_run_tags(context.run.run_id, found)

    def handle_output(  # type: ignore[override]
        self, context: dg.OutputContext, obj: Output
    ) -> Iterator[dg.DagsterEvent]:
        """Write every chunk of the run in a transaction of its own.

        Raises:
            dagster.Failure: Some dates failed; the message names them. All others are written and materialized.
        """
        name = context.asset_key.path[-1]
        if name == INSTRUMENTS.name:
            assert isinstance(obj, Frame)
            _store_instruments(context, obj)
            return
        grain = _find_grain(name)
        report = Report(grain.table.name)
        chunked = _to_chunked_rows(obj, grain, slices_of_keys(context.asset_partition_keys))
        progress = Progress(name, chunked.parts, context.log.info)

        def store(chunk: Slice) -> None:
            with database.engine().connect() as connection:
                started_at = staleness.input_read_time(connection, name, chunk)
            rows = chunked.compute(chunk)
            merge, overtaken = write_chunk(ChunkWrite(name, grain, chunk, context.run_id, started_at), rows)
            kept = kept_rows(rows)
            own = chunked.describe(chunk, kept) if chunked.describe else {}
            report.add(chunk, kept[grain.time_column], merge, rows, overtaken, own)
            progress.add(chunk, kept.height)

        try:
            with absorbed.collected() as report.absorbed:
                failed = run_chunks(store, chunked.chunks(cache(_count_instruments)))
        except ENDED:  # what is written is there
            yield from report.materialize_written(context)
            raise
        report.stored = database.again(lambda: count_rows(grain.table, grain))
        if failed:
            yield from report.materialize_written(context)
            raise report.failure(failed, chunked.parts)
        if summary := chunked.summary:
            database.again(lambda: report.summarise(chunked.parts, summary))
        report.attach_metadata(context)

    def load_input(self, context: dg.InputContext) -> Frame | SliceReader:
        """The rows of the partitions that the downstream asset's mapping asks for, sorted by key."""
        name, input_type = context.asset_key.path[-1], context.dagster_type.typing_type
        await_upstream(context.step_context, name)
        if input_type is SliceReader:
            return SliceReader(_find_grain(name))
        keys = () if name == INSTRUMENTS.name else context.asset_partition_keys
        frame = database.again(lambda: _read(name, slices_of_keys(keys)))
        return frame.to_pandas() if input_type is pd.DataFrame else frame


def _tags(reasons: Sequence[str]) -> dict[str, str]:
    """What a run's tags say of the errors that it absorbed; one that lost the database for good is begun again."""
    retried = {tags.RETRY_FAILED_STEPS: "true"} if waiting.gave_up() else {}
    return ({absorbed.TAG: absorbed.summary(reasons)} if reasons else {}) | retried


def _read(name: str, parts: list[Slice]) -> pl.DataFrame:
    """The rows of an asset's slices; all instruments."""
    if name == INSTRUMENTS.name:
        return read_table(INSTRUMENTS)
    return pl.concat(read_slice(_find_grain(name), part) for part in parts)


def _find_grain(name: str) -> Grain:
    """How an asset is stored.

    Raises:
        ValueError: No table is known for the asset.
    """
    if name not in GRAINS:
        known_names = ", ".join((INSTRUMENTS.name, *GRAINS))
        raise ValueError(
            f"the asset {name!r} has no table here: add it to GRAINS, or name it like one of {known_names}"
        )
    return GRAINS[name]


def _to_chunked_rows(obj: Output, grain: Grain, parts: list[Slice]) -> ChunkedRows:
    """An asset's output as chunked rows; a delivery was validated for one slice, and is not cut."""
    if isinstance(obj, ChunkedRows):
        return obj
    if isinstance(obj, Delivery):
        return ChunkedRows(parts, lambda part: obj)
    return ChunkedRows.from_frame(_to_polars(obj), grain.time_column, parts)


def _to_polars(frame: Frame) -> pl.DataFrame:
    """The frame in polars; NaN of pandas becomes null, and times are truncated to microseconds."""
    if isinstance(frame, pd.DataFrame):
        return pl.from_pandas(frame).with_columns(pl.selectors.datetime().cast(pl.Datetime("us")))
    return frame


def _store_instruments(context: dg.OutputContext, listed: Frame) -> None:
    """Upsert the listed instruments."""

    def store() -> MergeCounts:
        with transaction() as connection:
            return merging.upsert(connection, INSTRUMENTS, _to_polars(listed))

    with absorbed.collected() as reasons:
        merge = database.again(store)
        stored = database.again(lambda: count_rows(INSTRUMENTS))
    report = Report(INSTRUMENTS.name, merge, absorbed=reasons, stored=stored)
    report.attach_metadata(context)


def _count_instruments(part: Slice) -> int:
    """How many instruments a slice's market has."""
    query = text("SELECT count(*) FROM instruments WHERE exchange = ANY(:exchanges)")
    with database.engine().connect() as connection:
        return connection.scalar(query, bounds(part)) or 0
