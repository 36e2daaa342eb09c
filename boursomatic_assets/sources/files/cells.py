"""A file's cells as raw bars: text and typed columns into the columns of `RAW_BARS`.

What belongs here: times and numbers of rows, as all rows of a file tell them to be written.
Kept elsewhere: what headers mean (`layouts.py`), forms of times (`stamps.py`), judging (`contracts.py`). A cell
that cannot be read becomes null, and is refused there with the row as it stood.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import polars as pl

from boursomatic_assets.sources import RAW_BARS, SourceError
from boursomatic_assets.sources.files import stamps
from boursomatic_assets.sources.files.contents import File, text
from boursomatic_assets.sources.files.layouts import Layout, Stated, bars_of_columns, listed, recognise

PARQUET = b"PAR1"

_PRICE_WITH_COMMA = r"^\s*-?\d[\d.]*,\d+\s*$"
_NUMBER_WITH_COMMA = r"^-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"
_ABBREVIATED = r"^([\d.]+)\s*([KMBkmb])$"
_TIMES = {"K": 1e3, "M": 1e6, "B": 1e9}


@dataclass(frozen=True)
class Habits:
    """What all rows of a file tell together."""

    stamps: pl.DataFrame | None
    comma: bool = False
    abbreviated: bool = False


def tidy(file: File, stated: Stated, names: Collection[str] = tuple(RAW_BARS)) -> pl.LazyFrame:
    """One file with the columns of `RAW_BARS` of these names; `raw` is null, see `as_written`.

    Raises:
        SourceError: naming the file, what was seen and what is wanted.
    """
    rows, layout = _opened(file, stated)
    try:
        rows = _cells(file, rows, layout, names)
        habits = _habits(rows, layout, stated, file.name)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(file, error) from None
    series = [_series(rows, layout, habits, stated, *one) for one in layout.series]
    return pl.concat(series).with_columns(file=pl.lit(file.name), raw=pl.lit(None, pl.String)).select(names)


def as_written(file: File, stated: Stated, lines: Collection[int]) -> pl.LazyFrame:
    """Some rows of a file as they stand in it: file, line, symbol as `tidy` gives it, and all cells as JSON."""
    rows, layout = _opened(file, stated)
    wanted = rows.filter(pl.col("line").is_in(lines))

    def cells(columns: dict[str, str]) -> list[str]:
        return [header for header in layout.headers if len(layout.series) == 1 or header in columns.values()]

    return pl.concat(
        wanted.select(
            pl.col("line").cast(pl.Int64),
            file=pl.lit(file.name),
            symbol=_listing(symbol, columns, stated)[0],
            raw=pl.struct(cells(columns)).struct.json_encode(),
        )
        for symbol, columns in layout.series
    )


def _opened(file: File, stated: Stated) -> tuple[pl.LazyFrame, Layout]:
    """A file's rows, of text with all cells as text, and what its columns are."""
    head = file.head
    try:
        if head.startswith(PARQUET):
            rows = pl.scan_parquet(file.source).with_row_index("line", offset=1)
            return rows, bars_of_columns(rows.collect_schema().names()[1:], ",", 0, file.name, stated)
        if b"\0" in head:
            raise SourceError(f"{file.name}: neither Parquet nor text: wanted bars as Parquet or CSV")
        layout = recognise(text(head).splitlines(), file.name, stated)
        return _scan_text(file, layout), layout
    except pl.exceptions.PolarsError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: File, error: pl.exceptions.PolarsError) -> SourceError:
    kind = "parquet" if file.head.startswith(PARQUET) else "csv"
    return SourceError(f"{file.name}: cannot be read as {kind}: {str(error).splitlines()[0]}")


def _scan_text(file: File, layout: Layout, numbers: Collection[str] = ()) -> pl.LazyFrame:
    """Cells as text, so that nothing is guessed, but for these columns; `line` counts from 1 as an editor does.

    A cell of those columns that is no number, or has blanks around it, is null.
    """
    return pl.scan_csv(
        file.source,
        has_header=False,
        separator=layout.separator,
        skip_lines=layout.skipped,
        schema={header: pl.Float64() if header in numbers else pl.String() for header in layout.headers},
        missing_columns="insert",
        ignore_errors=bool(numbers),
        encoding="utf8-lossy",
    ).with_row_index("line", offset=layout.skipped + 1)


def _cells(file: File, rows: pl.LazyFrame, layout: Layout, names: Collection[str]) -> pl.LazyFrame:
    """The columns that are needed for these names; in memory, if all rows together must tell what they mean.

    Numbers are read as such, which takes least time; a column in which that leaves nulls is read again, as text.
    """
    schema = rows.collect_schema()
    if schema[layout.series[0][1]["ts"]] != pl.String:
        return rows
    columns = {header: field for _, named in layout.series for field, header in named.items()}
    wanted = ["line", *(header for header, field in columns.items() if field not in "ohlcv" or field in names)]
    if layout.separator != "," or file.head.startswith(PARQUET) or not set("ohlcv") & set(names):
        return rows.select(wanted).collect().lazy()
    numbers = [header for header, field in columns.items() if field in "ohlcv"]
    # All columns, as a line with too many cells would pass unnoticed among some of them.
    cells = _scan_text(file, layout, numbers).collect().select(wanted)
    if unread := [header for header in numbers if cells[header].has_nulls()]:
        cells = cells.with_columns(rows.select(unread).collect())
    return cells.lazy()


