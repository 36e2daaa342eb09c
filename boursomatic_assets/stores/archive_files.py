"""The archive's files: 15m bars as Parquet, one file per date and market.

What belongs here: their names, and their content as frames.
Kept elsewhere: which file stands for which session (`tables/archive/files.py`), when bars are archived and
restored (`tables/archive/moving.py`).

Files lie at `date=2024-06-10/market=US/<SHA-256>.parquet`, and name instruments by symbol and exchange, so that
any tool can read them.
"""

import io

import polars as pl
from polars.exceptions import PolarsError

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.stores.store import sha256

COLUMNS = ("symbol", "exchange", "ts", *"ohlcv", "interval", "created_at", "updated_at", "file_id", "line")

LATER_COLUMNS = {"updated_at": pl.Datetime("us"), "file_id": pl.Int64(), "line": pl.Int32()}
"""Columns that older files do not have, with their types; they are read as null."""

KNOWN_FROM = pl.coalesce("updated_at", "created_at")
"""Since when an archived bar is known as it is."""


def folder_of(part: Slice) -> str:
    """What the name of a session's file begins with."""
    return f"date={part.dates[0]}/market={part.market.name}/"


def name_of(part: Slice, content: bytes) -> str:
    """The name of a session's file with this content."""
    return f"{folder_of(part)}{sha256(content)}.parquet"


def to_content(bars: pl.DataFrame) -> bytes:
    """The file of some bars, sorted.

    Raises:
        OSError: They differ when they are read back.
    """
    bars, content = bars.select(COLUMNS).sort("exchange", "symbol", "ts"), io.BytesIO()
    bars.write_parquet(content)
    if not pl.read_parquet(io.BytesIO(content.getvalue()), hive_partitioning=False).equals(bars):
        raise OSError("bars do not survive being written as Parquet: they stay in the table")
    return content.getvalue()


def to_bars(content: bytes, columns: tuple[str, ...] = COLUMNS) -> pl.DataFrame:
    """The bars of a file.

    Raises:
        ValueError: It cannot be parsed.
    """
    try:
        missing = LATER_COLUMNS.keys() - pl.read_parquet_schema(io.BytesIO(content)).keys()
        present = [name for name in columns if name not in missing]
        bars = pl.read_parquet(io.BytesIO(content), columns=present, hive_partitioning=False)
    except PolarsError as error:
        raise ValueError(f"it is no Parquet file of bars ({str(error).splitlines()[0]})") from error
    return bars.with_columns(pl.lit(None, LATER_COLUMNS[name]).alias(name) for name in missing).select(columns)
