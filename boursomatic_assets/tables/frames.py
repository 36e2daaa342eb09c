"""The contract between a frame and a table: which columns, of which types, with which keys.

What belongs here: the columns, types and keys that a polars frame must have before it is written, derived from
`schema/`.
Kept elsewhere: what makes a delivered bar valid (`quality/contract.py`), writing (`merging.py`).
"""

from collections.abc import Iterator
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Table
from sqlalchemy.types import JSON, BigInteger, Boolean, DateTime, Float, Integer, String, TypeEngine, Uuid

_TYPES: tuple[tuple[type[TypeEngine[Any]], pl.DataType], ...] = (
    (BigInteger, pl.Int64()),
    (Integer, pl.Int32()),
    (Float, pl.Float64()),
    (Boolean, pl.Boolean()),
    (DateTime, pl.Datetime("us")),
    (Uuid, pl.String()),
    (JSON, pl.String()),
    (String, pl.String()),
)


class FrameError(ValueError):
    """A frame that its table cannot take; the message lists everything that is wrong with it."""


def polars_type(column: ColumnElement[Any]) -> pl.DataType:
    """The polars type of a table's column; uuid and JSON travel as text."""
    return next(polars_type for sql_type, polars_type in _TYPES if isinstance(column.type, sql_type))


def required_columns(table: Table) -> dict[str, pl.DataType]:
    """The columns that a frame must have, with their types: all but those that the database fills in."""
    return {
        column.name: polars_type(column)
        for column in table.columns
        if not (column.primary_key or column.server_default or column.info.get("managed"))
    }


def key(table: Table) -> list[str]:
    """The columns that identify a row."""
    return list(table.info["key"])


def origins(table: Table) -> list[str]:
    """The columns that say where a row came from, which are none of its content."""
    return [column.name for column in table.columns if column.info.get("origin")]


def validate(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame in the table's column order if it fits the table.

    Columns with a default (an id, a time stamp) may be left out.

    Raises:
        FrameError: naming every missing, unknown or mistyped column, null, non-finite number and repeated key.
    """
    faults = list(_column_faults(table, frame)) or list(_row_faults(table, frame))
    if faults:
        raise FrameError(f"{table.name} cannot take this frame: {'; '.join(faults)}")
    return frame.select(column.name for column in table.columns if column.name in frame.columns)


def _column_faults(table: Table, frame: pl.DataFrame) -> Iterator[str]:
    if missing := required_columns(table).keys() - set(frame.columns):
        yield f"missing columns {sorted(missing)}"
    if unknown := set(frame.columns) - set(table.columns.keys()):
        yield f"unknown columns {sorted(unknown)}"
    for name in sorted(set(frame.columns) & set(table.columns.keys())):
        if frame.schema[name] != (expected := polars_type(table.columns[name])):
            yield f"column {name!r} is {frame.schema[name]} where {expected} is wanted"


def _row_faults(table: Table, frame: pl.DataFrame) -> Iterator[str]:
    for name in frame.columns:
        if not table.columns[name].nullable and (nulls := frame[name].null_count()):
            yield f"column {name!r} has {nulls} nulls"
        if frame.schema[name].is_float() and (non_finite := int((~frame[name].is_finite()).sum())):
            yield f"column {name!r} has {non_finite} values that are NaN or infinite"
    keys = [name for name in key(table) if name in frame.columns]
    if keys and (repeated := frame.select(keys).is_duplicated()).any():
        example = frame.filter(repeated).row(0, named=True)
        yield f"key {keys} is repeated in {int(repeated.sum())} rows, such as {[str(example[k]) for k in keys]}"
