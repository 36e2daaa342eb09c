"""The data contract: each delivered bar is kept, merged with its duplicate, or rejected with a reason.

What belongs here: the rules, in the order in which they are applied, and their application to a delivery.
Kept elsewhere: where rows come from (`sources/`), where they are written (`orchestration/io_manager.py`), valid
bars that are unusual (`anomalies.py`).
"""

import datetime as dt
import math
import uuid
from collections.abc import Callable

import polars as pl

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.delivery import UNREADABLE_REASON, Delivery, count_rows, with_session
from boursomatic_assets.sources import NAME, NOT_DELIVERED, UNREADABLE_FILE
from boursomatic_assets.sources.words import gather_pieces, map_words

NOISE = 1e-6
"""Relative excess of open or close over high, or below low, that is float noise: it is repaired."""

TEST_SYMBOLS = r"^(Z[A-Z]ZZT|[A-Z]TEST)(\.[A-Z])?$"
"""Symbols with which Nasdaq (ZVZZT and its sisters) and NYSE (ATEST, ...) try out their own systems."""

BAR_LENGTH = dt.timedelta(minutes=15)

UNKNOWN_INSTRUMENT = "instrument is unknown"

INCOMPLETE_REASONS = ("source did not deliver it", UNREADABLE_REASON)
"""Reasons of rows that stand for bars that were not delivered."""

BEFORE_FAULTS = (*INCOMPLETE_REASONS, "symbol is missing", "symbol is an exchange's test symbol")
"""Reasons that say more than why the source could not read a row."""

CONTRADICTION_REASONS = {
    "daily": "two different bars for one session",
    "15m": "two different bars for one time",
}
"""Why neither of two contradicting bars is kept."""

_PRICES = tuple("ohlc")
_CONTENT = (*_PRICES, "v")
_LINE = pl.col("line").cast(pl.Int32, strict=False)
_TOP, _BOTTOM = pl.max_horizontal(_PRICES), pl.min_horizontal(_PRICES)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "rejected_bars.boursomatic")


def apply_contract(
    raw: pl.DataFrame,
    part: Slice,
    instruments: pl.DataFrame,
    source: str,
    interval: str = "daily",
    *,
    extended: bool = False,
    with_raw: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
) -> Delivery:
    """Apply the rules to every row of a delivery.

    Args:
        raw: delivered bars with the columns of `sources.RAW_BARS`.
        part: the slice they were delivered for.
        instruments: id, symbol and exchange of the known instruments; several names may have one id.
        source: the name of the source.
        interval: what was asked for, `daily` or `15m`.
        extended: whether 15m bars before the open and after the close are wanted too.
        with_raw: the source's own, which adds the original text of rejected rows.
    """
    times, of_times = _daily_times(part) if interval == "daily" else _times_15m(part, extended)
    known, market = _tradable_instruments(part, instruments), pl.lit(part.market.name)
    ids = known["id"].unique(maintain_order=True)
    certain, index = _is_certainly_valid(part, interval, times), _instrument_index(known, ids)
    rows = raw.with_columns(instrument=index, valid=certain)
    valid = pl.col("valid") & pl.col("instrument").is_not_null()
    doubtful = rows.filter(~valid).with_columns(reason=_first_violation(_rules(part, interval, of_times)))
    noisy = doubtful.filter(pl.col("reason").is_null()).drop("reason").with_columns(h=_TOP, l=_BOTTOM)
    kept, repeats, clashing = _split_duplicates(pl.concat([rows.filter(valid), noisy]))
    contradicting = clashing.with_columns(reason=pl.lit(CONTRADICTION_REASONS[interval]))
    rejected = pl.concat([doubtful.drop_nulls("reason"), contradicting])
    outcomes = {"delivered": rows, "merged": repeats, "rejected": rejected, "repaired": kept.remove("valid")}
    return Delivery(
        kept.select(_instrument_id(ids), "ts", *_CONTENT, "interval", "file", "file_id", _LINE, market=market),
        _rejected_rows(with_session(with_raw(rejected), part), part, source, interval),
        count_rows(outcomes, part).with_columns(market=market),
        source,
        complete=rejected.filter(pl.col("reason").is_in(INCOMPLETE_REASONS)).is_empty(),
    )


