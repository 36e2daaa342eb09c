"""Contracts: a delivered bar is kept, merged with its twin, or rejected with a reason; none is lost."""

import datetime as dt
import json
import math
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from conftest import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.arbitrary import ARBITRARY_DELIVERIES
from worlds.frames import IDS, delivered_bars, instruments, midnight, slice_of

from boursomatic_assets.quality import contract
from boursomatic_assets.quality.contract import CONTRADICTION_REASONS, NOISE, apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import PriceBar
from boursomatic_assets.sources import RAW_BARS
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.deliveries.rejected_rows import REJECTED_BARS

PART = slice_of("US", "2025-01-08", "2025-01-09", "2025-01-10")  # closed on the 9th
GOOD = delivered_bars("ACME BOLT", "2025-01-08", "2025-01-10")
TWINS = "two different bars for one session"


def judged(raw: pl.DataFrame) -> Delivery:
    return apply_contract(raw, PART, instruments(), "toy")


def one(**changed: Any) -> pl.DataFrame:
    return delivered_bars("ACME", "2025-01-08", **changed)


def test_good_bars_are_kept_as_they_came() -> None:
    delivery = judged(GOOD)
    assert delivery.rejected.is_empty()
    assert delivery.total("merged") == delivery.total("repaired") == 0
    assert delivery.kept.select("ts", *"ohlcv", "interval").equals(GOOD.select("ts", *"ohlcv", "interval"))
    assert delivery.kept["instrument_id"].to_list() == [IDS["ACME"], IDS["BOLT"]] * 2
    assert delivery.kept["market"].unique().to_list() == ["US"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"symbol": None}, "symbol is missing"),
        ({"exchange": None}, "exchange is not of a known market"),
        ({"exchange": "EURONEXT"}, "exchange is not of a known market"),
        ({"exchange": "nyse"}, "exchange is not of a known market"),
        ({"symbol": "GHOST"}, "instrument is unknown"),
        ({"exchange": "NASDAQ"}, "instrument is unknown"),
        ({"interval": "15m"}, "interval is not known"),
        ({"interval": None}, "interval is not known"),
        ({"ts": None}, "time is missing or unreadable"),
        ({"ts": midnight("1984-09-07")}, "date is before the first partition"),
        ({"ts": midnight("2999-01-04")}, "bar is in the future"),
        ({"ts": midnight("2025-01-09")}, "date is not a session of the market"),
        ({"ts": midnight("2025-01-11")}, "date is not a session of the market"),
        ({"ts": midnight("2025-01-08 14:30")}, "date is not a session of the market"),
        ({"o": None}, "price is missing"),
        ({"c": None}, "price is missing"),
        ({"h": math.nan}, "price is not finite"),
        ({"h": math.inf}, "price is not finite"),
        ({"l": -math.inf}, "price is not finite"),
        ({"symbol": "ZVZZT"}, "symbol is an exchange's test symbol"),
        ({"symbol": "CTEST.A"}, "symbol is an exchange's test symbol"),
        ({"file": "notes.txt", "symbol": None}, "file cannot be understood"),
        ({"l": 0.0}, "price is not positive"),
        ({"o": -10.0}, "price is not positive"),
        ({"v": None}, "volume is missing"),
        ({"v": -1.0}, "volume is negative or not finite"),
        ({"v": math.nan}, "volume is negative or not finite"),
        ({"v": math.inf}, "volume is negative or not finite"),
        ({"h": 9.99}, "high is not the highest price"),
        ({"o": 11.01}, "high is not the highest price"),
        ({"l": 10.01}, "low is not the lowest price"),
        ({"c": 8.99}, "low is not the lowest price"),
    ],
)
def test_each_broken_rule_is_the_reason(changed: dict[str, Any], reason: str) -> None:
    delivery = judged(pl.concat([GOOD.tail(3), one(**changed)]))
    assert delivery.rejected["reason"].to_list() == [reason]
    assert delivery.kept.height == 3


