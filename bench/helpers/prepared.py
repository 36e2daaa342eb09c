"""Bars and features as the platform makes them of a source, without a database.

What belongs here: what the assets `price_bars` and `features` hold, as frames of both markets.
Kept elsewhere: what is learned from them (`signals.py`, `noise.py`).
"""

import datetime as dt

import polars as pl

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.features.compute import compute_features
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources import Source


def kept_bars(source: Source, first: dt.date, last: dt.date) -> pl.DataFrame:
    """The bars that the contract keeps between two dates, both included, with their market."""
    listed = source.instruments()
    listed = listed.with_columns(identifiers.of_instruments(listed))
    dates = [date for date in all_sessions().tolist() if first <= date <= last]
    kept = []
    for part in (part for market in MARKETS.values() for part in slices_of(market, dates)):
        raw = source.bars(part.market, part.start, part.end)
        bars = apply_contract(raw, part, listed, source.name, with_raw=source.with_raw).kept
        if not bars.is_empty():
            kept.append(bars.with_columns(market=pl.lit(part.market.name)))
    return pl.concat(kept)


def features_of(bars: pl.DataFrame) -> pl.DataFrame:
    """The features of bars of both markets, with their market; additional features are one column."""
    by_market = bars.partition_by("market", maintain_order=True)
    names = [of_market["market"][0] for of_market in by_market]
    return pl.concat(
        compute_features(of_market, MARKETS[name].sessions()).with_columns(market=pl.lit(name))
        for name, of_market in zip(names, by_market, strict=True)
    )
