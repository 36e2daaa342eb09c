"""Bars from a folder of files, read recursively; what a file is shows in its content.

What belongs here: the source `files`: which rows of which files are asked for, and files that cannot be read.
Kept elsewhere: which files there are (`folder.py`), what is declared of them (`declarations.py`), cells
(`cells.py`), names and sectors (`descriptions.py`), which bars are valid (`quality/contract.py`).

A file that cannot be read becomes one row without a line, whose `raw` says why, and which is rejected.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import FILES, INSTRUMENTS, RAW_BARS, SourceError
from boursomatic_assets.sources.files.cells import read_raw_bars, rows_as_json
from boursomatic_assets.sources.files.declarations import Declarations
from boursomatic_assets.sources.files.descriptions import read_descriptions
from boursomatic_assets.sources.files.examination import Examination, examine
from boursomatic_assets.sources.files.folder import Folder, list_files
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.rereading import read_again
from boursomatic_assets.sources.simulated.universe import read_universe


@dataclass(frozen=True)
class Files:
    """The bars of every file in a folder and the folders below it."""

    folder: Path
    first_partition: dt.datetime = dt.datetime.min
    """The first partition. What is older is in none: it comes with the first one, to be rejected with a reason;
    and what is dated later than today comes with the newest."""

    name: str = "files"

    def instruments(self) -> pl.DataFrame:
        """One row per symbol and exchange of the bars, described by the instruments file, or the universe.

        Raises:
            SourceError: there is no file, or none of them can be understood.
        """
        folder, declarations = self._folder(), Declarations(self.folder)
        listings, errors = [], dict[str, str]()
        for file in folder.files:
            try:
                listings.append(examine(file, declarations.of(file.name)).listings)
            except SourceError as error:  # told by `files`, and by a row of `bars`
                errors[file.name] = str(error)
        self._require_some(listings, errors, declarations)
        keys = ["symbol", "exchange"]
        sound = [listing.filter(pl.col("fault").is_null()).select(keys) for listing in listings]
        named = pl.concat(sound).unique().drop_nulls()
        described = [read_descriptions(file).rows for file in folder.descriptions]
        about = pl.concat([*described, read_universe()]).unique(keys, keep="first", maintain_order=True)
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
        older, newer = start <= self.first_partition, end > utc_now()
        since, until = pl.lit(older) | (pl.col("ts") >= start), pl.lit(newer) | (pl.col("ts") < end)
        in_time = (since & until) | pl.col("ts").is_null()
        is_15m = pl.col("interval").eq_missing("15m")
        of_interval = is_15m if interval == "15m" else ~is_15m
        asked = Asked(market, None if older else start.date(), None if newer else end.date())
        return pl.concat(self._read_files(of_market & in_time & of_interval, asked))

    def files(self) -> pl.DataFrame:
        """What became of the lines of each file, with the columns of `FILES`."""
        folder, declarations = self._folder(), Declarations(self.folder)
        rows = [_report(file, declarations) for file in folder.files]
        for file in folder.descriptions:
            told = read_descriptions(file)
            rows.append(
                _nothing_of(file.name) | told.counts | {"recognised": told.recognised, "problem": told.problem}
            )
        rows += [_nothing_of(name) | {"passed_over": True} for name in folder.passed_over]
        return pl.DataFrame(rows, schema=FILES)

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of `bars` with `raw`: their files are read again, which costs good rows nothing."""
        lines = dict(rows.drop_nulls(["file", "line"]).group_by("file").agg("line").iter_rows())
        declarations, found = Declarations(self.folder), []
        for file in self._folder().files if lines else ():
            if file.name in lines:
                try:
                    found.append(rows_as_json(file, declarations.of(file.name), lines[file.name]))
                except SourceError as error:  # it was changed meanwhile: its rows are as they were read
                    absorbed.record(error, f"rejected rows of {file.name} are kept without their other cells")
        if not found:
            return rows
        keys = ["file", "line", "symbol"]
        told = pl.concat(found).unique(keys).rename({"raw": "told"})
        joined = rows.join(told, on=keys, how="left", nulls_equal=True, maintain_order="left")
        return joined.with_columns(raw=pl.coalesce("raw", "told")).drop("told")

    def read_again(self, rejected: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows as raw bars, read from their cells, with the columns of `raw_rows.READ_AGAIN`."""
        says = {file.name: file.says for file in self._folder().files}
        return read_again(rejected, Declarations(self.folder).of, says)

    def _folder(self) -> Folder:
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder} is no folder: set BOURSOMATIC_FILES to the folder with the bars")
        return list_files(self.folder)

    def _require_some(
        self, found: list[pl.DataFrame], errors: Mapping[str, str], declarations: Declarations
    ) -> None:
        if found:
            return
        if not errors:
            raise SourceError(
                f"{self.folder} holds no file with bars: put some there, or set BOURSOMATIC_FILES to their folder"
            )
        if declarations.problem:
            raise SourceError(declarations.problem, errors)
        first = next(iter(errors.values()))
        several = f"none of {len(errors):,} files can be read, the first of them: " if len(errors) > 1 else ""
        raise SourceError(several + first, errors)

    def _read_files(self, wanted: pl.Expr, asked: "Asked") -> Iterator[pl.DataFrame]:
        """The wanted rows of each file that may have some, and a row for each file that cannot be read.

        Raises:
            SourceError: there is no file, or none of them can be understood.
        """
        declarations = Declarations(self.folder)
        frames, errors = [], dict[str, str]()
        for file in self._folder().files:
            try:
                declared = declarations.of(file.name)
                if asked.may_be_in(examine(file, declared)):
                    frames.append(read_raw_bars(file, declared).filter(wanted))
                else:
                    frames.append(pl.DataFrame(schema=RAW_BARS))
            except SourceError as error:  # becomes a row that is rejected with this reason
                errors[file.name] = str(error)
        self._require_some(frames, errors, declarations)
        yield from frames
        if errors:
            yield _rows_of_unreadable_files(errors)


@dataclass(frozen=True)
class Asked:
    """Which bars are asked for: of a market, from a date until one; None: from the first one, until the last."""

    market: Market
    start: dt.date | None
    end: dt.date | None

    def may_be_in(self, seen: Examination) -> bool:
        """Whether a file may have some; an intraday bar may belong to the date before or after its own."""
        day = dt.timedelta(days=1)
        if self.end and seen.first and seen.first > self.end + day:
            return False
        if self.start and seen.last and seen.last < self.start - day:
            return False
        elsewhere = [name for other in MARKETS.values() if other != self.market for name in other.exchanges]
        return not seen.listings["exchange"].is_in(elsewhere).fill_null(False).all() or seen.listings.is_empty()


def _nothing_of(name: str) -> dict[str, object]:
    counts = dict.fromkeys(("lines", "header", "blank", "comments", "footer", "delivered"), 0)
    return {"file": name, "recognised": None, **counts, "problem": None, "passed_over": False}


def _report(file: File, declarations: Declarations) -> dict[str, object]:
    try:
        seen = examine(file, declarations.of(file.name))
    except SourceError as error:  # it is the report
        return _nothing_of(file.name) | {"problem": str(error)}
    return _nothing_of(file.name) | {
        "recognised": seen.recognised,
        **seen.counts,
        "digest": seen.digest,
        "file_id": seen.file_id,
    }


def _rows_of_unreadable_files(errors: Mapping[str, str]) -> pl.DataFrame:
    """A row for each file that could not be read, which the contract rejects."""
    rows = [
        dict.fromkeys(RAW_BARS) | {"file": name, "raw": json.dumps({"error": why})} for name, why in errors.items()
    ]
    return pl.DataFrame(rows, schema=RAW_BARS)
