"""Bars from a folder of files, read recursively; what a file is shows in its content, not in its name.

What belongs here: the folder, and what `columns.yaml` states in it.
Kept elsewhere: compression (`contents.py`), cells (`cells.py`), names and sectors (`descriptions.py`), which bars
are valid (`quality/contract.py`). A file that cannot be read becomes one row without a line, whose `raw` says why,
and which is rejected.
"""

import datetime as dt
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePath

import polars as pl
import yaml

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import (
    DECLARATIONS_FILE,
    FILES,
    INSTRUMENTS,
    RAW_BARS,
    UNREADABLE_FILE,
    SourceError,
)
from boursomatic_assets.sources.files.cells import read_raw_bars, rows_as_json
from boursomatic_assets.sources.files.contents import File, is_user_file, unpack
from boursomatic_assets.sources.files.descriptions import read_descriptions
from boursomatic_assets.sources.files.layouts import Declaration
from boursomatic_assets.sources.files.rereading import read_again
from boursomatic_assets.sources.simulated.universe import read_universe

IGNORED_ENDINGS = (DECLARATIONS_FILE, ".md", ".yaml", ".yml", ".json")
"""Endings of files that are passed over, with hidden ones."""


@dataclass(frozen=True)
class Files:
    """The bars of every file in a folder and the folders below it."""

    folder: Path
    first_partition: dt.datetime = dt.datetime.min
    """The first partition. What is older is in none: it comes with the first one, to be rejected with a reason;
    and what is dated later than today comes with the newest."""

    name: str = "files"

    def instruments(self) -> pl.DataFrame:
        """One row per symbol and exchange of the bars, described by the instruments file, or the universe."""
        pairs = [
            frame.unique() for frame in self._read_files(pl.col("symbol").is_not_null(), "symbol", "exchange")
        ]
        named = pl.concat(pairs).unique().drop_nulls()
        described = [read_descriptions(path) for path in self._paths() if path.stem == "instruments"]
        about = pl.concat([*described, read_universe()]).unique(
            ["symbol", "exchange"], keep="first", maintain_order=True
        )
        keys = ["symbol", "exchange"]
        return named.join(about, on=keys, how="left").select(*INSTRUMENTS).sort(keys)

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of a market in [start, end); rows that name no known exchange are the first market's.

        A file that cannot be read may hold bars of any market, so its row is delivered for each.

        All bars that do not say 15m count as daily: other intervals are delivered there, and rejected.
        """
        of_market = pl.col("exchange").is_in(market.exchanges)
        first, *others = MARKETS.values()
        if market == first:
            elsewhere = [exchange for other in others for exchange in other.exchanges]
            of_market = ~pl.col("exchange").is_in(elsewhere).fill_null(False)
        older, newer = start <= self.first_partition, end > dt.datetime.now(dt.UTC).replace(tzinfo=None)
        since, until = pl.lit(older) | (pl.col("ts") >= start), pl.lit(newer) | (pl.col("ts") < end)
        in_time = (since & until) | pl.col("ts").is_null()
        is_15m = pl.col("interval").eq_missing("15m")
        of_interval = is_15m if interval == "15m" else ~is_15m
        return pl.concat(self._read_files((of_market & in_time & of_interval) | UNREADABLE_FILE, *RAW_BARS))

    def files(self) -> pl.DataFrame:
        """What became of the lines of each file, with the columns of `FILES`."""
        return pl.DataFrame(schema=FILES)

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of `bars` with `raw`: their files are read again, which costs good rows nothing."""
        lines = dict(rows.drop_nulls(["file", "line"]).group_by("file").agg("line").iter_rows())
        found = [
            _collect(rows_as_json(file, self._declaration_of(file.name), lines[file.name]), file)
            for file in self._files(lines)
            if file.name in lines
        ]
        if not found:
            return rows
        keys = ["file", "line", "symbol"]
        told = pl.concat(found).unique(keys).rename({"raw": "told"})
        joined = rows.join(told, on=keys, how="left", nulls_equal=True, maintain_order="left")
        return joined.with_columns(raw=pl.coalesce("raw", "told")).drop("told")

    def read_again(self, rejected: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows as raw bars, read from their cells, with the columns of `raw_rows.READ_AGAIN`."""
        return read_again(rejected, self._declaration_of)

    def _read_files(self, wanted: pl.Expr, *names: str) -> list[pl.DataFrame]:
        """The wanted rows of each file, with the columns of these names: no other is read or made.

        Raises:
            SourceError: there is no file, or none of them can be understood.
        """
        frames, errors = [], []
        for file in self._files():
            try:
                frames.append(
                    _collect(read_raw_bars(file, self._declaration_of(file.name), names).filter(wanted), file)
                )
            except SourceError as error:  # becomes a row that is rejected with this reason
                errors.append((file.name, str(error)))
        if not frames:
            raise SourceError(errors[0][1] if errors else f"{self.folder} holds no file with bars")
        if errors:
            frames.append(_rows_of_unreadable_files(errors).filter(wanted).select(names))
        return frames

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder} is no folder: set BOURSOMATIC_FILES to the folder with the bars")
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(
            self.folder / path
            for path in filter(is_user_file, found)
            if not path.name.lower().endswith(IGNORED_ENDINGS)
        )

    def _files(self, names: Collection[str] | None = None) -> Iterator[File]:
        """The files with bars; of these names, packed or in an archive of that name, if any are given."""
        archives = (
            None if names is None else {str(part) for n in names for part in (PurePath(n), *PurePath(n).parents)}
        )
        for path in self._paths():
            name = str(path.relative_to(self.folder))
            if path.stem != "instruments" and (archives is None or name in archives):
                stat = path.stat()
                yield from unpack(File(name, path, stat.st_size, stat.st_mtime_ns))

    def _declaration_of(self, name: str) -> Declaration:
        """What the first fitting pattern of `columns.yaml` says of a file."""
        return next(
            (declared for pattern, declared in _read_declarations(self.folder) if fnmatch(name, pattern)),
            Declaration(),
        )


def _read_declarations(folder: Path) -> list[tuple[str, Declaration]]:
    path = folder / DECLARATIONS_FILE
    if not path.is_file():
        return []
    try:
        told = yaml.safe_load(path.read_text()) or {}
        return [
            (pattern, replace(Declaration(**said), columns=tuple(said.get("columns", {}).items())))
            for pattern, said in told.items()
        ]
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        known = "columns, dates, zone, symbol, exchange, interval"
        raise SourceError(
            f"{DECLARATIONS_FILE}: wanted a pattern of file names with {known} below it: {error}"
        ) from None


def _collect(rows: pl.LazyFrame, file: File) -> pl.DataFrame:
    """A file's rows; what only shows when they are read, such as a line with too many cells, names the file."""
    try:
        return rows.collect()
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{file.name}: cannot be read: {str(error).splitlines()[0]}") from None


def _rows_of_unreadable_files(errors: list[tuple[str, str]]) -> pl.DataFrame:
    """A row for each file that could not be read, which the contract rejects."""
    rows = [dict.fromkeys(RAW_BARS) | {"file": name, "raw": json.dumps({"error": why})} for name, why in errors]
    return pl.DataFrame(rows, schema=RAW_BARS)
