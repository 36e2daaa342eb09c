"""Selection: some of the rejected rows, by what a person knows of them.

What belongs here: which rows of `rejected_bars` are meant, and reading them.
Kept elsewhere: writing them (`rejected_rows.py`), judging them again (`replay.py`), how they are shown
(`cli/views/rejected.py`).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Column, ColumnElement, Text, and_, cast, func, select, true, tuple_
from sqlalchemy.types import JSON

from boursomatic_assets.tables.deliveries.rejected_rows import REJECTED_BARS
from boursomatic_assets.tables.reading import fetch

_NO_SESSION = dt.datetime(1, 1, 1)
"""Stands for a missing session where rows are looked up by it: null equals nothing."""


@dataclass(frozen=True)
class Selection:
    """Which rejected rows are meant; what is None excludes none.

    Attributes:
        reason: a part of the reason, in small letters or capitals.
        file: a part of the file's name, in small letters or capitals.
        date: the session.
        market: the market's name.
    """

    reason: str | None = None
    file: str | None = None
    date: dt.date | None = None
    market: str | None = None

    def condition(self) -> ColumnElement[bool]:
        """The SQL condition on `rejected_bars`; all values are bound."""
        return and_(true(), *self._conditions())

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        r = REJECTED_BARS.c
        if self.reason is not None:
            yield r.reason.icontains(self.reason, autoescape=True)
        if self.file is not None:
            yield r.file.icontains(self.file, autoescape=True)
        if self.date is not None:
            yield r.session == dt.datetime.combine(self.date, dt.time())
        if self.market is not None:
            yield r.market == self.market


def read(selection: Selection, limit: int | None = None) -> pl.DataFrame:
    """The selected rows, with all columns of `rejected_bars`; `raw` is JSON text.

    The newest session comes first, after the rows without a session; within a session, rows are in the order of
    file and line.
    """
    r = REJECTED_BARS.c
    query = select(*map(_as_text, REJECTED_BARS.columns)).where(selection.condition())
    order = (r.session.desc().nulls_first(), r.market, r.file, r.line, r.id)
    return fetch(query.order_by(*order).limit(limit))


def count_by_reason(selection: Selection) -> dict[str, int]:
    """How many of the selected rows have each reason, the most frequent first."""
    count, reason = func.count().label("n"), REJECTED_BARS.c.reason
    query = select(reason, count).where(selection.condition()).group_by(reason)
    return dict(fetch(query.order_by(count.desc(), reason)).rows())


def read_with_neighbours(selection: Selection) -> pl.DataFrame:
    """The selected rows with all others of the same markets, intervals and sessions, by which they are judged too.

    Returns:
        The columns of `rejected_bars`, and whether a row is `selected`; in the order of file and line.
    """
    r = REJECTED_BARS.c
    place = (r.market, r.interval, func.coalesce(r.session, _NO_SESSION))
    columns = (*map(_as_text, REJECTED_BARS.columns), selection.condition().label("selected"))
    query = select(*columns).where(tuple_(*place).in_(select(*place).where(selection.condition())))
    rows = fetch(query.order_by(r.file, r.line, r.id))
    return rows.with_columns(pl.col("selected").fill_null(False))  # of a row without a file, SQL does not know


def _as_text(column: Column[Any]) -> ColumnElement[Any]:
    """A column as Arrow has it: JSON is text."""
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column
