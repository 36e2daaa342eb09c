"""Cells: from a file's text and typed columns to the columns of `RAW_BARS`.

What belongs here: symbols, intervals, times and numbers, in the format that all rows of a file show.
Kept elsewhere: opening a file (`scan.py`), what headers mean (`layouts.py`), formats of times (`stamps.py`), which
bars are valid (`quality/contract.py`). A cell that cannot be read becomes null, and its row is rejected there.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import polars as pl

from boursomatic_assets.sources import RAW_BARS
from boursomatic_assets.sources.files import stamps
from boursomatic_assets.sources.files.contents import File
from boursomatic_assets.sources.files.layouts import Declaration, Layout, split_symbol
from boursomatic_assets.sources.files.scan import open_rows, select_cells, unreadable

_PRICE_WITH_COMMA = r"^\s*-?\d[\d.]*,\d+\s*$"
_NUMBER_WITH_COMMA = r"^-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"
_ABBREVIATED = r"^([\d.]+)\s*([KMBkmb])$"
_MULTIPLIERS = {"K": 1e3, "M": 1e6, "B": 1e9}


@dataclass(frozen=True)
class TextFormat:
    """The format that all rows of a text file show together."""

    times: pl.DataFrame | None
    comma: bool = False
    abbreviated: bool = False


def read_raw_bars(file: File, declared: Declaration, names: Collection[str] = tuple(RAW_BARS)) -> pl.LazyFrame:
    """One file with the columns of `RAW_BARS` of these names; `raw` is null, see `rows_as_json`.

    Raises:
        SourceError: naming the file, what was found and what is expected.
    """
    rows, layout = open_rows(file, declared)
    try:
        rows = select_cells(file, rows, layout, names)
        text_format = _detect_format(rows, layout, declared, file.name)
    except pl.exceptions.PolarsError as error:
        raise unreadable(file, error) from None
    series = [_select_bars(rows, layout, text_format, declared, *one) for one in layout.series]
    return pl.concat(series).with_columns(file=pl.lit(file.name), raw=pl.lit(None, pl.String)).select(names)


def rows_as_json(file: File, declared: Declaration, lines: Collection[int]) -> pl.LazyFrame:
    """Some rows of a file: file, line, symbol as in `read_raw_bars`, and all cells as JSON."""
    rows, layout = open_rows(file, declared)
    wanted = rows.filter(pl.col("line").is_in(lines))

    def cells(columns: dict[str, str]) -> list[str]:
        return [header for header in layout.headers if len(layout.series) == 1 or header in columns.values()]

    return pl.concat(
        wanted.select(
            pl.col("line").cast(pl.Int64),
            file=pl.lit(file.name),
            symbol=_symbol_and_exchange(symbol, columns, declared)[0],
            raw=pl.struct(cells(columns)).struct.json_encode(),
        )
        for symbol, columns in layout.series
    )


def _detect_format(rows: pl.LazyFrame, layout: Layout, declared: Declaration, name: str) -> TextFormat:
    """The format of a text file: its distinct times, and how it writes numbers."""
    _, columns = layout.series[0]
    schema = rows.collect_schema()
    if schema[columns["ts"]] != pl.String:
        return TextFormat(None)
    questions = {"cells": _time_cell(columns).unique().implode()}
    if schema.get(columns["c"]) == pl.String and layout.separator != ",":
        questions["comma"] = pl.col(columns["c"]).str.contains(_PRICE_WITH_COMMA).any()
    if schema.get(columns["v"]) == pl.String:
        questions["abbreviated"] = pl.col(columns["v"]).str.contains(r"[KMBkmb]\s*$").any()
    answers = rows.select(**questions).collect().row(0, named=True)
    clock = stamps.Clock(declared.zone or layout.zone, declared.dates)
    times = stamps.parse_times(pl.Series(answers["cells"], dtype=pl.String), clock, name)
    return TextFormat(times, bool(answers.get("comma")), bool(answers.get("abbreviated")))


def _select_bars(
    rows: pl.LazyFrame,
    layout: Layout,
    text_format: TextFormat,
    declared: Declaration,
    symbol: str | None,
    columns: dict[str, str],
) -> pl.LazyFrame:
    """The bars of one instrument that has columns of its own, or of all if a column names them."""
    schema = rows.collect_schema()
    symbols, exchange = _symbol_and_exchange(symbol, columns, declared)
    interval = _interval_expr(columns, text_format, declared)
    return rows.select(
        pl.col("line").cast(pl.Int64),
        symbol=symbols,
        exchange=exchange,
        ts=_parsed_time(columns, text_format.times, interval)
        if text_format.times is not None
        else _typed_time(columns["ts"], schema[columns["ts"]]),
        interval=interval,
        **{
            price: _number_expr(columns[price], schema[columns[price]], text_format)
            for price in "ohlcv"
            if columns[price] in schema
        },
    )


def _symbol_and_exchange(
    symbol: str | None, columns: dict[str, str], declared: Declaration
) -> tuple[pl.Expr, pl.Expr]:
    """Each row's symbol and exchange, as the platform names them."""
    names = pl.lit(symbol) if symbol else pl.col(columns["symbol"]).cast(pl.String)
    if declared.exchange:
        return names, pl.lit(declared.exchange)
    if "exchange" in columns:
        return names, pl.col(columns["exchange"]).cast(pl.String)
    symbols, exchange = (_map_cells(names, partial(_listing_part, index=place)) for place in (0, 1))
    return symbols, exchange


