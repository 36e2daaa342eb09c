"""Bars from a folder of files, read recursively; what a file is shows in its content, not in its name.

What belongs here: the folder, and what `columns.yaml` states in it.
Kept elsewhere: compression (`contents.py`), cells (`cells.py`), names and sectors (`descriptions.py`), judging the
rows (`contracts.py`). A file that cannot be understood is one row without a line, whose `raw` says why, and which
is refused.
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
from boursomatic_assets.sources import INSTRUMENTS, NOT_UNDERSTOOD, RAW_BARS, STATED, SourceError
from boursomatic_assets.sources.files.cells import as_written, tidy
from boursomatic_assets.sources.files.contents import File, shown, unpacked
from boursomatic_assets.sources.files.descriptions import descriptions
from boursomatic_assets.sources.files.layouts import Stated
from boursomatic_assets.sources.simulated.universe import listed

NO_BARS = (STATED, ".md", ".yaml", ".yml", ".json")
"""Endings of files that are passed over, with hidden ones."""


@dataclass(frozen=True)
class Files:
    """The bars of every file in a folder and the folders below it."""

    folder: Path
    first: dt.datetime = dt.datetime.min
    """The first partition. What is older is in none: it comes with the first one, to be refused by name; and what
    is dated later than today comes with the newest."""

    name: str = "files"

    def instruments(self) -> pl.DataFrame:
        """One row per symbol and exchange of the bars, described by the instruments file, or the universe."""
        pairs = [frame.unique() for frame in self._read(pl.col("symbol").is_not_null(), "symbol", "exchange")]
        named = pl.concat(pairs).unique().drop_nulls()
        described = [descriptions(path) for path in self._paths() if path.stem == "instruments"]
        about = pl.concat([*described, listed()]).unique(["symbol", "exchange"], keep="first", maintain_order=True)
        keys = ["symbol", "exchange"]
        return named.join(about, on=keys, how="left").select(*INSTRUMENTS).sort(keys)

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of a market in [start, end); rows that name no known exchange are the first market's.

        A file that cannot be understood may hold bars of any market: each is told of it.

        Daily are all that do not say 15m: what is neither is delivered there, and refused.
        """
        mine = pl.col("exchange").is_in(market.exchanges)
        first, *others = MARKETS.values()
        if market == first:
            elsewhere = [exchange for other in others for exchange in other.exchanges]
            mine = ~pl.col("exchange").is_in(elsewhere).fill_null(False)
        older, newer = start <= self.first, end > dt.datetime.now(dt.UTC).replace(tzinfo=None)
        since, until = pl.lit(older) | (pl.col("ts") >= start), pl.lit(newer) | (pl.col("ts") < end)
        in_time = (since & until) | pl.col("ts").is_null()
        quarter_hours = pl.col("interval").eq_missing("15m")
        of_interval = quarter_hours if interval == "15m" else ~quarter_hours
        return pl.concat(self._read((mine & in_time & of_interval) | NOT_UNDERSTOOD, *RAW_BARS))

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of `bars` with `raw`: their files are read again, which costs good rows nothing."""
        lines = dict(rows.drop_nulls(["file", "line"]).group_by("file").agg("line").iter_rows())
        found = [
            _collected(as_written(file, self._stated(file.name), lines[file.name]), file)
            for file in self._files(lines)
            if file.name in lines
        ]
        if not found:
            return rows
        keys = ["file", "line", "symbol"]
        told = pl.concat(found).unique(keys).rename({"raw": "told"})
        joined = rows.join(told, on=keys, how="left", nulls_equal=True, maintain_order="left")
        return joined.with_columns(raw=pl.coalesce("raw", "told")).drop("told")

    def _read(self, wanted: pl.Expr, *names: str) -> list[pl.DataFrame]:
        """The wanted rows of each file, with the columns of these names: no other is read or made.

        Raises:
            SourceError: there is no file, or none of them can be understood.
        """
        frames, errors = [], []
        for file in self._files():
            try:
                frames.append(_collected(tidy(file, self._stated(file.name), names).filter(wanted), file))
            except SourceError as error:  # becomes a row that is refused with this reason
                errors.append((file.name, str(error)))
        if not frames:
            raise SourceError(errors[0][1] if errors else f"{self.folder} holds no file with bars")
        if errors:
            frames.append(_not_understood(errors).filter(wanted).select(names))
        return frames

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder} is no folder: set BOURSOMATIC_FILES to the folder with the bars")
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(
            self.folder / path for path in filter(shown, found) if not path.name.lower().endswith(NO_BARS)
        )

    def _files(self, names: Collection[str] | None = None) -> Iterator[File]:
        """The files with bars; of these names, packed or in an archive of that name, if any are given."""
        asked = (
            None if names is None else {str(part) for n in names for part in (PurePath(n), *PurePath(n).parents)}
        )
        for path in self._paths():
            name = str(path.relative_to(self.folder))
            if path.stem != "instruments" and (asked is None or name in asked):
                stat = path.stat()
                yield from unpacked(File(name, path, stat.st_size, stat.st_mtime_ns))

    def _stated(self, name: str) -> Stated:
        """What the first fitting pattern of `columns.yaml` says of a file."""
        return next((stated for pattern, stated in _statements(self.folder) if fnmatch(name, pattern)), Stated())


def _statements(folder: Path) -> list[tuple[str, Stated]]:
    path = folder / STATED
    if not path.is_file():
        return []
    try:
        told = yaml.safe_load(path.read_text()) or {}
        return [
            (pattern, replace(Stated(**said), columns=tuple(said.get("columns", {}).items())))
            for pattern, said in told.items()
        ]
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        known = "columns, dates, zone, symbol, exchange, interval"
        raise SourceError(f"{STATED}: wanted a pattern of file names with {known} below it: {error}") from None


def _collected(rows: pl.LazyFrame, file: File) -> pl.DataFrame:
    """A file's rows; what only shows when they are read, such as a line with too many cells, names the file."""
    try:
        return rows.collect()
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{file.name}: cannot be read: {str(error).splitlines()[0]}") from None


def _not_understood(errors: list[tuple[str, str]]) -> pl.DataFrame:
    """A row for each file that could not be read, which the contract refuses."""
    told = [dict.fromkeys(RAW_BARS) | {"file": name, "raw": json.dumps({"error": why})} for name, why in errors]
    return pl.DataFrame(told, schema=RAW_BARS)
