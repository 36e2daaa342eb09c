"""Bars from a folder of tidy files, read recursively.

What belongs here: Parquet and CSV in the layout `symbol, exchange, ts, o, h, l, c, v, interval`, and an
optional `instruments.parquet` or `instruments.csv` with names and sectors.
Kept elsewhere: judging the rows (`contracts.py`). A cell that cannot be read becomes null, and is refused
there with the row as it stood.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from boursomatic_assets.markets import MARKETS, Market
from boursomatic_assets.sources import INSTRUMENTS, RAW_BARS, SourceError

LAYOUT = ("symbol", "exchange", "ts", "o", "h", "l", "c", "v", "interval")
TIME_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f")


@dataclass(frozen=True)
class Files:
    """The bars of every file in a folder and the folders below it."""

    folder: Path
    name: str = "files"

    def instruments(self) -> pl.DataFrame:
        """One row per symbol and exchange of the bars, described by the instruments file if there is one."""
        pairs = [_read(name, file.select("symbol", "exchange")) for name, file in self._bars()]
        named = pl.concat(pairs).unique().drop_nulls().lazy()
        described = [_descriptions(path) for path in self._paths() if path.stem == "instruments"]
        empty = pl.LazyFrame(schema=INSTRUMENTS)
        about = pl.concat([*described, empty]).unique(["symbol", "exchange"], keep="first")
        keys = ["symbol", "exchange"]
        return named.join(about, on=keys, how="left").select(*INSTRUMENTS).sort(keys).collect()

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
        """Bars of a market in [start, end); rows that name no known exchange are the first market's."""
        known = [exchange for other in MARKETS.values() for exchange in other.exchanges]
        mine = pl.col("exchange").is_in(market.exchanges)
        if market == next(iter(MARKETS.values())):
            mine = mine | ~pl.col("exchange").is_in(known) | pl.col("exchange").is_null()
        in_time = pl.col("ts").is_between(start, end, closed="left") | pl.col("ts").is_null()
        daily = pl.col("interval").ne_missing("15m")
        return pl.concat([_read(name, file.filter(mine & in_time & daily)) for name, file in self._bars()])

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder} is no folder: set BOURSOMATIC_FILES to the folder with the bars")
        return sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in (".parquet", ".csv"))

    def _bars(self) -> Iterator[tuple[str, pl.LazyFrame]]:
        paths = [path for path in self._paths() if path.stem != "instruments"]
        if not paths:
            raise SourceError(f"{self.folder} holds no .parquet or .csv file with bars")
        names = [str(path.relative_to(self.folder)) for path in paths]
        return ((name, _tidy(path, name)) for path, name in zip(paths, names, strict=True))


def _tidy(path: Path, name: str) -> pl.LazyFrame:
    """One file with the columns of `RAW_BARS`."""
    file, names = _scan(path, name)
    if missing := [column for column in LAYOUT if column not in names]:
        raise SourceError(f"{name}: the columns {missing} are missing; found {names}, wanted {list(LAYOUT)}")
    first_line = 2 if path.suffix.lower() == ".csv" else 1
    return (
        file.with_columns(raw=pl.struct(LAYOUT).struct.json_encode())
        .with_row_index("line", offset=first_line)
        .with_columns(
            pl.col("symbol", "exchange", "interval").cast(pl.String),
            pl.col(*"ohlcv").cast(pl.Float64, strict=False),
            pl.col("line").cast(pl.Int64),
            ts=_time(file.collect_schema()["ts"]),
            file=pl.lit(name),
        )
        .select(*RAW_BARS)
    )


def _read(name: str, rows: pl.LazyFrame) -> pl.DataFrame:
    """A file's rows; what only shows when they are read, such as a line with too many cells, names the file."""
    try:
        return rows.collect()
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{name}: cannot be read: {str(error).splitlines()[0]}") from None


def _scan(path: Path, name: str) -> tuple[pl.LazyFrame, list[str]]:
    """A file, its cells as they stand: CSV is read as text, so that nothing is guessed."""
    try:
        file = (
            pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy")
            if path.suffix.lower() == ".csv"
            else pl.scan_parquet(path)
        )
        return file, file.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{name}: cannot be read as {path.suffix[1:]}: {str(error).splitlines()[0]}") from None


def _time(kind: pl.DataType) -> pl.Expr:
    """The time stamp as naive UTC; ISO dates and times only, anything else is null."""
    if kind == pl.String:
        return pl.coalesce(
            pl.col("ts").str.to_datetime(form, strict=False, time_unit="us") for form in TIME_FORMATS
        )
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return pl.col("ts").dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.cast_time_unit("us")
    known = isinstance(kind, pl.Date | pl.Datetime)  # a bare number has no unit: it would fall into 1970
    return pl.col("ts").cast(pl.Datetime("us")) if known else pl.lit(None, pl.Datetime("us"))


def _descriptions(path: Path) -> pl.LazyFrame:
    """An instruments file with the columns of `INSTRUMENTS`; those that it lacks are null."""
    file, names = _scan(path, path.name)
    if missing := {"symbol", "exchange"} - set(names):
        raise SourceError(f"{path.name}: the columns {sorted(missing)} are missing; found {names}")
    return file.select(
        (pl.col(name) if name in names else pl.lit(None)).cast(pl.String).alias(name) for name in INSTRUMENTS
    )
