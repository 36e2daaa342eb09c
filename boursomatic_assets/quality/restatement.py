"""Restated history: a vendor that adjusts the past again delivers it on another basis than what is stored.

What belongs here: the evidence, from stored and delivered bars; nothing is decided or changed.
Kept elsewhere: what a delivery changes row by row (`tables/differences.py`), the check that warns
(`checks/deliveries.py`).
"""

from __future__ import annotations

import polars as pl

from boursomatic_assets.arrays import KEY, Times
from boursomatic_assets.quality.price_jumps import find_jumps, join_previous_bars

MIN_SESSIONS = 3
"""Sessions in a row that must share a factor; what fewer share may be corrections of single bars."""

DECIMALS = (2, 3, 4, 5, 6)
"""Decimals to which vendors round prices, fewer for higher prices."""

ROUNDINGS = 3
"""Units of its last decimal by which a price may be off: vendors adjust, round, and adjust again."""

NOISE = 1e-6
"""Relative error of prices that show more decimals: they went through single precision."""

_PRICES = list("ohlc")


def find_restated(stored: pl.DataFrame, delivered: pl.DataFrame) -> pl.DataFrame:
    """Stretches of sessions over which delivered prices are stored ones times one factor other than 1.

    A split restates an instrument by one stretch; dividends by one before each of them. A stretch ends where
    the factor changes, by more than the prices' rounding can explain. What fewer than MIN_SESSIONS in a row
    share, or the four prices of a session do not, is a correction: it ends no stretch.

    Args:
        stored: instrument_id, ts, o, h, l, c as they are known; positive prices, one row per key.
        delivered: the same of what came; other columns of both are ignored.

    Returns:
        instrument_id, factor (delivered over stored), sessions (how many share it), first and last of them
        (`ts`), sorted by instrument_id and first.
    """
    both = _with_price_unit(stored).join(_with_price_unit(delivered), on=KEY, suffix="_new").sort(KEY)
    low = pl.max_horizontal(_factor_bound(price, -1) for price in _PRICES)
    high = pl.min_horizontal(_factor_bound(price, 1) for price in _PRICES)
    long_enough = _number_stretches(both.with_columns(low=low, high=high)).filter(
        pl.len().over("stretch") >= MIN_SESSIONS
    )
    total = {side: pl.sum_horizontal(pl.col(f"{price}{side}").sum() for price in _PRICES) for side in ("", "_new")}
    stretches = (
        _number_stretches(long_enough)
        .group_by("stretch", maintain_order=True)
        .agg(
            pl.col("instrument_id").first(),
            factor=total["_new"] / total[""],
            sessions=pl.len().cast(pl.Int64),
            first=pl.col("ts").min(),
            last=pl.col("ts").max(),
            same=pl.lit(1.0).is_between(pl.col("low"), pl.col("high")).mean() > 0.5,
        )
    )
    return stretches.filter(~pl.col("same")).drop("stretch", "same")


def find_basis_changes(stored: pl.DataFrame, delivered: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """Instruments whose new bars stand on another basis than what is stored: they begin with a split's jump.

    Whether the instrument was split, or its past adjusted, shows in the past when it is loaded again. A bar
    that jumps and comes back is an error of its own: the closes that follow, as far as they came, must be
    nearer to the new basis than to the old.

    Args:
        stored: instrument_id, ts, o, h, l, c, v of one market, with the last `anomalies.LOOKBACK` sessions.
        delivered: the same of what came; bars up to an instrument's last stored one are left out.
        sessions: all sessions of the market, sorted datetime64[D].

    Returns:
        instrument_id, factor (new basis over old, one of `price_jumps.SPLITS`), sessions (how many new bars
        show it, MIN_SESSIONS at most), first of them (`ts`), sorted by instrument_id.
    """
    ends = stored.group_by("instrument_id").agg(last=pl.col("ts").max(), before=pl.col("c").sort_by("ts").last())
    new = delivered.join(ends, on="instrument_id").filter(pl.col("ts") > pl.col("last")).sort(KEY)
    begin = new.group_by("instrument_id", maintain_order=True).head(MIN_SESSIONS)
    bars = pl.concat(part.select(*KEY, *_PRICES, "v") for part in (stored, begin))
    jumped = find_jumps(join_previous_bars(bars, sessions)).filter(pl.col("ratio").is_not_null())
    at_first = jumped.join(begin.group_by("instrument_id").agg(pl.col("ts").min()), on=KEY)
    moved = (pl.col("c") / pl.col("before")).log()
    shows = (moved - pl.col("ratio").log()).abs() < moved.abs()
    return (
        begin.join(at_first.select("instrument_id", "ratio"), on="instrument_id", maintain_order="left")
        .group_by("instrument_id", factor="ratio", maintain_order=True)
        .agg(sessions=pl.len().cast(pl.Int64), first=pl.col("ts").first(), shown=shows.all())
        .filter("shown")
        .drop("shown")
    )


def _with_price_unit(bars: pl.DataFrame) -> pl.DataFrame:
    """Keys and prices, and the unit of each bar: one in the last decimal of its roughest price."""
    return bars.select(*KEY, *_PRICES, unit=pl.max_horizontal(map(_price_unit, _PRICES)))


def _price_unit(price: str) -> pl.Expr:
    """One in the last decimal that a price shows, a cent at most; 0 where it shows more than DECIMALS."""
    exact = pl.col(price)
    shows = {decimals: (exact - exact.round(decimals)).abs() <= 1e-9 * exact for decimals in DECIMALS}
    return pl.coalesce(*(pl.when(so).then(10.0**-decimals) for decimals, so in shows.items()), pl.lit(0.0))


def _factor_bound(price: str, side: int) -> pl.Expr:
    """The least (-1) or greatest (1) factor of a price that rounding leaves possible."""
    return (pl.col(f"{price}_new") + side * _price_error(price, "_new")) / (
        pl.col(price) - side * _price_error(price, "")
    )


def _price_error(price: str, version: str) -> pl.Expr:
    """By how much a price may be off; less than the price."""
    exact, unit = pl.col(price + version), pl.col("unit" + version)
    return pl.min_horizontal(pl.max_horizontal(ROUNDINGS * unit, NOISE * exact), exact / 2)


def _number_stretches(both: pl.DataFrame) -> pl.DataFrame:
    """Rows by instrument and session, with the number of the stretch that they belong to."""
    apart = (pl.col("low") > pl.col("high").shift(1)) | (pl.col("high") < pl.col("low").shift(1))
    other = pl.col("instrument_id") != pl.col("instrument_id").shift(1)
    return both.with_columns(stretch=(apart | other).fill_null(True).cum_sum())