def test_a_bar_of_tomorrow_is_refused_and_one_of_today_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Clock":
            return cls(2025, 1, 9, 23, 59, tzinfo=tz)

    monkeypatch.setattr(contract, "dt", SimpleNamespace(**vars(dt) | {"datetime": Clock}))
    delivery = judged(GOOD)
    assert delivery.kept["ts"].unique().to_list() == [midnight("2025-01-08")]
    assert delivery.rejected["reason"].to_list() == ["bar is in the future"] * 2


def test_a_volume_of_nothing_is_good() -> None:
    assert judged(one(v=0.0)).kept.height == 1


def test_float_noise_is_repaired_and_counted() -> None:
    noisy = pl.concat([one(h=11.0, c=11.0 * (1 + NOISE / 2)), GOOD.tail(1).with_columns(o=9.0 * (1 - NOISE / 2))])
    delivery = judged(noisy)
    assert delivery.total("repaired") == 2
    assert delivery.kept["h"].to_list() == [11.0 * (1 + NOISE / 2), 11.0]
    assert delivery.kept["l"].to_list() == [9.0, 9.0 * (1 - NOISE / 2)]


@pytest.mark.parametrize("changed", [{"c": 11.0 * (1 + 2 * NOISE)}, {"o": 9.0 * (1 - 2 * NOISE)}])
def test_more_than_noise_is_refused(changed: dict[str, float]) -> None:
    delivery = judged(one(**changed))
    assert (delivery.kept.height, delivery.total("repaired"), delivery.rejected.height) == (0, 0, 1)


def test_identical_twins_are_one_bar() -> None:
    delivery = judged(pl.concat([GOOD, one(file="again.csv", line=7)]))
    assert (delivery.kept.height, delivery.total("merged"), delivery.rejected.height) == (4, 1, 0)


def test_of_contradicting_twins_neither_is_believed() -> None:
    delivery = judged(pl.concat([GOOD, one(c=10.5), one(c=10.5)]))
    assert delivery.rejected["reason"].to_list() == [TWINS, TWINS]
    assert (delivery.kept.height, delivery.total("merged")) == (3, 1)


def test_bars_under_two_names_of_one_instrument_are_twins() -> None:
    alias = instruments().filter(symbol="ACME").with_columns(exchange=pl.lit("US"))
    also = one(exchange="US")
    for raw, counts in (([GOOD, also], (4, 1, 0)), ([GOOD, also.with_columns(c=10.5)], (3, 0, 2))):
        delivery = apply_contract(pl.concat(raw), PART, pl.concat([instruments(), alias]), "toy")
        assert (delivery.kept.height, delivery.total("merged"), delivery.rejected.height) == counts
    assert set(delivery.rejected["reason"]) == {TWINS}


