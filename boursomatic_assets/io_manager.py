"""The door between assets and PostgreSQL: frames in, slices out, one transaction per piece of a slice.

What belongs here: what Dagster asks of an IO manager: which slices a run's partitions are, and how it went.
Kept elsewhere: SQL (`tables.py`, `staging.py`, `merging.py`), how a run is cut (`pieces.py`), what the UI shows
(`reporting.py`).

An asset may return a polars or a pandas frame, or what computes one slice by slice (`Piecewise`); it may ask for a
frame, or for a `Reader`. `instruments` has no sessions: it is loaded whole, and added to.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import dagster as dg
import pandas as pd
import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import (
    absorbed,
    activity,
    archive,
    archived,
    computed,
    database,
    deliveries,
    merging,
    rejections,
    revisions,
)
from boursomatic_assets.backfills import await_upstream
from boursomatic_assets.delivered import Delivery
from boursomatic_assets.differences import Difference
from boursomatic_assets.merging import Merge
from boursomatic_assets.partitions import slices
from boursomatic_assets.pieces import Piecewise, Rows, failures
from boursomatic_assets.reporting import Report
from boursomatic_assets.revisions import BARS
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import bounds, lock, transaction
from boursomatic_assets.tables import GRAINS, INSTRUMENTS, Grain, Reader, read, read_table

Frame = pl.DataFrame | pd.DataFrame
Output = Frame | Delivery | Piecewise


class PostgresIOManager(dg.ConfigurableIOManager):
    """Stores an asset in the table of its name, and loads it by partition or range with its look-back."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> "Iterator[PostgresIOManager]":
        """While a run goes on; one that absorbed errors then gets a tag that says how many, and the first."""
        with absorbed.collected() as reasons:
            try:
                yield self
            finally:
                if reasons and context.instance and context.run:
                    context.instance.add_run_tags(context.run.run_id, {absorbed.TAG: absorbed.summary(reasons)})

    def handle_output(self, context: dg.OutputContext, obj: Output) -> Iterator[dg.DagsterEvent]:  # type: ignore[override]
        """Write every piece of the run in a transaction of its own.

        Raises:
            dagster.Failure: naming the dates that failed; all others are written, and reported as materialised.
        """
        name = context.asset_key.path[-1]
        if name == INSTRUMENTS.name:
            assert isinstance(obj, Frame)
            _store_instruments(context, obj)
            return
        grain = _grain(name)
        report = Report(grain.table.name)
        work = _piecewise(obj, grain, slices(context.asset_partition_keys))

        def store(piece: Slice) -> None:
            with database.engine().connect() as connection:
                begun = computed.begin(connection, name, piece)
            rows = work.compute(piece)
            merge, overtaken = _write(Written(name, grain, piece, context.run_id, begun), rows)
            report.add(piece, _frame(rows)[grain.time], merge, rows, overtaken)

        with absorbed.collected() as report.absorbed:
            failed = failures(store, work.pieces(cache(_instruments)))
        if failed:
            yield from report.of_what_was_done(context)
            raise report.failure(failed, work.parts)
        if work.summary:
            report.summarise(work.parts, work.summary)
        report.of_all(context)

    def load_input(self, context: dg.InputContext) -> Frame | Reader:
        """The rows of the partitions that the downstream asset's mapping asks for, sorted by key."""
        name, wanted = context.asset_key.path[-1], context.dagster_type.typing_type
        await_upstream(context.step_context, name)
        if wanted is Reader:
            return Reader(_grain(name))
        if name == INSTRUMENTS.name:
            frame = read_table(INSTRUMENTS)
        else:
            frame = pl.concat(read(_grain(name), part) for part in slices(context.asset_partition_keys))
        return frame.to_pandas() if wanted is pd.DataFrame else frame


def _grain(name: str) -> Grain:
    if name not in GRAINS:
        known = ", ".join((INSTRUMENTS.name, *GRAINS))
        raise ValueError(f"the asset {name!r} has no table here: add it to GRAINS, or name it like one of {known}")
    return GRAINS[name]


def _piecewise(obj: Output, grain: Grain, parts: list[Slice]) -> Piecewise:
    """Whatever an asset returned, as rows by slice; a delivery was judged for one slice, and stays whole."""
    if isinstance(obj, Piecewise):
        return obj
    if isinstance(obj, Delivery):
        return Piecewise(parts, lambda part: obj)
    return Piecewise.of(_polars(obj), grain.time, parts)


def _polars(frame: Frame) -> pl.DataFrame:
    """The frame in polars; pandas' NaN is null, and its times are cut to microseconds."""
    if isinstance(frame, pd.DataFrame):
        return pl.from_pandas(frame).with_columns(pl.selectors.datetime().cast(pl.Datetime("us")))
    return frame


def _store_instruments(context: dg.OutputContext, listed: Frame) -> None:
    with absorbed.collected() as reasons, transaction() as connection:
        merge = merging.upsert(connection, INSTRUMENTS, _polars(listed))
    Report(INSTRUMENTS.name, merge, absorbed=reasons).of_all(context)


@dataclass(frozen=True)
class Written:
    """A piece of an asset that a run writes, and when its computation began."""

    asset: str
    grain: Grain
    piece: Slice
    run_id: str
    begun: dt.datetime


def _write(written: Written, rows: Rows) -> tuple[Merge, list[Slice]]:
    """One slice, one transaction; refused rows, replaced bars and the count of all go in with the good ones.

    Of two deliveries of a session the one that was asked for last stands, whichever is written last. Returns what
    was done, and the sessions that were left as they are because another delivery of them was asked for later.
    """
    grain, piece, overtaken = written.grain, written.piece, list[Slice]()
    if written.asset == "price_bars_15m":
        archive.bring_back(piece, _frame(rows)[grain.time])
    with transaction() as connection:
        lock(connection, grain.table.name, piece)
        if isinstance(rows, Delivery):
            overtaken = computed.overtaken(connection, written.asset, piece, written.begun)
            rows = rows.without(overtaken)
        merge = _merge(connection, written, rows)
        if written.asset == "price_bars":
            activity.follow_bars(connection, piece.market)
        if isinstance(rows, Delivery):
            rejections.record(connection, piece, rows, written.run_id, grain.interval)
            deliveries.record(connection, piece, rows, written.run_id, grain.interval)
    return merge, overtaken


def _merge(connection: Connection, written: Written, rows: Rows) -> Merge:
    """The good rows themselves, with what they replace and when they were computed."""
    grain, piece, delivery = written.grain, written.piece, rows if isinstance(rows, Delivery) else None

    def told(connection: Connection, found: Difference) -> None:
        if grain.table is BARS:
            revisions.keep(connection, found, delivery, written.run_id)
        computed.record(connection, written.asset, piece, written.begun, found.touched(grain.time))

    if grain.supersedes:
        return merging.supersede(connection, grain, piece, _frame(rows), told)
    incomplete = delivery is not None and not delivery.complete
    staying = [piece] if incomplete else archived.sessions(piece) if grain.interval == "15m" else []
    return merging.replace(connection, grain, piece, _frame(rows), told, staying=staying)


def _frame(rows: Rows) -> pl.DataFrame:
    return rows.kept.drop("market", "file") if isinstance(rows, Delivery) else rows


def _instruments(part: Slice) -> int:
    """How many instruments a slice's market has."""
    count = text("SELECT count(*) FROM instruments WHERE exchange = ANY(:exchanges)")
    with database.engine().connect() as connection:
        return connection.scalar(count, bounds(part)) or 0