def _tradable_instruments(part: Slice, instruments: pl.DataFrame) -> pl.DataFrame:
    """The known instruments that the market trades, in order of symbol and exchange."""
    traded = pl.col("exchange").is_in(part.market.exchanges) & ~pl.col("symbol").str.contains(TEST_SYMBOLS)
    return instruments.filter(traded).select("symbol", "exchange", "id").sort("symbol", "exchange")


def _instrument_index(known: pl.DataFrame, ids: pl.Series) -> pl.Expr:
    """The index of a row's instrument among the ids of the known ones; null if it is none of them.

    Bars of one instrument that come under two of its names have one index, so they are found to be duplicates.
    """
    places = known["id"].replace_strict(ids, pl.int_range(ids.len(), dtype=pl.UInt32, eager=True))
    symbols, exchanges = (known[name].unique(maintain_order=True) for name in ("symbol", "exchange"))
    number = _number("symbol", symbols) * exchanges.len() + _number("exchange", exchanges)
    empty = pl.repeat(None, symbols.len() * exchanges.len(), dtype=pl.UInt32, eager=True)
    table = empty.scatter(known.cast({"symbol": NAME, "exchange": NAME}).select(number).to_series(), places)
    return number.map_batches(lambda numbers: gather_pieces(table, numbers), return_dtype=pl.UInt32)


def _number(column: str, known: pl.Series) -> pl.Expr:
    """The number of a row's name among the known ones, null if it is none of them."""
    return map_words(pl.col(column), known, pl.int_range(known.len(), dtype=pl.UInt32, eager=True))


def _instrument_id(ids: pl.Series) -> pl.Expr:
    return pl.lit(ids).gather("instrument").alias("instrument_id")


def _is_certainly_valid(part: Slice, interval: str, times: pl.Series) -> pl.Expr:
    """Whether a row of a known instrument certainly breaks no rule: true of nearly all, with few comparisons.

    NaN is above infinity here. The other rows are checked against each rule, and may break none: their high or
    low is off by noise.
    """
    o, h, l, c, v = map(pl.col, _CONTENT)  # noqa: E741
    prices = (l > 0) & (l <= o) & (l <= c) & (o <= h) & (c <= h) & (h < math.inf)
    volume = (v >= 0) & (v < math.inf)
    on_time = pl.col("ts").is_in(times.implode()) & pl.col("ts").is_between(part.start, _now())
    read = pl.col("fault").is_null() & (pl.col("interval") == interval)
    return (prices & volume & on_time & read).fill_null(False)


def _first_violation(rules: dict[str, pl.Expr]) -> pl.Expr:
    """Why a row is rejected: the first rule that it breaks, or why the source could not read it."""
    broken = {name: pl.when(rule).then(pl.lit(name)) for name, rule in rules.items()}
    unread = {name: broken.pop(name) for name in BEFORE_FAULTS}
    return pl.coalesce(*unread.values(), "fault", *broken.values())


def _rules(part: Slice, interval: str, times: dict[str, pl.Expr]) -> dict[str, pl.Expr]:
    """The rules by name, each true where a row breaks it; the first that a row breaks is its reason."""
    price = [pl.col(name) for name in _PRICES]
    volume = pl.col("v")
    return {
        "source did not deliver it": NOT_DELIVERED,
        UNREADABLE_REASON: UNREADABLE_FILE,
        "symbol is missing": pl.col("symbol").is_null(),
        "symbol is an exchange's test symbol": pl.col("symbol").cast(pl.String).str.contains(TEST_SYMBOLS),
        "exchange is not of a known market": ~pl.col("exchange").is_in(part.market.exchanges).fill_null(False),
        UNKNOWN_INSTRUMENT: pl.col("instrument").is_null(),
        "interval is not known": pl.col("interval").ne_missing(interval),
        "time is missing or unreadable": pl.col("ts").is_null(),
        "date is before the first partition": pl.col("ts") < part.start,
        "bar is in the future": pl.col("ts") > _now(),
        **times,
        "price is missing": pl.any_horizontal(p.is_null() for p in price),
        "price is not finite": pl.any_horizontal(~p.is_finite() for p in price),
        "price is not positive": pl.any_horizontal(p <= 0 for p in price),
        "volume is missing": volume.is_null(),
        "volume is negative or not finite": ~volume.is_finite() | (volume < 0),
        "high is not the highest price": pl.col("h") * (1 + NOISE) < _TOP,
        "low is not the lowest price": pl.col("l") * (1 - NOISE) > _BOTTOM,
    }


