"""Slices: the rows of a slice or of a table as a frame, wherever they lie.

What belongs here: which rows are asked for, in which columns and order.
Kept elsewhere: which rows an asset owns (`grains.py`), the columns of a frame (`frames.py`), rows that were moved
out of their table (`cold.py`), writing (`merging.py`).

Names of tables and columns come from `schema/` only.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Select, Table, func, select, text

from boursomatic_assets.calendars.slices import Period, Slice
from boursomatic_assets.database import engine
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.grains import INSTRUMENTS, Grain
from boursomatic_assets.tables.reading import cold
from boursomatic_assets.tables.reading.queries import arrow_column, fetch, one_moment


def read_slice(
    grain: Grain,
    part: Slice,
    names: tuple[str, ...] = (),
    *,
    ordered: bool = True,
    at: Collection[dt.datetime] | None = None,
) -> pl.DataFrame:
    """The rows of a slice, sorted by key.

    Args:
        grain: which rows of which table.
        part: the slice.
        names: the columns; by default those of `frames.required_columns`. `market` is always added.
        ordered: False spares the server the sort.
        at: only the rows of these times.
    """
    table, wanted = grain.table, names or tuple(frames.required_columns(grain.table))
    with one_moment():
        years = cold.years(grain, part)
        selected = tuple(dict.fromkeys((*wanted, *frames.key(table)))) if years else wanted
        statement = table_query(grain, part, selected, at)
        rows = fetch(_order_by_key(statement, table) if ordered and not years else statement)
    if years:
        moved = [cold.read(year, selected, part) for year in years]
        asked_for = moved if at is None else [one.filter(pl.col("ts").is_in(list(at))) for one in moved]
        rows = pl.concat([rows, *asked_for]).unique(frames.key(table), keep="first", maintain_order=True)
        rows = (rows.sort(frames.key(table)) if ordered else rows).select(wanted)
    return rows.with_columns(market=pl.lit(part.market.name))


def table_query(
    grain: Grain, period: Period, names: Iterable[str], at: Collection[dt.datetime] | None = None
) -> Select[Any]:
    """The query of an asset's rows of a period that are in the table, in no order."""
    table = grain.table
    statement = (
        select(*(arrow_column(table.c[name]) for name in names))
        .join_from(table, INSTRUMENTS, table.c.instrument_id == INSTRUMENTS.c.id)
        .where(INSTRUMENTS.c.exchange.in_(period.market.exchanges), text(f"{table.name}.{grain.row_condition}"))
        .where(table.c[grain.time_column] >= period.start, table.c[grain.time_column] < period.end)
    )
    return statement if at is None else statement.where(table.c[grain.time_column].in_(at))


@dataclass(frozen=True)
class SliceReader:
    """An asset's table, handed to an asset downstream that reads it slice by slice."""

    grain: Grain

    def __call__(self, part: Slice, names: tuple[str, ...] = ()) -> pl.DataFrame:
        """The rows of a slice, as `read_slice` returns them."""
        return read_slice(self.grain, part, names)


def count_rows(table: Table, grain: Grain | None = None) -> int:
    """How many rows a table has, or those that an asset has in it and in files."""
    stored = select(func.count()).select_from(table).where(text(grain.row_condition if grain else "true"))
    both = stored.scalar_subquery() + (cold.count(grain) if grain else 0)
    with engine().connect() as connection:
        return int(connection.scalar(select(both)) or 0)


def read_table(table: Table) -> pl.DataFrame:
    """A whole small table, sorted by key, without generated columns; uuid and JSON as text."""
    columns = [arrow_column(column) for column in table.columns if not column.computed]
    return fetch(_order_by_key(select(*columns), table))


def _order_by_key(statement: Select[Any], table: Table) -> Select[Any]:
    """Sort by key on the server, while it reads. It sorts uuid by bytes, which is the order of their text."""
    return statement.order_by(*(table.c[name] for name in frames.key(table)))