def _listing_part(symbols: pl.Series, index: int) -> pl.Series:
    return _map_distinct(symbols, lambda symbol: split_symbol(symbol)[index])


def _map_cells(cells: pl.Expr, meaning: Callable[[pl.Series], pl.Series]) -> pl.Expr:
    """The meaning of each cell by itself, so that a file may be mapped in parts while it is read."""
    return cells.map_batches(meaning, return_dtype=pl.String, is_elementwise=True)


def _map_distinct(cells: pl.Series, meaning: Callable[[str], str]) -> pl.Series:
    """The meaning of each cell, computed once for each distinct one."""
    same = cells.eq_missing(cells.first()).all()
    distinct = (cells.head(1) if same else cells.unique()).drop_nulls()
    meanings = [meaning(cell) for cell in distinct]
    if meanings == distinct.to_list():
        return cells
    return cells.replace_strict(distinct, meanings, default=None, return_dtype=pl.String)


def _time_cell(columns: dict[str, str]) -> pl.Expr:
    cell = pl.col(columns["ts"])
    return pl.concat_str([cell, pl.col(columns["clock"])], separator=" ") if "clock" in columns else cell


def _interval_expr(columns: dict[str, str], text_format: TextFormat, declared: Declaration) -> pl.Expr:
    """A row's interval: as declared, as a column says, or as all times show. Stooq's D is daily, its 15 is 15m."""
    if declared.interval:
        return pl.lit(declared.interval)
    if "interval" in columns:
        cells = pl.col(columns["interval"]).cast(pl.String)
        return _map_cells(cells, partial(_map_distinct, meaning=_interval_of_period))
    detected = [] if text_format.times is None else text_format.times["interval"].head(1).to_list()
    return pl.lit(detected[0] if detected else "daily")


def _interval_of_period(cell: str) -> str:
    return "daily" if cell == "D" else f"{cell}m" if re.fullmatch(r"[0-9]+", cell) else cell


def _parsed_time(columns: dict[str, str], times: pl.DataFrame, interval: pl.Expr) -> pl.Expr:
    """A row's `ts`, looked up by its cell: a session's date, or an instant."""
    session, instant = (
        _time_cell(columns).replace_strict(
            times["cell"], times[kind], default=None, return_dtype=pl.Datetime("us")
        )
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


def _number_expr(column: str, kind: pl.DataType, text_format: TextFormat) -> pl.Expr:
    """A cell as a number, null where it is none."""
    if kind != pl.String:
        return pl.col(column).cast(pl.Float64, strict=False)
    cell = pl.col(column).str.strip_chars()
    if text_format.comma:
        plain = cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        cell = (
            pl.when(cell.str.contains(_NUMBER_WITH_COMMA)).then(plain).when(~cell.str.contains(r"\d")).then(cell)
        )
    number = cell.cast(pl.Float64, strict=False)
    if text_format.abbreviated:
        parts = cell.str.extract_groups(_ABBREVIATED)
        times = (
            parts.struct[1].str.to_uppercase().replace_strict(_MULTIPLIERS, default=None, return_dtype=pl.Float64)
        )
        number = pl.coalesce(number, parts.struct[0].cast(pl.Float64, strict=False) * times)
    return number
