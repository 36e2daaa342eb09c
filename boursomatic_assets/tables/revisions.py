"""Revisions: bars as they were before another delivery changed or removed them.

What belongs here: recording a bar before it is changed or deleted, and reading bars as known at a past moment.
Kept elsewhere: how a delivery differs from stored rows (`differences.py`), archived bars (`archive/`).

A bar is known since its `updated_at`, which every change sets, or since its `created_at` if it never changed. Its
earlier versions are in `price_bar_revisions`, each with the time from which and until which it was known, and with
the file and line that it came from.
"""

import datetime as dt

import polars as pl
from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import PriceBarRevision
from boursomatic_assets.tables.differences import Difference
from boursomatic_assets.tables.frames import key, origins
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import cold, fetch, one_moment
from boursomatic_assets.tables.staging import quote, same_key, stage

REVISIONS: Table = PriceBarRevision.__table__
PRICE_BARS: Table = GRAINS["price_bars"].table

_BARS_KNOWN_FROM: ColumnElement[dt.datetime] = func.coalesce(PRICE_BARS.c.updated_at, PRICE_BARS.c.created_at)


def known_from(row: str) -> str:
    """SQL: since when a row of bars or features, named by its alias, is known as it is."""
    return f"coalesce({row}.updated_at, {row}.created_at)"


def record_revisions(
    connection: Connection, difference: Difference, delivery: Delivery | None, run_id: str
) -> None:
    """Record the bars that a delivery is about to change or to remove.

    Args:
        connection: the transaction that changes them, before it has written.
        difference: the bars that the delivery changes and removes.
        delivery: source and file of the new bars; None for a computed frame.
        run_id: the run that replaces the bars.
    """
    keys = key(PRICE_BARS)
    replaced = pl.concat([difference.changed.select(keys), difference.vanished.select(keys)])
    if replaced.is_empty():
        return
    files = (
        delivery.kept.select(*keys, "file") if delivery else replaced.with_columns(file=pl.lit(None, pl.String))
    )
    replacing = replaced.join(files, on=keys, how="left").with_columns(
        source=pl.lit(delivery.source if delivery else None, pl.String), run_id=pl.lit(run_id)
    )
    staged = stage(connection, REVISIONS, replacing)
    copied_columns = (*keys, *"ohlcv", *origins(PRICE_BARS))
    columns = ", ".join(map(quote, (*copied_columns, "known_from", "known_until", "source", "file", "run_id")))
    copied_values = ", ".join(f"t.{quote(name)}" for name in copied_columns)
    connection.exec_driver_sql(
        f"INSERT INTO price_bar_revisions (id, {columns})"
        f" SELECT gen_random_uuid(), {copied_values}, {known_from('t')}, now(), s.source, s.file, s.run_id"
        f" FROM price_bars t JOIN {staged} s ON {same_key(PRICE_BARS)}"
    )


def record_older_bars(connection: Connection, bars: pl.DataFrame) -> None:
    """Record bars that a newer one has replaced, with the columns of `find_unstored`."""
    if bars.is_empty():
        return
    staged = stage(connection, REVISIONS, bars)
    columns = ", ".join(map(quote, bars.columns))
    connection.exec_driver_sql(
        f"INSERT INTO price_bar_revisions (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {staged}"
    )


def find_unstored(bars: pl.DataFrame, part: Slice, interval: str) -> pl.DataFrame:
    """The bars of a slice that are neither in `price_bars` nor in its revisions.

    Args:
        bars: symbol, exchange, ts, o, h, l, c, v, known_from, and other columns.
        part: the slice.
        interval: the interval of the bars.

    Returns:
        Those bars with `known_until`: when a newer version became known; null: there is none.
    """
    key_columns, since = ["symbol", "exchange", "ts"], pl.col("since")
    queries = [
        _bars_query(PRICE_BARS, _BARS_KNOWN_FROM, part, interval),
        _bars_query(REVISIONS, REVISIONS.c.known_from, part, interval),
    ]
    stored = pl.concat(map(fetch, queries)).select(*key_columns, stored=pl.struct(*"ohlcv"), since="known_from")
    matches = (
        bars.join(stored, on=key_columns)
        .group_by(*key_columns)
        .agg(
            is_stored=((since == pl.col("known_from")) & (pl.struct(*"ohlcv") == pl.col("stored"))).any(),
            known_until=since.filter(since > pl.col("known_from")).min(),
        )
    )
    return (
        bars.join(matches, on=key_columns, how="left")
        .filter(pl.col("is_stored").fill_null(False).not_())
        .drop("is_stored")
    )


def read_bars(part: Slice, interval: str = "daily", known_at: dt.datetime | None = None) -> pl.DataFrame:
    """Bars of a slice, sorted by instrument and time, as they are known now, or were known at a past moment.

    The columns are symbol, exchange, ts, o, h, l, c, v, known_from (naive UTC). Of a bar that was known under two
    names at that moment, which were merged since, the instrument's own version is read.
    """
    with one_moment():
        current = _current_bars(part, interval, known_at)
        if known_at is None:
            return current.sort("exchange", "symbol", "ts")
        revised = _bars_query(REVISIONS, REVISIONS.c.known_from, part, interval)
        former = fetch(revised.where(REVISIONS.c.known_from <= known_at, REVISIONS.c.known_until > known_at))
    versions = pl.concat([current, former]).unique(["exchange", "symbol", "ts"], keep="first", maintain_order=True)
    return versions.sort("exchange", "symbol", "ts")


def _current_bars(part: Slice, interval: str, known_at: dt.datetime | None) -> pl.DataFrame:
    """The bars of a slice as they are now, in their table and in files, if they were known by a moment."""
    query = _bars_query(PRICE_BARS, _BARS_KNOWN_FROM, part, interval)
    bars = fetch(query if known_at is None else query.where(known_at >= _BARS_KNOWN_FROM))
    years = cold.years(GRAINS["price_bars"], part) if interval == GRAINS["price_bars"].interval else []
    if not years:
        return bars
    columns = ("instrument_id", "ts", *"ohlcv", "created_at", "updated_at")
    moved = pl.concat(cold.read(year, columns, part) for year in years)
    names = fetch(select(INSTRUMENTS.c.id.label("instrument_id"), INSTRUMENTS.c.symbol, INSTRUMENTS.c.exchange))
    known = moved.join(names, on="instrument_id").with_columns(known_from=pl.coalesce("updated_at", "created_at"))
    if known_at is not None:
        known = known.filter(pl.col("known_from") <= known_at)
    both = pl.concat([bars, known.select(bars.columns)])
    return both.unique(["exchange", "symbol", "ts"], keep="first", maintain_order=True)


def _bars_query(
    table: Table, since: ColumnElement[dt.datetime], part: Slice, interval: str
) -> Select[tuple[object, ...]]:
    return (
        select(
            INSTRUMENTS.c.symbol,
            INSTRUMENTS.c.exchange,
            table.c.ts,
            *(table.c[name] for name in "ohlcv"),
            since.label("known_from"),
        )
        .join_from(table, INSTRUMENTS, table.c.instrument_id == INSTRUMENTS.c.id)
        .where(INSTRUMENTS.c.exchange.in_(part.market.exchanges), table.c.interval == interval)
        .where(table.c.ts >= part.start, table.c.ts < part.end)
    )
