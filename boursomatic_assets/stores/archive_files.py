"""The archive's files: 15m bars as Parquet, one file per date and market.

What belongs here: their paths, writing, reading and listing them.
Kept elsewhere: when bars are archived and restored (`tables/archive.py`).

Files lie at `date=2024-06-10/market=US/bars.parquet` under the archive's folder, and name instruments by symbol
and exchange, so that any tool can read them.
"""

import io
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from boursomatic_assets import settings
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.stores import atomic_files, folders

COLUMNS = ("symbol", "exchange", "ts", *"ohlcv", "interval", "created_at", "updated_at", "file_id", "line")

LATER_COLUMNS = {"updated_at": pl.Datetime("us"), "file_id": pl.Int64(), "line": pl.Int32()}
"""Columns that older files do not have, with their types; they are read as null."""

KNOWN_FROM = pl.coalesce("updated_at", "created_at")
"""Since when an archived bar is known as it is."""


def archived_sessions(part: Slice) -> list[Slice]:
    """The sessions of a slice that have a file, each as a slice of its own."""
    return [session for session in part.chunks(1) if (settings.archive() / _name(session)).exists()]


def read(part: Slice, columns: tuple[str, ...] = COLUMNS) -> pl.DataFrame:
    """The archived bars of a session that has a file.

    Raises:
        ValueError: its file cannot be parsed.
    """
    path = _path(part)
    try:
        missing = LATER_COLUMNS.keys() - pl.read_parquet_schema(path).keys()
        present = [name for name in columns if name not in missing]
        bars = pl.read_parquet(path, columns=present, hive_partitioning=False)
    except PolarsError as error:
        raise ValueError(f"{path} cannot be read: bring it back from a backup ({error})") from error
    return bars.with_columns(pl.lit(None, LATER_COLUMNS[name]).alias(name) for name in missing).select(columns)


def write(part: Slice, bars: pl.DataFrame) -> None:
    """Write a session's file durably, and its folders.

    Raises:
        OSError: it cannot be written, or differs when it is read back; an existing file stays then.
    """
    path, bars = _path(part), bars.select(COLUMNS).sort("exchange", "symbol", "ts")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    bars.write_parquet(content)
    if not pl.read_parquet(io.BytesIO(content.getvalue()), hive_partitioning=False).equals(bars):
        raise OSError(f"{path}: the bars do not survive being written as Parquet")
    atomic_files.write(path, content.getvalue())
    for folder in (path.parent.parent, settings.archive(), settings.archive().parent):
        atomic_files.sync_folder(folder)


def _path(part: Slice) -> Path:
    """The path of a session's file.

    Raises:
        OutsideError: a link on the way leaves the archive's folder.
    """
    return folders.inside(settings.archive(), _name(part))


def _name(part: Slice) -> str:
    return f"date={part.dates[0]}/market={part.market.name}/bars.parquet"
