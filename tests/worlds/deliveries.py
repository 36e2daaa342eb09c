"""Deliveries for tests: a folder of files, the bars that are read of it, and what is told of each file."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import RAW_BARS, UNREADABLE_FILE, SourceError
from boursomatic_assets.sources.files.source import Files

HEADER = "Date,Open,High,Low,Close,Volume\n"
ROW = "2024-06-13,10,12,9,11,500\n"
NEXT_ROW = "2024-06-14,11,13,10,12,600\n"

EARLIEST, LATEST = dt.datetime.min, dt.datetime.max


def deliver(folder: Path, files: Mapping[str, str | bytes | pl.DataFrame], declared: str = "") -> Files:
    """The source of a folder with these files: text, bytes, or frames as Parquet; `declared` is columns.yaml."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    if declared:
        (folder / "columns.yaml").write_text(declared)
    return Files(folder)


def everything(source: Files) -> pl.DataFrame:
    """All rows of both markets and intervals, each with its raw form, and no row for a file that is not read."""
    found = [pl.DataFrame(schema=RAW_BARS)]
    for market in MARKETS.values():
        for interval in ("daily", "15m"):
            try:
                found.append(source.bars(market, EARLIEST, LATEST, interval))
            except SourceError:  # no file can be read: `told` says why
                continue
    return source.with_raw(pl.concat(found).filter(~UNREADABLE_FILE))


def sound(source: Files) -> pl.DataFrame:
    """The rows that can be read, in order: symbol, exchange, ts, o, h, l, c, v."""
    rows = everything(source).filter(pl.col("fault").is_null())
    return rows.select("symbol", "exchange", "ts", *"ohlcv").sort("symbol", "ts", "exchange")


def faults(source: Files) -> dict[int, str]:
    """Why rows cannot be read, by line."""
    return dict(everything(source).drop_nulls("fault").sort("line").select("line", "fault").iter_rows())


def report(source: Files, file: str) -> dict[str, Any]:
    """What became of a file's lines: the row of `Files.files`, without its names and what is null, false or 0."""
    row = source.files().row(by_predicate=pl.col("file") == file, named=True)
    return {name: value for name, value in row.items() if value and name not in ("file", "file_id", "digest")}


def problems(source: Files) -> dict[str, str]:
    """What is told of files that are not read."""
    return dict(source.files().drop_nulls("problem").select("file", "problem").iter_rows())
