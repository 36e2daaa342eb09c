"""What a good row is: every delivered bar is kept, merged with its twin, or rejected with a reason.

What belongs here: the rules, in the order in which a row is held against them, and the judgement.
Kept elsewhere: where rows come from (`sources/`), where they go (`io_manager.py`).
"""

import uuid
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from boursomatic_assets.slices import Slice
from boursomatic_assets.sources import NOT_DELIVERED, NOT_UNDERSTOOD

NOISE = 1e-6
"""Relative excess of open or close over high, or below low, that is float noise: it is repaired."""

TEST_SYMBOLS = r"^(Z[A-Z]ZZT|[A-Z]TEST)(\.[A-Z])?$"
"""Symbols with which Nasdaq (ZVZZT and its sisters) and NYSE (ATEST, ...) try out their own systems."""

_PRICES = tuple("ohlc")
_CONTENT = (*_PRICES, "v")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "rejected_bars.boursomatic")


@dataclass(frozen=True)
class Delivery:
    """A judged delivery: delivered rows = kept + merged + rejected.

    `kept` has the columns of `price_bars` and `market`, `rejected` those of `rejected_bars` but for the run.
    """

    kept: pl.DataFrame
    rejected: pl.DataFrame
    merged: int = 0
    repaired: int = 0

    def __add__(self, other: Self) -> "Delivery":
        return Delivery(
            pl.concat([self.kept, other.kept]),
            pl.concat([self.rejected, other.rejected]),
            self.merged + other.merged,
            self.repaired + other.repaired,
        )


def judge(raw: pl.DataFrame, part: Slice, instruments: pl.DataFrame, source: str) -> Delivery:
    """Hold every row of a delivery against the rules.

    Args:
        raw: delivered bars with the columns of `sources.RAW_BARS`.
        part: the slice they were delivered for.
        instruments: id, symbol and exchange of the known instruments.
        source: the name of the source.
    """
    known = instruments.select("symbol", "exchange", instrument_id="id")
    rows = raw.join(known, on=["symbol", "exchange"], how="left", maintain_order="left")
    reason = pl.coalesce(pl.when(broken).then(pl.lit(rule)) for rule, broken in _rules(part).items())
    judged = _repair(rows.with_columns(reason=reason))
    good = judged.filter(pl.col("reason").is_null())
    distinct = good.unique(["instrument_id", "ts", *_CONTENT], keep="first", maintain_order=True)
    clash = distinct.select("instrument_id", "ts").is_duplicated()
    clashing = distinct.filter(clash).with_columns(reason=pl.lit("two different bars for one session"))
    rejected = pl.concat([judged.filter(pl.col("reason").is_not_null()), clashing.select(judged.columns)])
    return Delivery(
        kept=distinct.filter(~clash).select(
            "instrument_id", "ts", *_CONTENT, "interval", market=pl.lit(part.market.name)
        ),
        rejected=_rejections(rejected, part, source),
        merged=good.height - distinct.height,
        repaired=int(good["repaired"].sum()),
    )


def _rules(part: Slice) -> dict[str, pl.Expr]:
    """Each rule's name and the rows that break it; the first that a row breaks is its reason."""
    price = [pl.col(name) for name in _PRICES]
    volume = pl.col("v")
    sessions = np.array(part.sessions, dtype="datetime64[us]")
    return {
        "source did not deliver it": NOT_DELIVERED,
        "file cannot be understood": NOT_UNDERSTOOD,
        "symbol is missing": pl.col("symbol").is_null(),
        "symbol is an exchange's test symbol": pl.col("symbol").str.contains(TEST_SYMBOLS),
        "exchange is not of a known market": ~pl.col("exchange").is_in(part.market.exchanges).fill_null(False),
        "instrument is unknown": pl.col("instrument_id").is_null(),
        "interval is not known": pl.col("interval").ne_missing("daily"),
        "time is missing or unreadable": pl.col("ts").is_null(),
        "date is not a session of the market": ~pl.col("ts").is_in(pl.Series(sessions).implode()),
        "price is missing": pl.any_horizontal(p.is_null() for p in price),
        "price is not finite": pl.any_horizontal(~p.is_finite() for p in price),
        "price is not positive": pl.any_horizontal(p <= 0 for p in price),
        "volume is missing": volume.is_null(),
        "volume is negative or not finite": ~volume.is_finite() | (volume < 0),
        "high is not the highest price": pl.max_horizontal("o", "l", "c") > pl.col("h") * (1 + NOISE),
        "low is not the lowest price": pl.min_horizontal("o", "h", "c") < pl.col("l") * (1 - NOISE),
    }


def _repair(judged: pl.DataFrame) -> pl.DataFrame:
    """Good rows whose high or low is off by float noise get the true extreme; `repaired` says which."""
    good = pl.col("reason").is_null()
    high, low = pl.max_horizontal(_PRICES), pl.min_horizontal(_PRICES)
    return judged.with_columns(
        h=pl.when(good).then(high).otherwise("h"),
        l=pl.when(good).then(low).otherwise("l"),
        repaired=good & ((high != pl.col("h")) | (low != pl.col("l"))),
    )


def _rejections(rejected: pl.DataFrame, part: Slice, source: str) -> pl.DataFrame:
    """Refused rows with the columns of `rejected_bars`; the id is derived, so that the same row is the same."""
    dates = pl.Series("session", part.dates).cast(pl.Datetime("us"))
    as_delivered = pl.struct("symbol", "exchange", pl.col("ts").cast(pl.String), *_CONTENT, "interval")
    rows = (
        rejected.with_columns(raw=pl.coalesce("raw", as_delivered.struct.json_encode()))
        .sort("ts", maintain_order=True)
        .join_asof(dates.to_frame(), left_on="ts", right_on="session", strategy="backward")
        .select("session", "file", "line", "raw", "reason", market=pl.lit(part.market.name), source=pl.lit(source))
    )
    return rows.with_columns(id=_ids(rows))


def _ids(rows: pl.DataFrame) -> pl.Series:
    nth = pl.int_range(pl.len()).over(rows.columns)
    named = rows.select(pl.concat_str(pl.all().cast(pl.String), nth, separator="|", ignore_nulls=True))
    return pl.Series([str(uuid.uuid5(_NAMESPACE, name)) for name in named.to_series()], dtype=pl.String)
