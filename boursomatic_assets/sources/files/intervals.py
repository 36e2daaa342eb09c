"""Intervals: the times of a file's rows, and which interval its bars have.

What belongs here: stated, named and shown intervals, bars that lie too far apart.
Kept elsewhere: how times are written (`notation/times.py`).
"""

import datetime as dt

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.layouts.layout import Layout
from boursomatic_assets.sources.files.notation.times import Clock, parse_times
from boursomatic_assets.sources.words import distinct_cells, map_words

SPARSE = dt.timedelta(days=5)
"""Bars of an instrument that all lie so far apart are no daily ones: no holidays close a market for so long."""

FEWEST = 3
"""Bars that show how far apart they lie."""

_INTERVAL_BY_PERIOD = {
    **dict.fromkeys(("d", "1d", "day", "daily"), "daily"),
    **dict.fromkeys(("w", "1w", "1wk", "week"), "weekly"),
    **dict.fromkeys(("m", "1mo", "month"), "monthly"),
    **dict.fromkeys(("15min", "15m"), "15m"),
}

ADDED_UP = ("1m", "3m", "5m")
"""Intervals of which several make a bar of 15 minutes."""


def time_cell(columns: dict[str, str]) -> pl.Expr:
    """The cell of a row's time; the text of its date and its clock if they are apart."""
    cell = pl.col(columns["ts"])
    return pl.concat_str([cell, pl.col(columns["clock"])], separator=" ") if "clock" in columns else cell


def examine_times(
    cells: pl.DataFrame, columns: dict[str, str], layout: Layout, declared: Declaration, file: File
) -> tuple[pl.DataFrame | None, str | None, str | None]:
    """The times of the distinct cells, how they are written, and the interval that they show."""
    says = dict(file.says)
    stated = declared.interval or (interval_of_period(says["interval"]) if "interval" in says else None)
    if cells.schema[columns["ts"]] == pl.Date and "clock" not in columns:
        by_column = "interval" in columns and not stated
        return None, "dates", _one_interval(cells[columns["interval"]]) if by_column else stated or "daily"
    distinct = distinct_cells(cells.select(cell=time_cell(columns)).to_series()).sort()
    clock = Clock(declared.zone or layout.zone, declared.dates, stated)
    text = distinct if distinct.dtype == pl.String else _typed_as_text(distinct)
    times = parse_times(text.drop_nulls().unique(maintain_order=True), clock, file.name)
    found = times["interval"].head(1).to_list()
    form = times["form"].head(1).to_list()
    if distinct.dtype != pl.String:
        times = (
            pl.DataFrame({"typed": distinct, "cell": text})
            .join(times, on="cell")
            .drop("cell")
            .rename({"typed": "cell"})
        )
    if "interval" in columns and not stated:
        interval = _one_interval(cells[columns["interval"]])
    else:
        interval = stated or (found[0] if found else "daily")
    if interval is not None:
        _require_known_interval(interval, declared, file.name)
    return times, form[0] if form else None, interval


def _one_interval(cells: pl.Series) -> str | None:
    """The interval that a column says, if it says the same in each row."""
    if cells.has_nulls() or cells.is_empty():
        return None
    codes = cells.to_physical()
    distinct = cells.head(1) if (codes == codes[0]).all() else cells.unique()  # the same, as nearly always
    intervals = {interval_of_period(cell) for cell in distinct.cast(pl.String)}
    return intervals.pop() if len(intervals) == 1 else None


def interval_of_period(cell: str) -> str:
    """An interval as the platform calls it: Stooq's D is daily, its 15 is 15m."""
    small = cell.strip().lower()
    if named := _INTERVAL_BY_PERIOD.get(small):
        return named
    return f"{small}m" if small.isdigit() else cell.strip()


def _typed_as_text(distinct: pl.Series) -> pl.Series:
    """Typed times as text: with their offset, if they have a zone; numbers as they are."""
    if isinstance(distinct.dtype, pl.Datetime):
        form = "%Y-%m-%d %H:%M:%S%.6f" + ("%z" if distinct.dtype.time_zone else "")
        return distinct.dt.cast_time_unit("us").dt.to_string(form)
    if distinct.dtype.is_float():
        return distinct.cast(pl.Int64, strict=False).cast(pl.String)
    return distinct.cast(pl.String, strict=False)


def _require_known_interval(interval: str, declared: Declaration, name: str) -> None:
    if interval in ("daily", "15m") or (declared.resample and interval in ADDED_UP):
        return
    reason = f"{name}: its bars are of {interval}, and only daily and 15m bars are kept"
    if interval in ADDED_UP:
        mended = f"state `resample: 15m` for it in {DECLARATIONS_FILE} to add them up"
        raise SourceError(f"{reason}: {mended}", resample="15m")
    raise SourceError(reason)


def dates_of_rows(bars: pl.DataFrame, columns: dict[str, str], times: pl.DataFrame | None) -> pl.Series:
    """The date of each row, null where it has no readable time."""
    if times is None:
        return bars[columns["ts"]].cast(pl.Date)
    date = pl.coalesce("session", "instant").cast(pl.Date)
    dates = times.select(date).to_series()
    return bars.select(map_words(time_cell(columns), times["cell"], dates)).to_series()


def first_and_last(dated: pl.Series) -> tuple[dt.date | None, dt.date | None]:
    """The first and the last of some dates; None if one is missing."""
    if dated.has_nulls():
        return None, None
    return dated.min(), dated.max()  # type: ignore[return-value]


def sparse_symbols(bars: pl.DataFrame, layout: Layout, dated: pl.Series, listings: pl.DataFrame) -> list[str]:
    """The cells of symbols whose bars all lie SPARSE or more apart."""
    symbol, columns = layout.series[0]
    days = (pl.col("last").max() - pl.col("first").min()).dt.total_days()
    spans = listings.drop_nulls("symbol_cell").group_by("symbol_cell").agg(pl.col("dates").sum(), days=days)
    wide = spans.filter(pl.col("dates") >= FEWEST, pl.col("days") >= (pl.col("dates") - 1) * SPARSE.days)
    if wide.is_empty():
        return []
    names = pl.lit(symbol) if symbol else pl.col(columns["symbol"]).cast(pl.String)
    rows = bars.lazy().select(name=names, date=pl.lit(dated)).drop_nulls()
    steps = (
        rows.filter(pl.col("name").is_in(wide["symbol_cell"].implode()))
        .unique()
        .sort("name", "date")
        .group_by("name")
        .agg(n=pl.len(), least=pl.col("date").diff().min())
    )
    return steps.filter(pl.col("n") >= FEWEST, pl.col("least") >= SPARSE).collect()["name"].to_list()
