"""Queries: their rows, through Arrow into polars, each as of now or all as of one moment.

What belongs here: a statement and its rows as a frame. Kept elsewhere: the rows of a slice (`slices.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from sqlalchemy import Column, ColumnElement, Select, cast
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import JSON, Text, Uuid

from boursomatic_assets.database import arrow_connection
from boursomatic_assets.tables.reading import moments

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection as ArrowConnection


_PYFORMAT: Final = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
"""Compiles parameters to `%(name)s`, and doubles every other percent sign."""

_of_one_moment: ContextVar["ArrowConnection | None"] = ContextVar("_of_one_moment", default=None)
"""The connection whose transaction sees one moment; None: each query sees its own."""


@contextmanager
def one_moment() -> Iterator[None]:
    """Let every query in the context see what was committed when the first one began, of the outermost context.

    Tables are kept from being made anew meanwhile (`moments.py`).
    """
    if _of_one_moment.get():
        yield
        return
    with arrow_connection() as connection:
        with connection.cursor() as cursor:
            for statement in moments.BEGINNING:
                cursor.execute(statement)
        token = _of_one_moment.set(connection)
        try:
            yield
        finally:
            _of_one_moment.reset(token)


@contextmanager
def _connected() -> "Iterator[ArrowConnection]":
    """The connection of `one_moment`, or one for a query."""
    if shared := _of_one_moment.get():
        yield shared
        return
    with arrow_connection() as connection:
        yield connection


def fetch(statement: Select[Any]) -> pl.DataFrame:
    """The rows of a query, straight into polars through Arrow; uuid and JSON as text.

    The Arrow driver reads with COPY, which takes no parameters. So the values are bound to a statement before it,
    in which the server quotes them; no value is quoted here. That costs 0.4 ms a query. Without COPY the driver
    takes parameters, but 600,000 bars take 1.1 (sorted) to 1.8 times as long (unsorted), and 60 to 100 MiB more.
    COPY can also read settings of the transaction, but a scan of a whole table looks them up for every row: 1.7
    times the CPU time.
    """
    compiled = statement.compile(dialect=_PYFORMAT, compile_kwargs={"render_postcompile": True})
    with _connected() as connection:
        query = str(compiled) % _quote_values(connection, compiled.params)
        with connection.cursor() as cursor:
            cursor.execute(query)
            frame: pl.DataFrame = cursor.fetch_polars()
    uuids = [column.name for column in statement.selected_columns if isinstance(column.type, Uuid)]
    return frame.with_columns(_uuids_as_text(frame[name]) for name in uuids)


def _quote_values(connection: "ArrowConnection", values: Mapping[str, object]) -> dict[str, str]:
    """Each value as a literal that the server quotes, by name; the statement casts it to its type."""
    if not values:
        return {}
    literals = ", ".join(f"quote_literal(${place})" for place in range(1, len(values) + 1))
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(f"SELECT {literals}", [*map(str, values.values())])
        row = cursor.fetchone()
    assert row is not None, "a query without a table has one row"
    return dict(zip(values, row, strict=True))


def arrow_column(column: Column[Any]) -> ColumnElement[Any]:
    """A column with a type that Arrow has: JSON as text."""
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _uuids_as_text(identifiers: pl.Series) -> pl.Series:
    """UUIDs as text, from their 16 bytes; each distinct one is formatted once."""
    distinct = identifiers.unique().drop_nulls()
    digits = map(bytes.hex, distinct.to_list())
    distinct_texts = [f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}" for d in digits]
    texts = pl.Series(distinct_texts, dtype=pl.String)
    return identifiers.replace_strict(distinct, texts, default=None, return_dtype=pl.String)
