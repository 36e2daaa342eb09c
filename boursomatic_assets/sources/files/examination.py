"""Examination: what all rows of a file show together, found once and kept while the file is not changed.

What belongs here: the notation of its times and numbers, its instruments, its interval, what became of its lines.
Kept elsewhere: reading rows (`scan.py`), notation (`notation/`), names (`sources/symbols.py`), bars (`cells.py`).
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError
from boursomatic_assets.sources.files.contents import File
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.layouts import FAULT, LINE, Layout
from boursomatic_assets.sources.files.notation.numbers import detect_decimal_sign, number_expr
from boursomatic_assets.sources.files.notation.times import Clock, parse_times
from boursomatic_assets.sources.files.scan import (
    NO_RECORD,
    TOO_FEW,
    UNREADABLE,
    Opened,
    open_rows,
    scan_text,
    unreadable,
)
from boursomatic_assets.sources.files.text import Text, separators_by_line
from boursomatic_assets.sources.symbols import UNKNOWN_FORM, canonical, is_symbol, read_listing_of

SPARSE = dt.timedelta(days=5)
"""Bars of an instrument that all lie so far apart are no daily ones: no holidays close a market for so long."""

FEWEST = 3
"""Bars that show how far apart they lie."""

_TOTALS = (
    r"(?i)^\s*(grand )?(totals?|totaux|sums?|somme|average|mean|moyenne|mittel|summe|gesamt|totaal|count|nombre)\b"
)
_COMMENT = r"^\s*(#|//)"
_WORDS_OF_NOTHING = ("", "-", "--", ".", "n/a", "na", "nan", "null", "none", "#n/a")

_INTERVAL_BY_PERIOD = {
    **dict.fromkeys(("d", "1d", "day", "daily"), "daily"),
    **dict.fromkeys(("w", "1w", "1wk", "week"), "weekly"),
    **dict.fromkeys(("m", "1mo", "month"), "monthly"),
    **dict.fromkeys(("15min", "15m"), "15m"),
}

ADDED_UP = ("1m", "3m", "5m")
"""Intervals of which several make a bar of 15 minutes."""


@dataclass(frozen=True)
class Examination:
    """What a file shows.

    Attributes:
        layout: what its columns are.
        kind, encoding: of the file.
        times: the session and the instant of each distinct `cell`, and whether a midnight of Paris says the
            session; None: the column holds dates.
        form: how dates are written.
        interval: of all bars, if no column says it.
        decimal: the decimal sign of text cells.
        listings: for each distinct pair of `symbol_cell` and `exchange_cell` symbol, exchange, and a fault.
        sparse: symbols whose bars lie too far apart for daily ones.
        others: lines below the header that hold no bar.
        counts: rows of `FILES` by column.
        clean: whether every row has all its numbers, its time and its instrument.
        first, last: dates of the bars; None: some have none.
    """

    layout: Layout
    kind: str
    encoding: str | None
    times: pl.DataFrame | None
    form: str | None
    interval: str | None
    decimal: str | None
    listings: pl.DataFrame
    sparse: tuple[str, ...]
    others: tuple[int, ...]
    counts: dict[str, int]
    clean: bool
    first: dt.date | None
    last: dt.date | None

    @property
    def recognised(self) -> str:
        """What the file is, in a few words."""
        vendor = f"{self.layout.vendor} " if self.layout.vendor else ""
        return f"{vendor}{self.kind}" + (f", {self.encoding}" if self.encoding not in (None, "utf-8") else "")


def number_columns(layout: Layout, fields: Collection[str] = "ohlcv") -> list[str]:
    """The headers of prices and volumes."""
    return [header for _, columns in layout.series for field, header in columns.items() if field in fields]


@lru_cache(maxsize=20_000)
def _outcome(file: File, declared: Declaration) -> Examination | SourceError:
    try:
        return _examine(file, declared)
    except SourceError as error:  # raised by each call
        return error
    except Exception as error:  # a defect of the code, which must not stop the other files
        absorbed.record(error, f"{file.name} is not read")
        return SourceError(f"{file.name}: cannot be read ({type(error).__name__}): save it as CSV, and report it")


def examine(file: File, declared: Declaration) -> Examination:
    """What a file shows.

    Raises:
        SourceError: naming the file, what was found, and what is expected or must be stated.
    """
    outcome = _outcome(file, declared)
    if isinstance(outcome, SourceError):
        raise SourceError(*outcome.args, **outcome.asks)
    return outcome


def _examine(file: File, declared: Declaration) -> Examination:
    opened, cells = read_cells(file, declared)
    layout = opened.layout
    columns = layout.series[0][1]
    times, form, interval = _examine_times(cells, columns, layout, declared, file)
    others = {} if is_typed(opened) or times is None else _lines_without_bars(cells, layout, times)
    bars = (
        cells.filter(~pl.col(LINE).is_in([line for lines in others.values() for line in lines]))
        if others
        else cells
    )
    decimal = declared.decimal or _decimal_sign(bars, layout, opened, file.name)
    listings = _listings(bars, layout, declared, dict(file.says))
    dated = _sessions(bars, columns, times)
    daily = interval == "daily" or interval is None
    counts = {
        "lines": opened.lines,
        "header": opened.header + len(others.get("header", ())),
        **{name: len(others.get(name, ())) for name in ("blank", "comments", "footer")},
        "delivered": bars.height,
    }
    if counts["lines"] != sum(counts.values()) - counts["lines"]:
        raise SourceError(
            f"{file.name}: {counts['lines']} lines, of which {sum(counts.values()) - counts['lines']} were read:"
            " save it anew, or split it, to find the line that hides the others"
        )
    return Examination(
        layout,
        opened.kind,
        opened.encoding,
        times,
        form,
        interval,
        decimal,
        listings,
        tuple(_sparse_symbols(bars, layout, dated)) if daily else (),
        tuple(line for lines in others.values() for line in lines),
        counts,
        _is_clean(bars, layout, dated, listings, decimal) and (times is None or not times["paris"].any()),
        *_ends(dated),
    )


@lru_cache(maxsize=1)
def read_cells(file: File, declared: Declaration) -> tuple[Opened, pl.DataFrame]:
    """A file's rows, and those of its columns that tell what all rows show; the last file's are kept.

    Of a text, a workbook and JSON these are all columns that mean something; numbers as such where polars reads
    all of them. A text in which polars finds other rows than lines, or too many cells in one, is read by lines.
    """
    opened = open_rows(file, declared)
    if opened.text is not None:
        if (cells := _read_plain(opened, declared)) is not None:
            return opened, cells
        opened = open_rows(file, declared, line_by_line=True)
    schema, numbers = opened.rows.collect_schema(), number_columns(opened.layout)
    wanted = [LINE, *_meaningful(opened.layout)]
    if is_typed(opened):
        wanted = [header for header in wanted if header not in numbers or schema[header] == pl.String]
    wanted += [name for name in (FAULT, *opened.layout.empty) if name in schema]
    try:
        return opened, opened.rows.select(wanted).collect()
    except UNREADABLE as error:
        raise unreadable(file, error) from None


def is_typed(opened: Opened) -> bool:
    """Whether its columns have types, so that a row need not be read to know what they mean."""
    return opened.kind in ("Parquet", "Arrow")


def _meaningful(layout: Layout) -> list[str]:
    return list(dict.fromkeys(header for _, columns in layout.series for header in columns.values()))


def _read_plain(opened: Opened, declared: Declaration) -> pl.DataFrame | None:
    """The cells of a text that polars reads; None if it does not find each line as a row of its own."""
    assert opened.text is not None
    layout = opened.layout
    numbers = number_columns(layout) if layout.separator == "," and declared.decimal != "," else []
    try:
        cells = scan_text(opened.text, layout, numbers).collect()
        if cells.height != opened.lines - opened.header:
            return None
        if unread := [header for header in numbers if cells[header].has_nulls()]:
            cells = cells.with_columns(opened.rows.select(unread).collect())
    except UNREADABLE:  # read line by line, a line with too many cells is told by its number
        return None
    whole = not cells[layout.headers[layout.whole - 1]].has_nulls()
    cells = cells.select(LINE, *_meaningful(layout), *layout.empty)
    return cells if whole else _with_short_lines(cells, opened.text, layout)


def _with_short_lines(cells: pl.DataFrame, text: Text, layout: Layout) -> pl.DataFrame | None:
    """The cells with the fault of lines that are cut; None if their quotation marks hide which these are."""
    if b'"' in text.content:
        return None
    separators = separators_by_line(text, layout.separator).tail(cells.height)
    short = (separators > 0) & (separators < layout.whole - 1)
    if not short.any():
        return cells
    return cells.with_columns(pl.when(short).then(pl.lit(TOO_FEW)).alias(FAULT))


def time_cell(columns: dict[str, str]) -> pl.Expr:
    """The cell of a row's time; the text of its date and its clock if they are apart."""
    cell = pl.col(columns["ts"])
    return pl.concat_str([cell, pl.col(columns["clock"])], separator=" ") if "clock" in columns else cell


