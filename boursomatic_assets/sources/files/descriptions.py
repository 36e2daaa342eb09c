"""Descriptions of instruments: an `instruments.parquet` or `instruments.csv` beside the bars.

What belongs here: its columns. Kept elsewhere: which instruments there are (`source.py`), what a bucket is
(`schema/buckets.py`).

The file is optional: one that cannot be read is told, and left out.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import polars.selectors as cs

from boursomatic_assets.schema import buckets
from boursomatic_assets.sources import INSTRUMENTS, SourceError
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.formats.text import read_text, split_records
from boursomatic_assets.sources.files.formats.typed import kind_of, read_typed
from boursomatic_assets.sources.files.scan import UNREADABLE
from boursomatic_assets.sources.symbols import read_listing_of

_log = logging.getLogger(__name__)

LENGTHS = {"name": 255, "sector": 100}
"""Characters of the columns of `instruments`; what is longer is cut."""


@dataclass(frozen=True)
class Descriptions:
    """What such a file says.

    Attributes:
        rows: with the columns of `INSTRUMENTS`; those that the file lacks are null.
        recognised: what the file is, and what was cut.
        problem: why it cannot be read.
        counts: what became of its lines, by column of `FILES`.
    """

    rows: pl.DataFrame
    recognised: str | None = None
    problem: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


def read_descriptions(file: File) -> Descriptions:
    """The descriptions of a file; none if it cannot be read, and the report says why."""
    try:
        cells, counts = _read_cells(file)
        rows = _describe_all(cells, file.name)
    except SourceError as error:  # it is the report
        return Descriptions(pl.DataFrame(schema=INSTRUMENTS), problem=str(error))
    except UNREADABLE as error:  # it is the report too
        _log.debug("%s cannot be read: %s", file.name, error)
        reason = "it is damaged, or its columns hold neither text nor numbers"
        return Descriptions(pl.DataFrame(schema=INSTRUMENTS), problem=f"{file.name}: cannot be read: {reason}")
    cut = {name: int((rows[name].str.len_chars() > most).sum()) for name, most in LENGTHS.items()}
    notes = [f"{n} cells of {name} cut to {LENGTHS[name]} characters" for name, n in cut.items() if n]
    recognised = ", ".join(["descriptions of instruments", *notes])
    shortened = rows.with_columns(pl.col(name).str.slice(0, most) for name, most in LENGTHS.items())
    return Descriptions(shortened, recognised, counts={"delivered": cells.height, **counts})


def _read_cells(file: File) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of the file, headers in small letters, and the counts of its lines.

    Raises:
        SourceError: naming the file, and why it cannot be read.
    """
    if kind_of(file.read()):
        rows = read_typed(file).with_columns(cs.categorical().cast(pl.String))
        return rows.rename(dict(zip(rows.columns, _names(rows.columns, file), strict=True))), {
            "lines": rows.height
        }
    lines = read_text(file).content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    separator = max(",;\t|", key=lines[0].count)
    (_, headers), *records = split_records(lines, separator, lines[0].count(separator) + 1)
    names = _names(headers, file)
    filled = [cells for _, cells in records if any(cell.strip() for cell in cells)]
    cells = [dict(zip(names, (cell.strip() or None for cell in record), strict=False)) for record in filled]
    counts = {"lines": 1 + len(records), "header": 1, "blank": len(records) - len(filled)}
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String())), counts


def _names(headers: Sequence[str], file: File) -> list[str]:
    names = [header.strip().lower() for header in headers]
    if len(set(names)) < len(names):
        raise SourceError(f"{file.name}: two columns have the same name; found {', '.join(names[:30])}")
    return names


def _describe_all(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """The rows with the columns of `INSTRUMENTS`, symbols and exchanges as the platform names them.

    Buckets come from their own column, or else from the numbers of `market_cap` and `pe`.

    Raises:
        SourceError: naming the file, and what it lacks or which bucket is none.
    """
    if missing := {"symbol", "exchange"} - set(rows.columns):
        lacking, found = ", ".join(sorted(missing)), ", ".join(rows.columns[:30])
        raise SourceError(f"{name}: no column is called {lacking}; found {found}")
    for bucket in set(buckets.LOWER_BOUNDS) & set(rows.columns):
        unknown = rows.filter(pl.col(bucket).is_not_null() & buckets.from_names(pl.col(bucket), bucket).is_null())
        if unknown.height:
            raise SourceError(
                f"{name}: {bucket} is {unknown[bucket][0]!r} for {unknown['symbol'][0]}:"
                f" wanted {', '.join(buckets.LOWER_BOUNDS[bucket])}, or nothing"
            )
    described = rows.select(_describe(rows.columns, column).alias(column) for column in INSTRUMENTS)
    pairs = described.select("symbol", "exchange").rows()
    listings = [read_listing_of(symbol, exchange) if symbol else None for symbol, exchange in pairs]
    return described.with_columns(
        symbol=pl.Series([one and one.symbol for one in listings], dtype=pl.String),
        exchange=pl.Series([one and one.exchange for one in listings], dtype=pl.String),
    )


def _describe(columns: list[str], name: str) -> pl.Expr:
    """A column of `INSTRUMENTS`, from a file with these columns."""
    candidates = [pl.lit(None, pl.String)]
    if name in columns:
        cells = pl.col(name)
        candidates.append(
            buckets.from_names(cells, name) if name in buckets.LOWER_BOUNDS else cells.cast(pl.String)
        )
    if (number := buckets.NUMERIC_COLUMNS.get(name)) in columns:
        candidates.append(buckets.from_numbers(pl.col(number), name))
    return pl.coalesce(candidates)
