"""The door between assets and PostgreSQL: frames in, slices out, one transaction per slice.

What belongs here: what Dagster asks of an IO manager: which slices a run's partitions are, and what to report.
Kept elsewhere: SQL (`tables.py`, `staging.py`, `merging.py`).
"""

from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg
import pandas as pd
import polars as pl

from boursomatic_assets import database, merging, rejections
from boursomatic_assets.backfills import await_upstream
from boursomatic_assets.contracts import Delivery
from boursomatic_assets.frames import FrameError
from boursomatic_assets.merging import Merge
from boursomatic_assets.partitions import partition_key, slices
from boursomatic_assets.reporting import report_partitions
from boursomatic_assets.slices import Slice
from boursomatic_assets.tables import GRAINS, INSTRUMENTS, Grain, read, read_table

Frame = pl.DataFrame | pd.DataFrame


class PostgresIOManager(dg.ConfigurableIOManager):
    """Stores an asset in the table of its name, and loads it by partition or range with its look-back.

    An asset may return, and ask for, a polars or a pandas frame; `price_bars` returns a judged `Delivery`.
    `instruments` has no sessions: whatever partitions it is asked for, it is loaded whole and added to.
    """

    def handle_output(self, context: dg.OutputContext, obj: Frame | Delivery) -> None:
        """Write every slice of the run in a transaction of its own."""
        name, frame = context.asset_key.path[-1], _polars(obj)
        if name == INSTRUMENTS.name:
            with database.engine().begin() as connection:
                merge = merging.upsert(connection, INSTRUMENTS, frame)
        else:
            merge = self._write_slices(context, _grain(name), frame, obj)
        _report(context, name, merge, frame)

    def _write_slices(
        self, context: dg.OutputContext, grain: Grain, frame: pl.DataFrame, obj: Frame | Delivery
    ) -> Merge:
        merge = Merge()
        for part, piece in _cut(frame, grain, slices(context.asset_partition_keys)):
            delivery = obj if isinstance(obj, Delivery) else None
            merge += _write(grain, part, piece, delivery, context.run_id)
            _report_sessions(context, grain, part, piece)
        return merge

    def load_input(self, context: dg.InputContext) -> Frame:
        """The rows of the partitions that the downstream asset's mapping asks for, sorted by key."""
        name = context.asset_key.path[-1]
        await_upstream(context.step_context, name)
        if name == INSTRUMENTS.name:
            frame = read_table(INSTRUMENTS)
        else:
            frame = pl.concat(read(_grain(name), part) for part in slices(context.asset_partition_keys))
        return frame.to_pandas() if context.dagster_type.typing_type is pd.DataFrame else frame


def _grain(name: str) -> Grain:
    if name not in GRAINS:
        known = ", ".join((INSTRUMENTS.name, *GRAINS))
        raise ValueError(f"the asset {name!r} has no table here: add it to GRAINS, or name it like one of {known}")
    return GRAINS[name]


def _write(grain: Grain, part: Slice, piece: pl.DataFrame, delivery: Delivery | None, run_id: str) -> Merge:
    """One slice, one transaction; refused rows go in with the good ones."""
    with database.engine().begin() as connection:
        write = merging.supersede if grain.supersedes else merging.replace
        merge = write(connection, grain, part, piece)
        if delivery is not None:
            rejections.record(connection, part, piece, delivery.rejected, run_id)
    return merge


def _cut(frame: pl.DataFrame, grain: Grain, parts: list[Slice]) -> Iterator[tuple[Slice, pl.DataFrame]]:
    """Each slice's rows of a frame; where a run has several slices, its `market` column tells them apart."""
    if len(parts) == 1:
        yield parts[0], frame.drop("market", strict=False)
        return
    if "market" not in frame.columns:
        raise FrameError(f"{grain.table.name}: a frame for several slices must carry the column 'market'")
    time, market = pl.col(grain.time), pl.col("market")
    pieces = [
        frame.filter((market == part.market.name) & time.is_between(part.start, part.end, closed="left"))
        for part in parts
    ]
    if lost := frame.height - sum(piece.height for piece in pieces):
        raise FrameError(f"{grain.table.name}: {lost} rows of the frame lie outside of the run's partitions")
    yield from ((part, piece.drop("market")) for part, piece in zip(parts, pieces, strict=True))


def _polars(obj: Frame | Delivery) -> pl.DataFrame:
    """The frame in polars; pandas' NaN is null, and its times are cut to microseconds."""
    if isinstance(obj, Delivery):
        return obj.kept
    if isinstance(obj, pd.DataFrame):
        return pl.from_pandas(obj).with_columns(pl.selectors.datetime().cast(pl.Datetime("us")))
    return obj


def _report(context: dg.OutputContext, table: str, merge: Merge, frame: pl.DataFrame) -> None:
    """What the UI shows of the whole write."""
    database_name = database.engine().url.database
    context.add_output_metadata(
        {"dagster/table_name": f"{database_name}.public.{table}", **asdict(merge), "rows": frame.height}
    )


def _report_sessions(context: dg.OutputContext, grain: Grain, part: Slice, piece: pl.DataFrame) -> None:
    """What the UI shows of each partition: its rows, or that its market was closed."""
    dates = piece[grain.time].dt.date()
    rows = dict(dates.value_counts().iter_rows())
    report_partitions(
        context.step_context,
        context.asset_key,
        {
            partition_key(date, part.market.name): {"dagster/partition_row_count": rows.get(date, 0)}
            | ({} if part.market.is_session(date) else {"note": "market closed"})
            for date in part.dates
        },
    )
