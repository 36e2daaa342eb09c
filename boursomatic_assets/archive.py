"""15m bars that are older than the table keeps: moved to Parquet, and read back.

What belongs here: which sessions are due, the move itself, and the way back. Daily bars are never touched.
Kept elsewhere: when it is done (`assets/archive_15m.py`, `automation.py`).

Files lie at `date=2024-06-10/market=US/bars.parquet` under the archive's folder, and name instruments by symbol
and exchange, so that any tool can read them. A file is complete before a row goes: a crash leaves bars in both
places, never in none.
"""

import datetime as dt
import io
import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import database, durable, merging
from boursomatic_assets.markets import MARKETS, market_named
from boursomatic_assets.slices import Slice, slices_of
from boursomatic_assets.staging import bounds, lock
from boursomatic_assets.tables import GRAINS, INSTRUMENTS, read, read_table

RETENTION = dt.timedelta(days=30)
GRAIN = GRAINS["price_bars_15m"]
COLUMNS = ("symbol", "exchange", "ts", *"ohlcv", "interval", "created_at")


@dataclass(frozen=True)
class Moved:
    """A session whose bars went from one place to the other."""

    part: Slice
    bars: int


def folder() -> Path:
    """Where archived bars lie: BOURSOMATIC_ARCHIVE, else `archive` in the home folder."""
    chosen = os.environ.get("BOURSOMATIC_ARCHIVE")
    return Path(chosen) if chosen else database.home() / "archive"


def due(today: dt.date) -> dt.date:
    """The first date whose bars stay in the table."""
    return today - RETENTION


def retire(today: dt.date) -> list[Moved]:
    """Archive the bars of every session that is older than RETENTION, and take them out of the table."""
    with database.engine().connect() as connection:
        parts = _sessions_before(connection, due(today))
    return [moved for moved in map(_retire, parts) if moved.bars]


def restore(market: str, start: dt.date, end: dt.date) -> list[Moved]:
    """Put archived bars back into the table; they stay in the archive.

    Raises:
        ValueError: the range is empty, or nothing is archived for these dates.
    """
    if start > end:
        raise ValueError(f"the range is empty: {start} is after {end}")
    dates = [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
    parts = [Slice(market_named(market), (date,)) for date in dates if _file(market, date).exists()]
    if not parts:
        raise ValueError(f"nothing of {market} is archived from {start} to {end} in {folder()}")
    return [_restore(part) for part in parts]


def dates(market: str, asked: list[dt.date]) -> list[dt.date]:
    """Those of some dates of a market whose bars are in the archive; restored ones are still there."""
    return [date for date in asked if _file(market, date).exists()]


def _sessions_before(connection: Connection, date: dt.date) -> list[Slice]:
    query = text(
        "SELECT DISTINCT i.exchange, b.ts::date AS session FROM price_bars b"
        " JOIN instruments i ON i.id = b.instrument_id WHERE b.interval = '15m' AND b.ts < :date"
    )
    rows = connection.execute(query, {"date": date}).all()
    return [
        part
        for market in MARKETS.values()
        for session in sorted({row.session for row in rows if row.exchange in market.exchanges})
        for part in slices_of(market, [session])
    ]


def _retire(part: Slice) -> Moved:
    with database.engine().begin() as connection:
        lock(connection, GRAIN.table.name, part)
        listed = read_table(INSTRUMENTS).select("symbol", "exchange", instrument_id="id")
        names = ("instrument_id", *COLUMNS[2:])
        bars = read(GRAIN, part, names).join(listed, on="instrument_id").select(COLUMNS)
        if bars.is_empty():  # an evening's bars, dated after midnight, went with their session
            return Moved(part, 0)
        path = _file(part.market.name, part.dates[0])
        if path.exists():  # restored, or delivered again: what is in the table is newer
            known = pl.read_parquet(path, hive_partitioning=False)
            bars = pl.concat([bars, known]).unique(["symbol", "exchange", "ts"], keep="first")
        _write(bars.sort("exchange", "symbol", "ts"), path)
        gone = connection.execute(
            text(
                "DELETE FROM price_bars b USING instruments i WHERE i.id = b.instrument_id AND b.interval = '15m'"
                " AND b.ts >= :start AND b.ts < :end AND i.exchange = ANY(:exchanges)"
            ),
            bounds(part),
        )
        return Moved(part, gone.rowcount)


def _restore(part: Slice) -> Moved:
    archived = pl.read_parquet(_file(part.market.name, part.dates[0]), hive_partitioning=False)
    listed = read_table(INSTRUMENTS).select("symbol", "exchange", instrument_id="id")
    bars = archived.join(listed, on=["symbol", "exchange"]).drop("symbol", "exchange")
    with database.engine().begin() as connection:
        merge = merging.replace(connection, GRAIN, part, bars)
    return Moved(part, merge.inserted + merge.changed)


def _file(market: str, date: dt.date) -> Path:
    return folder() / f"date={date}" / f"market={market}" / "bars.parquet"


def _write(bars: pl.DataFrame, path: Path) -> None:
    """Write a file, and the folders it lies in, so that they outlive any crash.

    Raises:
        OSError: it cannot be written, or would not read back as it is; the file that was there stays then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    bars.write_parquet(content)
    if not pl.read_parquet(io.BytesIO(content.getvalue()), hive_partitioning=False).equals(bars):
        raise OSError(f"{path}: the bars do not survive being written as Parquet")
    durable.write(path, content.getvalue())
    for place in (path.parent.parent, folder(), folder().parent):
        durable.sync(place)
