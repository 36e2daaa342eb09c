"""The archive's files as Parquet: 15m bars by date and market, rows of other tables by year and market.

What belongs here: their names, and their content as frames.
Kept elsewhere: which file stands for which rows (`tables/archive/files.py`), when rows are moved and put back
(`tables/archive/`).

15m bars lie at `date=2024-06-10/market=US/<SHA-256>.parquet`, and name instruments by symbol and exchange, so that
any tool can read them. A year lies at `asset=features/year=2005/market=US/<SHA-256>.parquet`, with the columns of
its table, so that nothing of a row is lost.
"""

import io
from collections.abc import Sequence
from typing import IO

import polars as pl
from polars.exceptions import PolarsError

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.stores.store import DamagedError, MissingError, Store, StoreError, digest_in, sha256

COLUMNS = ("symbol", "exchange", "ts", *"ohlcv", "interval", "created_at", "updated_at", "file_id", "line")

LATER_COLUMNS = {"updated_at": pl.Datetime("us"), "file_id": pl.Int64(), "line": pl.Int32()}
"""Columns that older files do not have, with their types; they are read as null."""

KNOWN_FROM = pl.coalesce("updated_at", "created_at")
"""Since when an archived bar is known as it is."""

ROWS_PER_GROUP = 20_000
"""Rows that are read or passed over together: of a year's file a reader wants some sessions."""


class ArchiveFileError(StoreError):
    """A file that a row names is missing, or is not as it was written."""


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
    return _to_parquet(bars.select(COLUMNS).sort("exchange", "symbol", "ts"))


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


def name_of_year(asset: str, year: int, market: str, content: bytes) -> str:
    """The name of the file of a year with this content."""
    return f"asset={asset}/year={year}/market={market}/{sha256(content)}.parquet"


def to_piece(rows: pl.DataFrame) -> bytes:
    """A piece of a year's file: some rows, sorted by time and instrument.

    Raises:
        OSError: They differ when they are read back.
    """
    return _to_parquet(rows.sort("ts", "instrument_id"))


def to_file(pieces: Sequence[bytes]) -> bytes:
    """The file of a year from its pieces, in their order; a year as frames takes ten times the memory.

    Raises:
        OSError: Rows differ when they are read back.
    """
    sources: list[IO[bytes]] = [*map(io.BytesIO, pieces)]
    file, start = io.BytesIO(), 0
    pl.scan_parquet(sources, hive_partitioning=False).sink_parquet(file, row_group_size=ROWS_PER_GROUP)
    content = file.getvalue()
    for piece in pieces:
        rows = scan(piece).collect()
        _require_equal(scan(content).slice(start, rows.height).collect(), rows)
        start += rows.height
    return content


def scan(content: bytes) -> pl.LazyFrame:
    """The rows of a file of a year."""
    return pl.scan_parquet(io.BytesIO(content), hive_partitioning=False)


def read(store: Store, name: str) -> bytes:
    """The content of a file that a row names.

    Raises:
        ArchiveFileError: It is missing, or is not as it was written.
        StoreError: The store is away, or refuses.
    """
    try:
        return store.read(name)
    except (MissingError, DamagedError) as error:
        raise ArchiveFileError(f"{error}: put files/{digest_in(name)} of a backup in its place") from None


def _to_parquet(rows: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    rows.write_parquet(file, row_group_size=ROWS_PER_GROUP)
    content = file.getvalue()
    _require_equal(scan(content).collect(), rows)
    return content


def _require_equal(read: pl.DataFrame, written: pl.DataFrame) -> None:
    if not read.equals(written):
        raise OSError("rows do not survive being written as Parquet: they stay in the table")