def _examine_times(
    cells: pl.DataFrame, columns: dict[str, str], layout: Layout, declared: Declaration, file: File
) -> tuple[pl.DataFrame | None, str | None, str | None]:
    """The times of the distinct cells, how they are written, and the interval that they show."""
    says = dict(file.says)
    stated = declared.interval or (interval_of_period(says["interval"]) if "interval" in says else None)
    kind = pl.String() if "clock" in columns else cells.schema[columns["ts"]]
    if kind == pl.Date:
        by_column = "interval" in columns and not stated
        return None, "dates", _one_interval(cells[columns["interval"]]) if by_column else stated or "daily"
    distinct = cells.select(cell=time_cell(columns)).to_series().unique().sort()
    clock = Clock(declared.zone or layout.zone, declared.dates, stated)
    text = distinct if kind == pl.String else _typed_as_text(distinct)
    times = parse_times(text.drop_nulls().unique(maintain_order=True), clock, file.name)
    found = times["interval"].head(1).to_list()
    form = times["form"].head(1).to_list()
    if kind != pl.String:
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
    intervals = {interval_of_period(cell) for cell in cells.cast(pl.String).unique() if cell is not None}
    return intervals.pop() if len(intervals) == 1 and not cells.has_nulls() else None


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


def _lines_without_bars(cells: pl.DataFrame, layout: Layout, times: pl.DataFrame) -> dict[str, list[int]]:
    """The lines that are blank, comments, repeated headers or below the last bar, of those without a time."""
    columns = layout.series[0][1]
    readable = times.filter(pl.any_horizontal(pl.col("session", "instant").is_not_null()))["cell"]
    has_time = time_cell(columns).is_in(readable.implode()).fill_null(False)
    prices = [pl.col(columns[price]).cast(pl.String).str.contains(r"\d").fill_null(False) for price in "ohlc"]
    if layout.of_folder:
        has_time &= pl.any_horizontal(prices)
    broken = pl.col(FAULT).eq_missing(NO_RECORD) if FAULT in cells.columns else pl.lit(False)
    odd = cells.filter(~has_time, ~broken)
    if odd.is_empty():
        return {}
    last = max(cells.filter(has_time)[LINE].tail(1).to_list(), default=0)
    text = [pl.col(header).cast(pl.String).str.strip_chars() for header in layout.headers if header in odd.columns]
    filled = [pl.when(cell != "").then(cell) for cell in text]
    first, time = pl.coalesce(filled), pl.col(columns["ts"]).str.strip_chars()
    words = first.str.contains(r"^[^\d\s]") & ~pl.any_horizontal(prices)
    kind = (
        pl.when(first.is_null())
        .then(pl.lit("blank"))
        .when(first.str.contains(_COMMENT))
        .then(pl.lit("comments"))
        .when(time == columns["ts"])
        .then(pl.lit("header"))
        .when((pl.col(LINE) > last) & pl.lit(last > 0) & (words | first.str.contains(_TOTALS)))
        .then(pl.lit("footer"))
    )
    named = odd.select(LINE, kind=kind).drop_nulls().group_by("kind").agg(LINE)
    return dict(named.iter_rows())