BARS = st.tuples(st.sampled_from(["2025-01-08", "2025-01-10"]), st.sampled_from(["ACME", "BOLT"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(BARS, min_size=1, max_size=6), st.sampled_from([None, "ts", "symbol"]))
def test_twins_are_found_in_any_order(bars: list[tuple[str, str]], ordered: str | None) -> None:
    rows = pl.concat(delivered_bars(symbol, date) for date, symbol in bars)
    delivery = judged(rows.sort(ordered, *{"ts", "symbol"} - {ordered}) if ordered else rows)
    distinct = len(set(bars))
    assert (delivery.kept.height, delivery.total("merged")) == (distinct, len(bars) - distinct)


def test_a_bad_twin_does_not_harm_the_good_one() -> None:
    delivery = judged(pl.concat([GOOD, one(c=None)]))
    assert delivery.rejected["reason"].to_list() == ["price is missing"]
    assert delivery.kept.height == 4


def test_a_rejected_row_keeps_its_raw_form_and_its_place() -> None:
    raw = '{"symbol": "ACME", "c": "ten"}'
    row = judged(one(c=None, raw=raw, file="june.csv", line=3)).rejected.row(0, named=True)
    assert (row["raw"], row["file"], row["line"], row["market"], row["source"]) == (
        raw,
        "june.csv",
        3,
        "US",
        "toy",
    )


def test_a_row_of_a_source_without_raw_form_is_kept_as_delivered() -> None:
    row = judged(one(c=None)).rejected.row(0, named=True)
    told = json.loads(row["raw"])
    assert told | {"ts": told["ts"][:10]} == {
        **{"symbol": "ACME", "exchange": "NYSE", "ts": "2025-01-08", "interval": "daily"},
        **{"o": 10.0, "h": 11.0, "l": 9.0, "c": None, "v": 1000.0},
    }


@pytest.mark.parametrize(
    ("ts", "session"),
    [
        ("2025-01-08", "2025-01-08"),
        ("2025-01-08 14:30", "2025-01-08"),
        ("2025-01-09", "2025-01-09"),  # a partition date, though the market is closed
        ("2025-01-12", "2025-01-10"),  # a Sunday belongs to the Friday before
        (None, None),
    ],
)
def test_a_rejected_row_belongs_to_the_partition_that_delivered_it(ts: str | None, session: str | None) -> None:
    bad = one(symbol="GHOST", ts=ts and midnight(ts))
    assert judged(bad).rejected["session"].to_list() == [session and midnight(session)]


def test_the_same_rejected_row_has_the_same_id_in_any_company() -> None:
    bad = pl.concat([one(c=None, line=3), one(c=None, line=4), one(c=None), one(c=None)])
    alone, among = judged(bad).rejected, judged(pl.concat([GOOD, one(symbol=None), bad])).rejected
    assert alone["id"].n_unique() == 4
    assert set(alone["id"]) < set(among["id"])


def test_deliveries_add_up() -> None:
    first, second = judged(pl.concat([GOOD, GOOD])), judged(one(c=None))
    total = first + second
    assert (total.kept.height, total.total("merged"), total.rejected.height) == (4, 4, 1)


def test_an_empty_delivery_is_judged() -> None:
    delivery = judged(pl.DataFrame(schema=RAW_BARS))
    assert delivery.kept.is_empty()
    assert delivery.rejected.is_empty()


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(ARBITRARY_DELIVERIES)
def test_no_row_is_lost_and_what_is_kept_fits_its_table(raw: pl.DataFrame) -> None:
    delivery = judged(raw)
    assert delivery.kept.height + delivery.total("merged") + delivery.rejected.height == raw.height
    frames.validate(PriceBar.__table__, delivery.kept.drop("market", "file"))
    frames.validate(REJECTED_BARS, delivery.rejected.with_columns(run_id=pl.lit("run")))
    assert delivery.kept.filter(pl.col("h") < pl.max_horizontal(*"ocl")).is_empty()
    assert all(json.loads(row) for row in delivery.rejected["raw"])


def is_good(row: dict[str, Any], interval: str) -> bool:
    """What the contract says of a row, written down once more."""
    prices = [row[name] for name in "ohlc"]
    if None in (*prices, row["v"], row["ts"]) or not all(map(math.isfinite, (*prices, row["v"]))):
        return False
    session, time = row["ts"].date().isoformat(), row["ts"].time()
    open_then = dt.time(14, 30) <= time < dt.time(21) and time.minute % 15 == 0
    return (
        (row["symbol"], row["exchange"]) in (("ACME", "NYSE"), ("BOLT", "NASDAQ"))
        and row["interval"] == interval
        and session in ("2025-01-08", "2025-01-10")
        and (time == dt.time() if interval == "daily" else open_then)
        and min(prices) > 0
        and row["v"] >= 0
        and row["h"] * (1 + NOISE) >= max(prices)
        and row["l"] * (1 - NOISE) <= min(prices)
    )


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["daily", "15m"])
@settings(max_examples=2 * EXAMPLES)
@given(raw=ARBITRARY_DELIVERIES)
def test_exactly_the_bad_rows_break_a_rule(raw: pl.DataFrame, interval: str) -> None:
    rejected = apply_contract(raw, PART, instruments(), "toy", interval).rejected
    broken = rejected.filter(~pl.col("reason").is_in(CONTRADICTION_REASONS.values()))
    assert broken.height == sum(not is_good(row, interval) for row in raw.iter_rows(named=True))
