"""A file's cells as raw bars: text and typed columns into the columns of `RAW_BARS`.

What belongs here: times and numbers of rows, as all rows of a file tell them to be written.
Kept elsewhere: what headers mean (`layouts.py`), forms of times (`stamps.py`), judging (`contracts.py`). A cell
that cannot be read becomes null, and is refused there with the row as it stood.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import polars as pl

from boursomatic_assets.sources import RAW_BARS, SourceError, stamps
from boursomatic_assets.sources.contents import File
from boursomatic_assets.sources.layouts import Layout, Stated, bars_of_columns, listed, recognise

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


def tidy(file: File, stated: Stated) -> pl.LazyFrame:
    """One file with the columns of `RAW_BARS`.

    Raises:
        SourceError: naming the file, what was seen and what is wanted.
    """
    rows, layout, habits = _understood(file, stated)
    return (
        pl.concat([_series(rows, layout, habits, stated, *one) for one in layout.series])
        .with_columns(file=pl.lit(file.name))
        .select(*RAW_BARS)
    )


@lru_cache(maxsize=64)
def _understood(file: File, stated: Stated) -> tuple[pl.LazyFrame, Layout, Habits]:
    head = file.head
    try:
        if head.startswith(PARQUET):
            rows = pl.scan_parquet(file.source).with_row_index("line", offset=1)
            names = rows.collect_schema().names()[1:]
            layout = bars_of_columns(names, ",", 0, file.name, stated)
        else:
            if b"\0" in head:
                raise SourceError(f"{file.name}: neither Parquet nor text: wanted bars as Parquet or CSV")
            layout = recognise(head.decode("utf-8-sig", "replace").splitlines(), file.name, stated)
            rows = _scan_text(file, layout)
        return rows, layout, _habits(rows, layout, stated, file.name)
    except pl.exceptions.PolarsError as error:
        kind = "parquet" if head.startswith(PARQUET) else "csv"
        raise SourceError(f"{file.name}: cannot be read as {kind}: {str(error).splitlines()[0]}") from None


def _scan_text(file: File, layout: Layout) -> pl.LazyFrame:
    """Cells as text, so that nothing is guessed; `line` counts from 1 as an editor does."""
    return pl.scan_csv(
        file.source,
        has_header=False,
        separator=layout.separator,
        skip_lines=layout.skipped,
        schema=dict.fromkeys(layout.headers, pl.String()),
        missing_columns="insert",
        encoding="utf8-lossy",
    ).with_row_index("line", offset=layout.skipped + 1)


def _habits(rows: pl.LazyFrame, layout: Layout, stated: Stated, name: str) -> Habits:
    """One look at a whole text file: its distinct times, and how it writes numbers."""
    _, columns = layout.series[0]
    schema = rows.collect_schema()
    if schema[columns["ts"]] != pl.String:
        return Habits(None)
    asked = {"cells": _time(columns).unique().implode()}
    if schema[columns["c"]] == pl.String and layout.separator != ",":
        asked["comma"] = pl.col(columns["c"]).str.contains(_PRICE_WITH_COMMA).any()
    if schema[columns["v"]] == pl.String:
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
    raw = [header for header in layout.headers if len(layout.series) == 1 or header in columns.values()]
    names = pl.lit(symbol) if symbol else pl.col(columns["symbol"]).cast(pl.String)
    ours, exchange = (names.map_batches(partial(_listed, place=n), return_dtype=pl.String) for n in (0, 1))
    if stated.exchange or "exchange" in columns:
        ours = names
        exchange = pl.lit(stated.exchange) if stated.exchange else pl.col(columns["exchange"]).cast(pl.String)
    interval = _told_interval(columns, habits, stated)
    return rows.select(
        pl.col("line").cast(pl.Int64),
        symbol=ours,
        exchange=exchange,
        ts=_written_time(columns, habits.stamps, interval)
        if habits.stamps is not None
        else _typed_time(columns["ts"], schema[columns["ts"]]),
        interval=interval,
        raw=pl.struct(raw).struct.json_encode(),
        **{price: _number(columns[price], schema[columns[price]], habits) for price in "ohlcv"},
    )


def _listed(symbols: pl.Series, place: int) -> pl.Series:
    distinct = symbols.unique().drop_nulls()
    return symbols.replace_strict(
        distinct, [listed(symbol)[place] for symbol in distinct], default=None, return_dtype=pl.String
    )


def _time(columns: dict[str, str]) -> pl.Expr:
    cell = pl.col(columns["ts"])
    return pl.concat_str([cell, pl.col(columns["clock"])], separator=" ") if "clock" in columns else cell


def _told_interval(columns: dict[str, str], habits: Habits, stated: Stated) -> pl.Expr:
    """A row's interval: as stated, as a column says, or as all times tell. Stooq's D is daily, its 15 is 15m."""
    if stated.interval:
        return pl.lit(stated.interval)
    if "interval" in columns:
        cells = pl.col(columns["interval"]).cast(pl.String)
        return pl.when(cells == "D").then(pl.lit("daily")).otherwise(cells.str.replace(r"^(\d+)$", "${1}m"))
    told = [] if habits.stamps is None else habits.stamps["interval"].head(1).to_list()
    return pl.lit(told[0] if told else "daily")


def _written_time(columns: dict[str, str], times: pl.DataFrame, interval: pl.Expr) -> pl.Expr:
    """A row's `ts`, looked up by its cell: a session's date, or an instant."""
    session, instant = (
        _time(columns).replace_strict(times["cell"], times[kind], default=None, return_dtype=pl.Datetime("us"))
        for kind in ("session", "instant")
    )
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
