"""How assets lie in their tables, and how rows come out of them, straight into polars.

What belongs here: which rows of which table an asset owns, and reading.
Kept elsewhere: what a frame must look like (`frames.py`), writing (`merging.py`).

Identifiers come from the models only.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Column, ColumnElement, Select, Table, cast, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import JSON, Text, Uuid

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import arrow_connection
from boursomatic_assets.schema import Feature, Instrument, PriceBar, Recommendation, TrackRecord
from boursomatic_assets.tables import frames

INSTRUMENTS: Table = Instrument.__table__


@dataclass(frozen=True)
class Grain:
    """How an asset lies in its table.

    `time` is the column that sessions are cut by, `own` the condition, of one column, for the rows that are the
    asset's, `supersedes` says that replaced rows are archived instead of changed, and `interval` is that of bars.
    `derived` says that all it is computed from is in other tables: a session without a row then really has none,
    while for others nothing may have been delivered.
    """

    table: Table
    time: str
    own: str = "id IS NOT NULL"
    supersedes: bool = False
    interval: str = "daily"
    derived: bool = False


GRAINS = {
    "price_bars": Grain(PriceBar.__table__, "ts", "interval = 'daily'"),
    "price_bars_15m": Grain(PriceBar.__table__, "ts", "interval = '15m'", interval="15m"),
    "features": Grain(Feature.__table__, "ts"),
    "recommendations": Grain(Recommendation.__table__, "as_of", "superseded_at IS NULL", supersedes=True),
    "track_record": Grain(TrackRecord.__table__, "ts", derived=True),
}


def read(grain: Grain, part: Slice, names: tuple[str, ...] = (), *, ordered: bool = True) -> pl.DataFrame:
    """The rows of a slice, sorted by key, with the columns of `frames.given`, or those named, plus `market`.

    Without an order they come as fast as the server finds them.
    """
    table = grain.table
    columns = [_readable(table.c[name]) for name in names or frames.given(table)]
    statement = (
        select(*columns)
        .join_from(table, INSTRUMENTS, table.c.instrument_id == INSTRUMENTS.c.id)
        .where(INSTRUMENTS.c.exchange.in_(part.market.exchanges), text(f"{table.name}.{grain.own}"))
        .where(table.c[grain.time] >= part.start, table.c[grain.time] < part.end)
    )
    rows = fetch(_in_order(statement, table) if ordered else statement)
    return rows.with_columns(market=pl.lit(part.market.name))


@dataclass(frozen=True)
class Reader:
    """An asset's table, handed to an asset downstream that reads it slice by slice."""

    grain: Grain

    def __call__(self, part: Slice, names: tuple[str, ...] = ()) -> pl.DataFrame:
        """The rows of a slice, as `read` gives them."""
        return read(self.grain, part, names)


def read_table(table: Table) -> pl.DataFrame:
    """A whole small table, sorted by key; uuid and JSON as text."""
    return fetch(_in_order(select(*map(_readable, table.columns)), table))


def _in_order(statement: Select[Any], table: Table) -> Select[Any]:
    """Sorted by key. The server sorts while it reads, and uuid as their bytes, which is as their text."""
    return statement.order_by(*(table.c[name] for name in frames.key(table)))


def fetch(statement: Select[Any]) -> pl.DataFrame:
    """The rows of a query, straight into polars through Arrow; uuid and JSON as text.

    Arrow's driver reads with COPY, which is several times faster but takes no parameters; so the values, which
    are a slice's bounds and its market's exchanges and never a user's words, are quoted into the statement.
    """
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    with arrow_connection() as connection, connection.cursor() as cursor:
        cursor.execute(str(compiled))
        frame: pl.DataFrame = cursor.fetch_polars()
    uuids = [column.name for column in statement.selected_columns if isinstance(column.type, Uuid)]
    return frame.with_columns(_as_text(frame[name]) for name in uuids)


def _readable(column: Column[Any]) -> ColumnElement[Any]:
    """A column as Arrow can carry it: JSON as text."""
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _as_text(identifiers: pl.Series) -> pl.Series:
    """UUIDs as text, from their 16 bytes; the few distinct ones are written once."""
    distinct = identifiers.unique().drop_nulls()
    digits = map(bytes.hex, distinct.to_list())
    words = [f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}" for d in digits]
    texts = pl.Series(words, dtype=pl.String)
    return identifiers.replace_strict(distinct, texts, default=None, return_dtype=pl.String)
