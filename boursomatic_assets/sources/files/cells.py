"""Cells: from the cells of a file to the columns of `RAW_BARS`.

What belongs here: symbols, intervals, times and numbers of each row, and why a row cannot be read.
Kept elsewhere: reading a file (`reading.py`), what headers mean (`layouts/`), what all rows show together
(`examination.py`), which bars are valid (`quality/contract.py`).
"""

from collections.abc import Callable, Collection
from functools import partial

import polars as pl

from boursomatic_assets.sources import NAME, RAW_BARS
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.examination import (
    Examination,
    examine,
    is_unknown_form,
)
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.intervals import interval_of_period, time_cell
from boursomatic_assets.sources.files.layouts.layout import FAULT, LINE
from boursomatic_assets.sources.files.notation.numbers import number_expr
from boursomatic_assets.sources.files.reading import read_cells
from boursomatic_assets.sources.files.scan import TOO_MANY, UNREADABLE, unreadable
from boursomatic_assets.sources.symbols import EURONEXT
from boursomatic_assets.sources.words import map_words

PRICE_OF_UNKNOWN_FORM = "price is of an unknown form"
VOLUME_OF_UNKNOWN_FORM = "volume is of an unknown form"
TIME_OF_UNKNOWN_FORM = "time is of an unknown form"
NOT_DAILY = "bars lie weeks apart: they are no daily ones"

QUARTER = "15m"

_OF_LISTING = ("symbol", "exchange", "fault")


def read_raw_bars(file: File, declared: Declaration) -> pl.DataFrame:
    """One file with the columns of `RAW_BARS`; `raw` is null, see `rows_as_json`.

    Raises:
        SourceError: naming the file, what was found and what is expected.
    """
    seen = examine(file, declared)
    _, rows = read_cells(file, declared)
    try:
        if seen.others:
            rows = rows.filter(~pl.col(LINE).is_in(seen.others))
        of_series = [_select_bars(rows, seen, declared, *one) for one in seen.layout.series]
        found = pl.concat(of_series).with_columns(file=pl.lit(file.name), raw=pl.lit(None, pl.String))
        bars = _added_up(found) if declared.resample else found
        return bars.with_columns(file_id=pl.lit(seen.file_id, pl.Int64)).select(*RAW_BARS)
    except UNREADABLE as error:
        raise unreadable(file, error) from None


def rows_as_json(file: File, declared: Declaration, lines: Collection[int]) -> pl.DataFrame:
    """Some rows of a file: file, line, symbol as in `read_raw_bars`, and all cells as JSON.

    Raises:
        SourceError: as `read_raw_bars`.
    """
    seen = examine(file, declared)
    layout = seen.layout
    opened, _ = read_cells(file, declared)
    wanted = opened.rows.filter(pl.col(LINE).is_in(lines))

    def cells(columns: dict[str, str]) -> list[str]:
        return [header for header in layout.headers if len(layout.series) == 1 or header in columns.values()]

    told = [
        wanted.select(
            pl.col(LINE).cast(pl.Int64),
            file=pl.lit(file.name),
            symbol=_listing_exprs(seen, symbol, columns, declared)["symbol"],
            raw=pl.struct(cells(columns)).struct.json_encode(),
        )
        for symbol, columns in layout.series
    ]
    try:
        return pl.concat(told).collect()
    except UNREADABLE as error:
        raise unreadable(file, error) from None


def _select_bars(
    rows: pl.DataFrame, seen: Examination, declared: Declaration, symbol: str | None, columns: dict[str, str]
) -> pl.DataFrame:
    """The bars of one instrument that has columns of its own, or of all if a column names them."""
    schema = rows.schema
    listing = _listing_exprs(seen, symbol, columns, declared)
    interval = _interval_expr(columns, seen)
    time = _time_expr(columns, seen, interval, listing["exchange"])
    numbers = {price: _number_expr(columns[price], schema[columns[price]], seen) for price in "ohlcv"}
    fault = pl.lit(None, pl.String)
    if not (seen.clean and not seen.sparse):
        fault = _fault_expr(columns, schema, seen, listing["fault"], time, numbers)
    return rows.select(
        pl.col(LINE).cast(pl.Int64),
        symbol=listing["symbol"],
        exchange=listing["exchange"],
        ts=time,
        interval=interval,
        fault=fault,
        **numbers,
    )


def _listing_exprs(
    seen: Examination, symbol: str | None, columns: dict[str, str], declared: Declaration
) -> dict[str, pl.Expr]:
    """Each row's symbol and exchange as the platform names them, and what is wrong with them."""
    by_column = "exchange" in columns and not declared.exchange
    listings = seen.listings.cast({"symbol": NAME, "exchange": NAME})
    if symbol and not by_column:
        found = listings.filter(pl.col("symbol_cell") == symbol).row(0, named=True) if listings.height else {}
        return {name: pl.lit(found.get(name), listings.schema[name]) for name in _OF_LISTING}
    if not by_column:
        names, cells = pl.col(columns["symbol"]), listings["symbol_cell"]
        return {name: map_words(names, cells, listings[name]) for name in _OF_LISTING}
    names = pl.lit(symbol, NAME) if symbol else _names(columns["symbol"], listings["symbol_cell"])
    exchange = _names(columns["exchange"], listings["exchange_cell"])
    if _same(seen.listings, "symbol") and _same(seen.listings, "exchange"):
        return {"symbol": names, "exchange": exchange, "fault": pl.lit(None, pl.String)}
    pair = pl.struct(symbol_cell=names, exchange_cell=exchange)
    pairs = listings.select(pl.struct(pl.col("symbol_cell", "exchange_cell").cast(NAME))).to_series()
    return {name: map_words(pair, pairs, listings[name]) for name in _OF_LISTING}


