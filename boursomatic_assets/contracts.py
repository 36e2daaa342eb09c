"""What a good row is: every delivered bar is kept, merged with its twin, or rejected with a reason.

What belongs here: the rules, in the order in which a row is held against them, and the judgement.
Kept elsewhere: where rows come from (`sources/`), where they go (`io_manager.py`), bars that are only strange
(`oddities.py`).
"""

import datetime as dt
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


QUARTER = dt.timedelta(minutes=15)

OUTCOMES = ("delivered", "kept", "merged", "rejected", "repaired")


@dataclass(frozen=True)
class Delivery:
    """A judged delivery: delivered rows = kept + merged + rejected.

    Attributes:
        kept: good bars, with the columns of `price_bars`, `market`, and the `file` that they stood in.
        rejected: refused rows, with the columns of `rejected_bars` but for the run.
        counts: a row per market and session (null: no readable time) with the OUTCOMES.
        source: the name of the source.
    """

    kept: pl.DataFrame
    rejected: pl.DataFrame
    counts: pl.DataFrame
    source: str

    def of(self, part: Slice) -> "Delivery":
        """What falls to a slice; rows without a readable time fall to each of their market."""
        mine = pl.col("market") == part.market.name
        here = pl.col("session").is_between(part.start, part.end, closed="left") | pl.col("session").is_null()
        time = pl.col("ts").is_between(part.start, part.end, closed="left")
        return Delivery(
            self.kept.filter(mine & time),
            self.rejected.filter(mine & here),
            self.counts.filter(mine & here).unique(["market", "session"], keep="last", maintain_order=True),
            self.source,
        )

    def total(self, outcome: str) -> int:
        """How many rows had an outcome."""
        return int(self.counts[outcome].sum())

    def __add__(self, other: Self) -> "Delivery":
        return Delivery(
            pl.concat([self.kept, other.kept]),
            pl.concat([self.rejected, other.rejected]),
            pl.concat([self.counts, other.counts]),
            self.source,
        )


def judge(
    raw: pl.DataFrame,
    part: Slice,
    instruments: pl.DataFrame,
    source: str,
    interval: str = "daily",
    *,
    extended: bool = False,
) -> Delivery:
    """Hold every row of a delivery against the rules.

    Args:
        raw: delivered bars with the columns of `sources.RAW_BARS`.
        part: the slice they were delivered for.
        instruments: id, symbol and exchange of the known instruments.
        source: the name of the source.
        interval: what was asked for, `daily` or `15m`.
        extended: whether 15m bars before the open and after the close are wanted too.
    """
    known = instruments.select("symbol", "exchange", instrument_id="id")
    rows = _with_session(raw, part).join(known, on=["symbol", "exchange"], how="left", maintain_order="left")
    times = _daily_times(part) if interval == "daily" else _quarter_times(part, extended)
    rules = _rules(part, interval, times)
    reason = pl.coalesce(pl.when(broken).then(pl.lit(rule)) for rule, broken in rules.items())
    judged = _repair(rows.with_columns(reason=reason))
    good = judged.filter(pl.col("reason").is_null())
    distinct = good.unique(["instrument_id", "ts", *_CONTENT], keep="first", maintain_order=True)
    clash = distinct.select("instrument_id", "ts").is_duplicated()
    clashing = distinct.filter(clash).with_columns(reason=pl.lit(_clash(interval)))
    kept = distinct.filter(~clash)
    rejected = pl.concat([judged.filter(pl.col("reason").is_not_null()), clashing.select(judged.columns)])
    return Delivery(
        kept.select("instrument_id", "ts", *_CONTENT, "interval", "file", market=pl.lit(part.market.name)),
        _rejections(rejected, part, source, interval),
        _counts(judged, kept, rejected).with_columns(market=pl.lit(part.market.name)),
        source,
    )


def _clash(interval: str) -> str:
    return "two different bars for one session" if interval == "daily" else "two different bars for one time"


def _with_session(raw: pl.DataFrame, part: Slice) -> pl.DataFrame:
    """The rows with the partition date that each falls to, as `session`: what is older falls to the first."""
    dates = pl.DataFrame({"session": pl.Series(part.dates).cast(pl.Datetime("us"))}).set_sorted("session")
    times = raw.select(pl.col("ts").unique()).drop_nulls().sort("ts")
    owned = times.join_asof(dates, left_on="ts", right_on="session", strategy="backward")
    owned = owned.with_columns(pl.col("session").fill_null(part.start))
    return raw.join(owned, on="ts", how="left", maintain_order="left")