def _daily_times(part: Slice) -> tuple[pl.Series, dict[str, pl.Expr]]:
    """When a daily bar may be, and the rule: on a session."""
    sessions = pl.Series(part.sessions, dtype=pl.Date).cast(pl.Datetime("us"))
    return sessions, {"date is not a session of the market": ~pl.col("ts").is_in(sessions.implode())}


def _times_15m(part: Slice, extended: bool) -> tuple[pl.Series, dict[str, pl.Expr]]:
    """When a 15m bar may start, and the rules: on the quarter of an hour, of a session, while it is open."""
    market, sessions = part.market, part.looking_back(1).sessions  # a late bar may fall to the next date in UTC
    hours = [market.trading_hours(session, extended=extended) for session in sessions]
    quarters = [pl.datetime_range(opens, closes, BAR_LENGTH, closed="left", eager=True) for opens, closes in hours]
    traded = pl.concat([pl.Series(dtype=pl.Datetime("us")), *quarters])
    local = pl.col("ts").dt.replace_time_zone("UTC").dt.convert_time_zone(market.timezone).dt.date()
    return traded, {
        "time is not a quarter of an hour": pl.col("ts").dt.truncate("15m") != pl.col("ts"),
        "date is not a session of the market": ~local.is_in(pl.Series(sessions, dtype=pl.Date).implode()),
        "time is outside of the session": ~pl.col("ts").is_in(traded.implode()),
    }


def _split_duplicates(valid: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Three frames: each bar once, exact duplicates, and bars that contradict each other, each once."""
    if _has_no_duplicates(valid):
        return valid, valid.clear(), valid.clear()
    first = valid.select(pl.struct("instrument", "ts", *_CONTENT).is_first_distinct()).to_series()
    distinct = valid.filter(first)
    clash = distinct.select("instrument", "ts").is_duplicated()
    return distinct.filter(~clash), valid.filter(~first), distinct.filter(clash)


def _has_no_duplicates(valid: pl.DataFrame) -> bool:
    """Whether no bar is there twice, as nearly always: known from the order of rows, or else from hashes."""
    for first, second in (("ts", "instrument"), ("instrument", "ts")):
        rises = (pl.col(first) != pl.col(first).shift()) | (pl.col(second) > pl.col(second).shift())
        if valid[first].is_sorted() and valid.select(rises.all()).item():
            return True
    hashes = valid.select(pl.col("instrument").hash() + pl.col("ts").hash(1)).to_series()
    return hashes.n_unique() == valid.height


def _rejected_rows(rejected: pl.DataFrame, part: Slice, source: str, interval: str) -> pl.DataFrame:
    """Rejected rows with the columns of `rejected_bars`; the id is derived from the content, so it is stable."""
    as_delivered = pl.struct("symbol", "exchange", pl.col("ts").cast(pl.String), *_CONTENT, "interval")
    return identify_rejected(
        rejected.with_columns(
            raw=pl.coalesce("raw", as_delivered.struct.json_encode()),
            market=pl.lit(part.market.name),
            source=pl.lit(source),
        ),
        interval,
    )


def identify_rejected(rejected: pl.DataFrame, interval: str) -> pl.DataFrame:
    """Rejected rows of an interval with the columns of `rejected_bars`, and ids derived from their content."""
    rows = rejected.select("session", "file", "line", "raw", "reason", "market", "source")
    named = rows if interval == "daily" else rows.with_columns(interval=pl.lit(interval))
    return rows.with_columns(id=_row_ids(named), interval=pl.lit(interval))


def _row_ids(rows: pl.DataFrame) -> pl.Series:
    occurrence = pl.int_range(pl.len()).over(rows.columns)
    named = rows.select(pl.concat_str(pl.all().cast(pl.String), occurrence, separator="|", ignore_nulls=True))
    return pl.Series([str(uuid.uuid5(_NAMESPACE, name)) for name in named.to_series()], dtype=pl.String)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