def _habits(rows: pl.LazyFrame, layout: Layout, stated: Stated, name: str) -> Habits:
    """What all rows of a text file tell: its distinct times, and how it writes numbers."""
    _, columns = layout.series[0]
    schema = rows.collect_schema()
    if schema[columns["ts"]] != pl.String:
        return Habits(None)
    asked = {"cells": _time(columns).unique().implode()}
    if schema.get(columns["c"]) == pl.String and layout.separator != ",":
        asked["comma"] = pl.col(columns["c"]).str.contains(_PRICE_WITH_COMMA).any()
    if schema.get(columns["v"]) == pl.String:
        asked["abbreviated"] = pl.col(columns["v"]).str.contains(r"[KMBkmb]\s*$").any()
    found = rows.select(**asked).collect().row(0, named=True)
    clock = stamps.Clock(stated.zone or layout.zone, stated.dates)
    times = stamps.read(pl.Series(found["cells"], dtype=pl.String), clock, name)
    return Habits(times, bool(found.get("comma")), bool(found.get("abbreviated")))


def _series(
    rows: pl.LazyFrame, layout: Layout, habits: Habits, stated: Stated, symbol: str | None, columns: dict[str, str]
) -> pl.LazyFrame:
    """The bars of one instrument that has columns of its own, or of all if a column names them."""
    schema = rows.collect_schema()
    ours, exchange = _listing(symbol, columns, stated)
    interval = _told_interval(columns, habits, stated)
    return rows.select(
        pl.col("line").cast(pl.Int64),
        symbol=ours,
        exchange=exchange,
        ts=_written_time(columns, habits.stamps, interval)
        if habits.stamps is not None
        else _typed_time(columns["ts"], schema[columns["ts"]]),
        interval=interval,
        **{
            price: _number(columns[price], schema[columns[price]], habits)
            for price in "ohlcv"
            if columns[price] in schema
        },
    )


def _listing(symbol: str | None, columns: dict[str, str], stated: Stated) -> tuple[pl.Expr, pl.Expr]:
    """Each row's symbol and exchange, as we call them."""
    names = pl.lit(symbol) if symbol else pl.col(columns["symbol"]).cast(pl.String)
    if stated.exchange:
        return names, pl.lit(stated.exchange)
    if "exchange" in columns:
        return names, pl.col(columns["exchange"]).cast(pl.String)
    ours, exchange = (_told(names, partial(_listed, place=place)) for place in (0, 1))
    return ours, exchange


def _listed(symbols: pl.Series, place: int) -> pl.Series:
    return _each_once(symbols, lambda symbol: listed(symbol)[place])


def _told(cells: pl.Expr, told: Callable[[pl.Series], pl.Series]) -> pl.Expr:
    """What each cell means by itself, so that a file may be told part by part while it is read."""
    return cells.map_batches(told, return_dtype=pl.String, is_elementwise=True)


def _each_once(cells: pl.Series, told: Callable[[str], str]) -> pl.Series:
    """What each cell means, asked once for each distinct one."""
    same = cells.eq_missing(cells.first()).all()
    distinct = (cells.head(1) if same else cells.unique()).drop_nulls()
    meanings = [told(cell) for cell in distinct]
    if meanings == distinct.to_list():
        return cells
    return cells.replace_strict(distinct, meanings, default=None, return_dtype=pl.String)


def _time(columns: dict[str, str]) -> pl.Expr:
    cell = pl.col(columns["ts"])
    return pl.concat_str([cell, pl.col(columns["clock"])], separator=" ") if "clock" in columns else cell


def _told_interval(columns: dict[str, str], habits: Habits, stated: Stated) -> pl.Expr:
    """A row's interval: as stated, as a column says, or as all times tell. Stooq's D is daily, its 15 is 15m."""
    if stated.interval:
        return pl.lit(stated.interval)
    if "interval" in columns:
        cells = pl.col(columns["interval"]).cast(pl.String)
        return _told(cells, partial(_each_once, told=_interval))
    told = [] if habits.stamps is None else habits.stamps["interval"].head(1).to_list()
    return pl.lit(told[0] if told else "daily")


def _interval(cell: str) -> str:
    return "daily" if cell == "D" else f"{cell}m" if re.fullmatch(r"[0-9]+", cell) else cell


def _written_time(columns: dict[str, str], times: pl.DataFrame, interval: pl.Expr) -> pl.Expr:
    """A row's `ts`, looked up by its cell: a session's date, or an instant."""
    session, instant = (
        _time(columns).replace_strict(times["cell"], times[kind], default=None, return_dtype=pl.Datetime("us"))
        for kind in ("session", "instant")
    )
    if times["session"].equals(times["instant"]):
        return session
    return pl.when(interval == "daily").then(session).otherwise(instant)


def _typed_time(column: str, kind: pl.DataType) -> pl.Expr:
    """A typed time stamp as naive UTC; a bare number has no unit, and would fall into 1970: it is none."""
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return pl.col(column).dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.cast_time_unit("us")
    known = isinstance(kind, pl.Date | pl.Datetime)
    return pl.col(column).cast(pl.Datetime("us")) if known else pl.lit(None, pl.Datetime("us"))


def _number(column: str, kind: pl.DataType, habits: Habits) -> pl.Expr:
    """A cell as a number, null where it is none."""
    if kind != pl.String:
        return pl.col(column).cast(pl.Float64, strict=False)
    cell = pl.col(column).str.strip_chars()
    if habits.comma:
        plain = cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        cell = (
            pl.when(cell.str.contains(_NUMBER_WITH_COMMA)).then(plain).when(~cell.str.contains(r"\d")).then(cell)
        )
    number = cell.cast(pl.Float64, strict=False)
    if habits.abbreviated:
        parts = cell.str.extract_groups(_ABBREVIATED)
        times = parts.struct[1].str.to_uppercase().replace_strict(_TIMES, default=None, return_dtype=pl.Float64)
        number = pl.coalesce(number, parts.struct[0].cast(pl.Float64, strict=False) * times)
    return number
