"""Several services in order: what one could not deliver is asked of the next.

What belongs here: who is asked for what, and who is quoted when nobody had it.
Kept elsewhere: each service (`yahoo.py`, `stooq.py`). Which of them a row comes from stands in its `file`.
"""

import datetime as dt
from dataclasses import dataclass
from itertools import zip_longest

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.markets import Market
from boursomatic_assets.sources import NOT_DELIVERED, RAW_BARS, SourceError
from boursomatic_assets.sources.services import Listed, not_delivered

KEYS = ["symbol", "exchange"]


@dataclass(frozen=True)
class Fallback:
    """Sources of the same instruments, the preferred one first."""

    sources: tuple[Listed, ...]

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
            SourceError: no source has one; it says what each of them said.
        """
        wanted = self.instruments().filter(pl.col("exchange").is_in(market.exchanges))
        listed = wanted.height
        reasons = wanted.select(*KEYS, why=pl.lit(None, pl.String))
        frames: list[pl.DataFrame] = []
        for source, following in zip_longest(self.sources, self.sources[1:]):
            try:
                delivered = source.only(wanted).bars(market, start, end, interval)
                frames.append(delivered.filter(~NOT_DELIVERED))
                said = pl.col("raw").str.json_path_match("$.error")
                missing = delivered.filter(NOT_DELIVERED).select(*KEYS, said=said)
            except SourceError as error:  # recorded below, or quoted in the rows that are refused
                missing = wanted.select(*KEYS, said=pl.lit(str(error)))
            why = pl.concat_str("why", "said", separator="; ", ignore_nulls=True)
            reasons = reasons.join(missing, on=KEYS).select(*KEYS, why=why)
            wanted = wanted.join(missing, on=KEYS, how="semi")
            if following and wanted.height:
                asked = f"{following.name} is asked for {wanted.height} of {listed} instruments"
                absorbed.record(SourceError(missing["said"][0]), asked)
        if not frames:
            raise SourceError(reasons["why"][0])
        return pl.concat([*frames, not_delivered(reasons.rows(), start)]).select(*RAW_BARS)

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are: they carry what the services said."""
        return rows