def _decimal_sign(bars: pl.DataFrame, layout: Layout, opened: Opened, name: str) -> str | None:
    columns = [bars[header] for header in number_columns(layout) if header in bars.columns]
    texts = [column for column in columns if column.dtype == pl.String]
    if not texts:
        return "."
    read = [column for column in columns if column.dtype == pl.Float64] if not is_typed(opened) else []
    fractions = sum(int((column.is_finite() & (column != column.floor())).sum()) for column in read)
    return detect_decimal_sign(texts, layout.separator, name, fractions)


def _listings(bars: pl.DataFrame, layout: Layout, declared: Declaration, says: dict[str, str]) -> pl.DataFrame:
    """The listing of each distinct pair of cells that name one."""
    columns = layout.series[0][1]
    stated = declared.exchange or (says.get("exchange") if "exchange" not in columns else None)
    pairs: list[tuple[str | None, str | None]] = []
    for symbol, _ in layout.series:
        named = pl.lit(symbol, pl.String) if symbol else pl.col(columns["symbol"]).cast(pl.String)
        exchange = (
            pl.lit(stated, pl.String)
            if stated or "exchange" not in columns
            else pl.col(columns["exchange"]).cast(pl.String)
        )
        pairs += bars.lazy().select(symbol=named, exchange=exchange).unique(maintain_order=True).collect().rows()
    schema = dict.fromkeys(("symbol_cell", "exchange_cell", "symbol", "exchange", "fault"), pl.String())
    return pl.DataFrame([_listing(*pair) for pair in dict.fromkeys(pairs)], schema=schema, orient="row")


