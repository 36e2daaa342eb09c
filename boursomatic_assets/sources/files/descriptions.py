"""Descriptions of instruments: an `instruments.parquet` or `instruments.csv` beside the bars.

What belongs here: its columns. Kept elsewhere: which instruments there are (`source.py`), what a bucket is
(`schema/buckets.py`).
"""

from pathlib import Path

import polars as pl

from boursomatic_assets.schema import buckets
from boursomatic_assets.sources import INSTRUMENTS, SourceError


def read_descriptions(path: Path) -> pl.DataFrame:
    """The file with the columns of `INSTRUMENTS`; those that it lacks are null.

    Buckets come from their own column, or else from the numbers of `market_cap` and `pe`.

    Raises:
        SourceError: naming the file, and what it lacks or which bucket is none.
    """
    try:
        rows = (
            pl.read_parquet(path) if path.suffix.lower() == ".parquet" else pl.read_csv(path, infer_schema=False)
        )
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{path.name}: cannot be read: {str(error).splitlines()[0]}") from None
    if missing := {"symbol", "exchange"} - set(rows.columns):
        raise SourceError(f"{path.name}: the columns {sorted(missing)} are missing; found {rows.columns}")
    for bucket in set(buckets.LOWER_BOUNDS) & set(rows.columns):
        unknown = rows.filter(pl.col(bucket).is_not_null() & buckets.from_names(pl.col(bucket), bucket).is_null())
        if unknown.height:
            raise SourceError(
                f"{path.name}: {bucket} is {unknown[bucket][0]!r} for {unknown['symbol'][0]}:"
                f" wanted {', '.join(buckets.LOWER_BOUNDS[bucket])}, or nothing"
            )
    return rows.select(_describe(rows.columns, name).alias(name) for name in INSTRUMENTS)


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
