"""How assets lie in their tables, and how rows come out of them, straight into polars.

What belongs here: which rows of which table an asset owns, and reading.
Kept elsewhere: what a frame must look like (`frames.py`), writing (`merging.py`).

Identifiers come from the models only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from sqlalchemy import Column, ColumnElement, Select, Table, cast, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import JSON, Text, Uuid

from boursomatic_assets import frames
from boursomatic_assets.database import arrow_connection
from boursomatic_assets.models import Feature, Instrument, PriceBar, Recommendation, TrackRecord
from boursomatic_assets.slices import Slice

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection as ArrowConnection

INSTRUMENTS: Table = Instrument.__table__

_PYFORMAT: Final = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
"""Leaves places by name, `%(name)s`, and doubles every other percent sign."""


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

    The Arrow driver reads with COPY, which takes no parameters. So the values are bound to a statement before it,
    in which the server quotes them; no value is quoted here. That costs 0.4 ms a query. Without COPY the driver
    takes parameters, but 600,000 bars take 1.1 (sorted) to 1.8 times as long (unsorted), and 60 to 100 MiB more.
    COPY can also read settings of the transaction, but a scan of a whole table looks them up for every row: 1.7
    times the CPU time.
    """
    compiled = statement.compile(dialect=_PYFORMAT, compile_kwargs={"render_postcompile": True})
    with arrow_connection() as connection:
        query = str(compiled) % _quoted(connection, compiled.params)
        with connection.cursor() as cursor:
            cursor.execute(query)
            frame: pl.DataFrame = cursor.fetch_polars()
    uuids = [column.name for column in statement.selected_columns if isinstance(column.type, Uuid)]
    return frame.with_columns(_as_text(frame[name]) for name in uuids)


def _quoted(connection: "ArrowConnection", values: Mapping[str, object]) -> dict[str, str]:
    """Each value as a literal of the server's, by name; the statement casts it to its type."""
    if not values:
        return {}
    literals = ", ".join(f"quote_literal(${place})" for place in range(1, len(values) + 1))
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(f"SELECT {literals}", [*map(str, values.values())])
        row = cursor.fetchone()
    assert row is not None, "a query without a table has one row"
    return dict(zip(values, row, strict=True))


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
