"""Places: where a delivered row is accounted for: at a market, an interval and a session.

What belongs here: the place of a row, and where it belongs by what it says now.
Kept elsewhere: the counts of a place (`sessions.py`), its rejected rows (`rejected_rows.py`).
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from boursomatic_assets import settings
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.delivery import with_session
from boursomatic_assets.tables.grains import GRAINS, Grain

ASSETS = {"daily": "price_bars", "15m": "price_bars_15m"}
"""The asset that is delivered for each interval."""

TARGET = ("to_market", "to_interval", "to_session")
"""The columns of where a row belongs by what it says now."""


@dataclass(frozen=True)
class Place:
    """Where a row is accounted for.

    Attributes:
        market: the market's name.
        interval: `daily` or `15m`.
        session: when the session begins; None: the row has no readable time.
    """

    market: str
    interval: str
    session: dt.datetime | None

    @property
    def asset(self) -> str:
        """The asset that the place belongs to."""
        return ASSETS[self.interval]

    @property
    def grain(self) -> Grain:
        """How the bars of the place are stored."""
        return GRAINS[self.asset]

    @property
    def part(self) -> Slice:
        """The session as a slice; without one the newest, since its rows belong to every slice."""
        date = self.session.date() if self.session else partition_dates()[-1]
        return Slice(MARKETS[self.market], (date,))


def with_target(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the columns of TARGET, as a source and the contract assign them.

    Args:
        rows: the market that each is accounted for, and its exchange, interval and ts as they are read now.
    """
    markets = {exchange: market.name for market in MARKETS.values() for exchange in market.exchanges}
    named = pl.col("exchange").replace_strict(markets, default=None, return_dtype=pl.String)
    is_15m = pl.col("interval").eq_missing("15m")
    return rows.with_columns(
        to_market=pl.coalesce(named, "market"),
        to_interval=pl.when(is_15m).then(pl.lit("15m")).otherwise(pl.lit("daily")),
        to_session=with_session(rows.select("ts"), Slice(MARKETS["US"], partition_dates()))["session"],
    )


def partition_dates() -> tuple[dt.date, ...]:
    """The dates that have a partition in each market: from the first one until today."""
    dates, today = all_sessions(), dt.datetime.now(dt.UTC).date()
    until_today = (dates >= np.datetime64(settings.start())) & (dates <= np.datetime64(today))
    return tuple(dates[until_today].tolist())
