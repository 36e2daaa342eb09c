"""Examination: what all rows of a file show together, found once and kept while the file is not changed.

What belongs here: the notation of its times and numbers, its instruments, its interval, what became of its lines.
Kept elsewhere: reading rows (`reading.py`), how each of these is found (`intervals.py`, `listings.py`,
`accounting.py`, `notation/`), bars (`cells.py`).
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.accounting import lines_without_bars
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.formats.contents import File, identify
from boursomatic_assets.sources.files.intervals import (
    dates_of_rows,
    examine_times,
    first_and_last,
    sparse_symbols,
)
from boursomatic_assets.sources.files.layouts.layout import FAULT, LINE, Layout
from boursomatic_assets.sources.files.listings import find_listings, require_one_instrument
from boursomatic_assets.sources.files.notation.numbers import detect_decimal_sign, number_expr
from boursomatic_assets.sources.files.reading import is_typed, number_columns, read_cells
from boursomatic_assets.sources.files.scan import Opened

DEFECTS = (Exception, pl.exceptions.PanicException)
"""What no file should be able to raise."""

_WORDS_OF_NOTHING = ("", "-", "--", ".", "n/a", "na", "nan", "null", "none", "#n/a")


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
        digest: the SHA-256 of its content, unpacked.
        file_id: stands for its name and its digest.
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
    digest: str
    file_id: int

    @property
    def recognised(self) -> str:
        """What the file is, in a few words."""
        vendor = f"{self.layout.vendor} " if self.layout.vendor else ""
        return f"{vendor}{self.kind}" + (f", {self.encoding}" if self.encoding not in (None, "utf-8") else "")


@lru_cache(maxsize=20_000)
def _outcome(file: File, declared: Declaration) -> Examination | SourceError:
    try:
        with ThreadPoolExecutor(1) as beside:  # it reads on meanwhile: a twentieth of its time otherwise
            digest = beside.submit(hashlib.sha256, file.read())
            return _examine(file, declared, lambda: digest.result().hexdigest())
    except SourceError as error:  # raised by each call
        return error
    except DEFECTS as error:  # of the code, or of polars: it must not stop the other files
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


def _examine(file: File, declared: Declaration, digest_of: Callable[[], str]) -> Examination:
    opened, cells = read_cells(file, declared)
    layout = opened.layout
    require_one_instrument(opened.rows, layout, declared, file.name)
    columns = layout.series[0][1]
    times, form, interval = examine_times(cells, columns, layout, declared, file)
    others: dict[str, list[int]] = {}
    if times is not None and not is_typed(opened):
        others = lines_without_bars(cells, layout, times, file.name)
    lines = tuple(line for named in others.values() for line in named)
    bars = cells.filter(~pl.col(LINE).is_in(lines)) if lines else cells
    decimal = declared.decimal or _decimal_sign(bars, layout, opened, file.name)
    dated = dates_of_rows(bars, columns, times)
    listings = find_listings(bars, layout, declared, dict(file.says), dated)
    has_midnights_of_paris = times is not None and times["paris"].any()
    first, last = first_and_last(dated)
    return Examination(
        layout=layout,
        kind=opened.kind,
        encoding=opened.encoding,
        times=times,
        form=form,
        interval=interval,
        decimal=decimal,
        listings=listings,
        sparse=tuple(sparse_symbols(bars, layout, dated, listings)) if interval in (None, "daily") else (),
        others=lines,
        counts=_count_lines(opened, others, bars.height, file.name),
        clean=_is_clean(bars, layout, dated, listings, decimal) and not has_midnights_of_paris,
        first=first,
        last=last,
        digest=(digest := digest_of()),
        file_id=identify(file.name, digest),
    )


def _count_lines(opened: Opened, others: Mapping[str, Sequence[int]], delivered: int, name: str) -> dict[str, int]:
    """What became of a file's lines, by column of `FILES`.

    Raises:
        SourceError: they are not as many as the file has.
    """
    counts = {kind: len(others.get(kind, ())) for kind in ("header", "blank", "comments", "footer")}
    counts |= {"header": counts["header"] + opened.header, "delivered": delivered}
    if (read := sum(counts.values())) != opened.lines:
        raise SourceError(
            f"{name}: {opened.lines} lines, of which {read} were read: save it anew, or split it, to find the line"
            " that hides the others"
        )
    return {"lines": opened.lines, **counts}


def _decimal_sign(bars: pl.DataFrame, layout: Layout, opened: Opened, name: str) -> str | None:
    columns = [bars[header] for header in number_columns(layout) if header in bars.columns]
    texts = [column for column in columns if column.dtype == pl.String]
    if not texts:
        return "."
    read = [column for column in columns if column.dtype == pl.Float64] if not is_typed(opened) else []
    fractions = sum(int((column.is_finite() & (column != column.floor())).sum()) for column in read)
    return detect_decimal_sign(texts, layout.separator, name, fractions)


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
