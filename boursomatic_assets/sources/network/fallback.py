"""Fallback: several services in order; what one does not deliver is requested from the next.

What belongs here: which service is asked for which instruments, and the reasons when none delivers.
Kept elsewhere: each service (`yahoo.py`, `stooq.py`). The column `file` of a row names its service.
"""

import datetime as dt
from dataclasses import dataclass
from itertools import zip_longest

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.sources import FILES, NOT_DELIVERED, RAW_BARS, SourceError
from boursomatic_assets.sources.network.services import ListedSource, rows_without_bars

KEYS = ["symbol", "exchange"]


@dataclass(frozen=True)
class Fallback:
    """Sources of the same instruments, the preferred one first."""

    sources: tuple[ListedSource, ...]

    @property
    def name(self) -> str:
        """The names of all."""
        return ",".join(source.name for source in self.sources)

    def instruments(self) -> pl.DataFrame:
        """The instruments, which are the same for all."""
        return self.sources[0].instruments()

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of one market with `ts` in [start, end), each instrument's from the first source that has some.

        Raises:
            SourceError: no source has one; the message quotes each of them.
        """
        wanted = self.instruments().filter(pl.col("exchange").is_in(market.exchanges))
        listed = wanted.height
        reasons = wanted.select(*KEYS, why=pl.lit(None, pl.String))
        frames: list[pl.DataFrame] = []
        for source, following in zip_longest(self.sources, self.sources[1:]):
            try:
                delivered = source.restricted_to(wanted).bars(market, start, end, interval)
                frames.append(delivered.filter(~NOT_DELIVERED))
                said = pl.col("raw").str.json_path_match("$.error")
                missing = delivered.filter(NOT_DELIVERED).select(pl.col(KEYS).cast(pl.String), said=said)
            except SourceError as error:  # recorded below, or quoted in the rejected rows
                missing = wanted.select(*KEYS, said=pl.lit(str(error)))
            why = pl.concat_str("why", "said", separator="; ", ignore_nulls=True)
            reasons = reasons.join(missing, on=KEYS).select(*KEYS, why=why)
            wanted = wanted.join(missing, on=KEYS, how="semi")
            if following and wanted.height:
                asked = f"{following.name} is asked for {wanted.height:,} of {listed:,} instruments"
                absorbed.record(SourceError(missing["said"][0]), asked)
        if not frames:
            raise SourceError(reasons["why"][0])
        return pl.concat([*frames, rows_without_bars(reasons.rows(), start)]).select(*RAW_BARS)

    def files(self) -> pl.DataFrame:
        """No file."""
        return pl.DataFrame(schema=FILES)

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are: `raw` is the response of a service."""
        return rows

    def read_again(self, rejected: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows as raw bars, each read by the service that delivered it, as `raw_rows.READ_AGAIN`."""
        of_each = [
            source.read_again(rejected.filter(pl.col("file").str.starts_with(f"{source.name}:")))
            for source in self.sources
        ]
        return pl.concat(of_each)