def _same(listings: pl.DataFrame, name: str) -> bool:
    """Whether all cells are written as the platform names them."""
    no_fault = listings["fault"].is_null().all()
    return bool(no_fault and listings[name].eq_missing(listings[f"{name}_cell"]).all())


def _names(column: str, cells: pl.Series) -> pl.Expr:
    distinct = cells.unique()
    return map_words(pl.col(column), distinct, distinct.cast(NAME))


def _interval_expr(columns: dict[str, str], seen: Examination) -> pl.Expr:
    """A row's interval: the same of all rows, or as a column says."""
    if seen.interval is not None:
        return pl.lit(seen.interval)
    cells = pl.col(columns["interval"]).cast(pl.String).str.strip_chars()
    return cells.map_batches(
        partial(_map_distinct, meaning=interval_of_period), return_dtype=pl.String, is_elementwise=True
    )


def _map_distinct(cells: pl.Series, meaning: Callable[[str], str]) -> pl.Series:
    """The meaning of each cell, computed once for each distinct one."""
    same = cells.eq_missing(cells.first()).all()
    distinct = (cells.head(1) if same else cells.unique()).drop_nulls()
    meanings = [meaning(cell) for cell in distinct]
    if meanings == distinct.to_list():
        return cells
    return cells.replace_strict(distinct, meanings, default=None, return_dtype=pl.String)


def _time_expr(columns: dict[str, str], seen: Examination, interval: pl.Expr, exchange: pl.Expr) -> pl.Expr:
    """A row's `ts`: a session's date, or an instant, looked up by its cell; midnights of Paris are Euronext's."""
    if seen.times is None:
        return pl.col(columns["ts"]).cast(pl.Datetime("us"))
    times = seen.times
    if times.is_empty():
        return pl.lit(None, pl.Datetime("us"))
    cell = time_cell(columns)
    session, instant = (map_words(cell, times["cell"], times[name]) for name in ("session", "instant"))
    if times["session"].equals(times["instant"]):
        return session
    if times["paris"].any():
        elsewhere = cell.is_in(times.filter("paris")["cell"].implode()) & exchange.ne_missing(EURONEXT)
        session = pl.when(~elsewhere).then(session)
    return pl.when(interval == "daily").then(session).otherwise(instant)


def _number_expr(column: str, kind: pl.DataType, seen: Examination) -> pl.Expr:
    """A cell as a number, null where it is none."""
    if kind == pl.String:
        return number_expr(column, seen.decimal or ".")
    return pl.col(column).cast(pl.Float64, strict=False)


def _fault_expr(
    columns: dict[str, str],
    schema: pl.Schema,
    seen: Examination,
    listing: pl.Expr,
    time: pl.Expr,
    numbers: dict[str, pl.Expr],
) -> pl.Expr:
    """Why a row cannot be read, the first of several reasons; null where it can."""
    faults = [pl.col(FAULT)] if FAULT in schema else []
    faults += [
        pl.when(pl.col(header).str.strip_chars() != "").then(pl.lit(TOO_MANY)) for header in seen.layout.empty
    ]
    faults.append(listing)
    said = pl.col(columns["ts"]).cast(pl.String).str.strip_chars() != ""
    faults.append(pl.when(said & time.is_null()).then(pl.lit(TIME_OF_UNKNOWN_FORM)))
    for field, number in numbers.items():
        if schema[columns[field]] == pl.String:
            reason = VOLUME_OF_UNKNOWN_FORM if field == "v" else PRICE_OF_UNKNOWN_FORM
            faults.append(pl.when(is_unknown_form(pl.col(columns[field]), number)).then(pl.lit(reason)))
    if seen.sparse:
        symbol, _ = seen.layout.series[0]
        names = pl.lit(symbol) if symbol else pl.col(columns["symbol"]).cast(pl.String)
        faults.append(pl.when(names.is_in(seen.sparse)).then(pl.lit(NOT_DAILY)))
    return pl.coalesce(faults)


def _added_up(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of some minutes as bars of 15; a number that one of them lacks, or has twice, the sum lacks too.

    A bar that is there twice alike counts once.
    """
    parts = bars.with_columns(start=pl.col("ts").dt.truncate(QUARTER)).sort("ts", maintain_order=True)

    def whole(name: str, value: pl.Expr) -> pl.Expr:
        once = pl.col("ts").is_unique().all()
        return pl.when(~pl.col(name).has_nulls() & once).then(value).alias(name)

    timed = parts.filter(pl.col("ts").is_not_null(), pl.col("fault").is_null())
    timed = timed.unique(["symbol", "exchange", "ts", *"ohlcv"], keep="first", maintain_order=True)
    summed = timed.group_by("symbol", "exchange", "start", "file", maintain_order=True).agg(
        pl.col(LINE).first(),
        whole("o", pl.col("o").first()),
        whole("h", pl.col("h").max()),
        whole("l", pl.col("l").min()),
        whole("c", pl.col("c").last()),
        whole("v", pl.col("v").sum()),
        interval=pl.lit(QUARTER),
        fault=pl.lit(None, pl.String),
        raw=pl.lit(None, pl.String),
    )
    rest = parts.filter(pl.col("ts").is_null() | pl.col("fault").is_not_null()).drop("start")
    return pl.concat([summed.rename({"start": "ts"}).select(rest.columns), rest])
