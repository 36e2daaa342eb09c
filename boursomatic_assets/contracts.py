"""What a good row is: every delivered bar is kept, merged with its twin, or rejected with a reason.

What belongs here: the rules, in the order in which a row is held against them, and the judgement.
Kept elsewhere: where rows come from (`sources/`), where they go (`io_manager.py`), bars that are only strange
(`oddities.py`).
"""

import datetime as dt
import uuid
from collections.abc import Callable

import numpy as np
import polars as pl

from boursomatic_assets.delivered import Delivery, counts, with_session
from boursomatic_assets.slices import Slice
from boursomatic_assets.sources import NOT_DELIVERED, NOT_UNDERSTOOD

NOISE = 1e-6
"""Relative excess of open or close over high, or below low, that is float noise: it is repaired."""

TEST_SYMBOLS = r"^(Z[A-Z]ZZT|[A-Z]TEST)(\.[A-Z])?$"
"""Symbols with which Nasdaq (ZVZZT and its sisters) and NYSE (ATEST, ...) try out their own systems."""

QUARTER = dt.timedelta(minutes=15)

INCOMPLETE = ("source did not deliver it", "file cannot be understood")
"""Reasons that stand for bars that did not come."""

_WITHOUT_INSTRUMENT = (
    *INCOMPLETE,
    "symbol is missing",
    "symbol is an exchange's test symbol",
    "exchange is not of a known market",
    "instrument is unknown",
)
"""Reasons why a row has no instrument of the market: asked only of rows that have none."""

CONTRADICTION = {
    "daily": "two different bars for one session",
    "15m": "two different bars for one time",
}
"""Why neither of two bars is kept that say different things."""

_PRICES = tuple("ohlc")
_CONTENT = (*_PRICES, "v")
_TOP, _BOTTOM = pl.max_horizontal(_PRICES), pl.min_horizontal(_PRICES)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "rejected_bars.boursomatic")


def judge(
    raw: pl.DataFrame,
    part: Slice,
    instruments: pl.DataFrame,
    source: str,
    interval: str = "daily",
    *,
    extended: bool = False,
    with_raw: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
) -> Delivery:
    """Hold every row of a delivery against the rules.

    Args:
        raw: delivered bars with the columns of `sources.RAW_BARS`.
        part: the slice they were delivered for.
        instruments: id, symbol and exchange of the known instruments.
        source: the name of the source.
        interval: what was asked for, `daily` or `15m`.
        extended: whether 15m bars before the open and after the close are wanted too.
        with_raw: the source's own, which says how refused rows stood there.
    """
    rules = _rules(part, interval, _daily_times(part) if interval == "daily" else _quarter_times(part, extended))
    asked = [rule for name, rule in rules.items() if name not in _WITHOUT_INSTRUMENT]
    seen = {"instrument_id": _identified(part, instruments), "broken": pl.any_horizontal(asked)}
    rows = raw.lazy().with_columns(**seen, top=_TOP, bottom=_BOTTOM).collect()
    broken = rows["broken"].fill_null(False) | rows["instrument_id"].is_null()
    reason = pl.coalesce(pl.when(rule).then(pl.lit(name)) for name, rule in rules.items())
    good = _repair(rows.filter(~broken) if broken.any() else rows)
    kept, repeats, clashing = _without_twins(good)
    contradicting = clashing.select(*rows.columns, reason=pl.lit(CONTRADICTION[interval]))
    rejected = pl.concat([rows.filter(broken).with_columns(reason=reason), contradicting])
    outcomes = {"delivered": rows, "merged": repeats, "rejected": rejected, "repaired": kept.filter("repaired")}
    return Delivery(
        kept.select("instrument_id", "ts", *_CONTENT, "interval", "file", market=pl.lit(part.market.name)),
        _rejections(with_session(with_raw(rejected), part), part, source, interval),
        counts(outcomes, part).with_columns(market=pl.lit(part.market.name)),
        source,
        complete=rejected.filter(pl.col("reason").is_in(INCOMPLETE)).is_empty(),
    )


def _identified(part: Slice, instruments: pl.DataFrame) -> pl.Expr:
    """The id of each row's instrument; null unless it is one that the market trades."""
    traded = pl.col("exchange").is_in(part.market.exchanges) & ~pl.col("symbol").str.contains(TEST_SYMBOLS)
    named = pl.struct("symbol", "exchange")
    known = instruments.filter(traded).select("id", named=named)
    return named.replace_strict(known["named"], known["id"], default=None, return_dtype=pl.String)


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
        "high is not the highest price": pl.col("h") * (1 + NOISE) < _TOP,
        "low is not the lowest price": pl.col("l") * (1 - NOISE) > _BOTTOM,
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


def _repair(good: pl.DataFrame) -> pl.DataFrame:
    """Rows whose high or low is off by float noise get the true extreme; `repaired` says which."""
    noisy = (pl.col("top") != pl.col("h")) | (pl.col("bottom") != pl.col("l"))
    return good.with_columns(h="top", l="bottom", repaired=noisy)


def _without_twins(good: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Each bar once; those that repeat one; and apart from both those that contradict each other, each once."""
    if _surely_distinct(good):
        return good, good.clear(), good.clear()
    first = good.select(pl.struct("instrument_id", "ts", *_CONTENT).is_first_distinct()).to_series()
    distinct = good.filter(first)
    clash = distinct.select("instrument_id", "ts").is_duplicated()
    return distinct.filter(~clash), good.filter(~first), distinct.filter(clash)


def _surely_distinct(good: pl.DataFrame) -> bool:
    """Whether no bar is there twice, as nearly always: seen from the order of rows, or else from hashes."""

    def in_order(first: pl.Expr, second: pl.Expr) -> pl.Expr:
        same = first == first.shift()
        return ((first > first.shift()) | (same & (second > second.shift()))).all()

    ts, symbol = pl.col("ts"), pl.col("symbol")
    if good.select(in_order(ts, symbol) | in_order(symbol, ts)).item():
        return True
    hashes = good.select(pl.col("instrument_id").hash() + ts.hash(1)).to_series()
    return hashes.n_unique() == good.height


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