def _counts(judged: pl.DataFrame, kept: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """OUTCOMES by session; what is neither kept nor rejected repeats a kept row."""
    counted = judged.group_by("session").agg(delivered=pl.len())
    for name, rows in (("kept", kept), ("rejected", rejected), ("repaired", kept.filter("repaired"))):
        other = rows.group_by("session").agg(pl.len().alias(name))
        counted = counted.join(other, on="session", how="left", nulls_equal=True)
    merged = pl.col("delivered") - pl.col("kept") - pl.col("rejected")
    return (
        counted.with_columns(pl.exclude("session").fill_null(0).cast(pl.Int32))
        .with_columns(merged=merged)
        .select("session", *OUTCOMES)
        .sort("session")
    )


def _rules(part: Slice, interval: str, times: dict[str, pl.Expr]) -> dict[str, pl.Expr]:
    """Each rule's name and the rows that break it; the first that a row breaks is its reason."""
    price = [pl.col(name) for name in _PRICES]
    volume = pl.col("v")
    return {
        "source did not deliver it": NOT_DELIVERED,
        "file cannot be understood": NOT_UNDERSTOOD,
        "symbol is missing": pl.col("symbol").is_null(),
        "symbol is an exchange's test symbol": pl.col("symbol").str.contains(TEST_SYMBOLS),
        "exchange is not of a known market": ~pl.col("exchange").is_in(part.market.exchanges).fill_null(False),
        "instrument is unknown": pl.col("instrument_id").is_null(),
        "interval is not known": pl.col("interval").ne_missing(interval),
        "time is missing or unreadable": pl.col("ts").is_null(),
        "date is before the first partition": pl.col("ts") < part.start,
        "bar is in the future": pl.col("ts") > dt.datetime.now(dt.UTC).replace(tzinfo=None),
        **times,
        "price is missing": pl.any_horizontal(p.is_null() for p in price),
        "price is not finite": pl.any_horizontal(~p.is_finite() for p in price),
        "price is not positive": pl.any_horizontal(p <= 0 for p in price),
        "volume is missing": volume.is_null(),
        "volume is negative or not finite": ~volume.is_finite() | (volume < 0),
        "high is not the highest price": pl.max_horizontal("o", "l", "c") > pl.col("h") * (1 + NOISE),
        "low is not the lowest price": pl.min_horizontal("o", "h", "c") < pl.col("l") * (1 - NOISE),
    }


def _daily_times(part: Slice) -> dict[str, pl.Expr]:
    sessions = pl.Series(np.array(part.sessions, dtype="datetime64[us]")).implode()
    return {"date is not a session of the market": ~pl.col("ts").is_in(sessions)}


def _quarter_times(part: Slice, extended: bool) -> dict[str, pl.Expr]:
    """A 15m bar starts on the quarter of an hour, of a session, between its open and its close."""
    market, sessions = part.market, part.looking_back(1).sessions  # a late bar may fall to the next date in UTC
    hours = [market.hours(session, extended=extended) for session in sessions]
    quarters = [pl.datetime_range(opens, closes, QUARTER, closed="left", eager=True) for opens, closes in hours]
    traded = pl.concat([pl.Series(dtype=pl.Datetime("us")), *quarters]).implode()
    local = pl.col("ts").dt.replace_time_zone("UTC").dt.convert_time_zone(market.timezone).dt.date()
    return {
        "time is not a quarter of an hour": pl.col("ts").dt.truncate("15m") != pl.col("ts"),
        "date is not a session of the market": ~local.is_in(pl.Series(sessions, dtype=pl.Date).implode()),
        "time is outside of the session": ~pl.col("ts").is_in(traded),
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


def _rejections(rejected: pl.DataFrame, part: Slice, source: str, interval: str) -> pl.DataFrame:
    """Refused rows with the columns of `rejected_bars`; the id is derived, so that the same row is the same."""
    as_delivered = pl.struct("symbol", "exchange", pl.col("ts").cast(pl.String), *_CONTENT, "interval")
    rows = rejected.with_columns(raw=pl.coalesce("raw", as_delivered.struct.json_encode())).select(
        "session", "file", "line", "raw", "reason", market=pl.lit(part.market.name), source=pl.lit(source)
    )
    named = rows if interval == "daily" else rows.with_columns(interval=pl.lit(interval))
    return rows.with_columns(id=_ids(named), interval=pl.lit(interval))


def _ids(rows: pl.DataFrame) -> pl.Series:
    nth = pl.int_range(pl.len()).over(rows.columns)
    named = rows.select(pl.concat_str(pl.all().cast(pl.String), nth, separator="|", ignore_nulls=True))
    return pl.Series([str(uuid.uuid5(_NAMESPACE, name)) for name in named.to_series()], dtype=pl.String)