def _listing(symbol: str | None, exchange: str | None) -> tuple[str | None, ...]:
    """A pair of cells, what it names, and what is wrong with it."""
    if symbol is None or not canonical(symbol):
        return symbol, exchange, None, exchange, None
    found = read_listing_of(symbol, exchange)
    fault = UNKNOWN_FORM if found.exchange is None or not is_symbol(found.symbol) else None
    return symbol, exchange, found.symbol, found.exchange, fault


def _sessions(bars: pl.DataFrame, columns: dict[str, str], times: pl.DataFrame | None) -> pl.Series:
    """The date of each row, null where it has no readable time."""
    if times is None:
        return bars[columns["ts"]].cast(pl.Date)
    date = pl.coalesce("session", "instant").cast(pl.Date)
    dates = times.select(date).to_series()
    return bars.select(
        time_cell(columns).replace_strict(times["cell"], dates, default=None, return_dtype=pl.Date)
    ).to_series()


def _ends(dated: pl.Series) -> tuple[dt.date | None, dt.date | None]:
    if dated.has_nulls():
        return None, None
    return dated.min(), dated.max()  # type: ignore[return-value]


def _sparse_symbols(bars: pl.DataFrame, layout: Layout, dated: pl.Series) -> list[str]:
    """The cells of symbols whose bars all lie SPARSE or more apart."""
    symbol, columns = layout.series[0]
    names = pl.lit(symbol) if symbol else pl.col(columns["symbol"]).cast(pl.String)
    rows = bars.lazy().select(name=names, date=pl.lit(dated)).drop_nulls()
    spans = rows.group_by("name").agg(
        n=pl.len(), days=(pl.col("date").max() - pl.col("date").min()).dt.total_days()
    )
    wide = spans.filter(pl.col("n") >= FEWEST, pl.col("days") >= (pl.col("n") - 1) * SPARSE.days).collect()["name"]
    if wide.is_empty():
        return []
    steps = (
        rows.filter(pl.col("name").is_in(wide.implode()))
        .unique()
        .sort("name", "date")
        .group_by("name")
        .agg(n=pl.len(), least=pl.col("date").diff().min())
    )
    return steps.filter(pl.col("n") >= FEWEST, pl.col("least") >= SPARSE).collect()["name"].to_list()


def _is_clean(
    bars: pl.DataFrame, layout: Layout, dated: pl.Series, listings: pl.DataFrame, decimal: str | None
) -> bool:
    """Whether no row has a fault, or a cell that is no number."""
    if FAULT in bars.columns or layout.empty or dated.has_nulls() or not listings["fault"].is_null().all():
        return False
    texts = [header for header in number_columns(layout) if bars.schema.get(header) == pl.String]
    return not texts or not any(
        column.has_nulls()
        for column in bars.select(number_expr(header, decimal or ".").alias(header) for header in texts)
    )


def is_unknown_form(text: pl.Expr, number: pl.Expr) -> pl.Expr:
    """Whether a cell of text says something that is not read as a number."""
    said = ~text.str.strip_chars().str.to_lowercase().is_in(_WORDS_OF_NOTHING).fill_null(True)
    return said & number.is_null()
