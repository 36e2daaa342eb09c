"""Labels and splits on closes that are written down by hand."""

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from boursomatic_assets.learning.labels import daily_closes, forward_returns, labelled
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.splits import NotEnoughHistory, split

MONDAY = datetime(2024, 1, 1)
LATER = datetime(2030, 1, 1)
SMALL = replace(Parameters(), horizon=2, label_threshold=1.0, minimum_training_rows=1, minimum_training_sessions=1)


def bars(instrument: str, closes: list[float], days: list[int] | None = None) -> pl.DataFrame:
    """Daily bars, by default on consecutive days."""
    days = days or list(range(len(closes)))
    ts = pl.Series("ts", [MONDAY + timedelta(day) for day in days], pl.Datetime("us"))
    frame = pl.DataFrame({"instrument_id": instrument, "ts": ts, "c": closes, "interval": "daily"})
    return frame.with_columns(pl.col("c").alias(name) for name in "ohlv")


def features(prices: pl.DataFrame, volatility: float | None = 0.05) -> pl.DataFrame:
    """Feature rows for these bars, all of one volatility and otherwise zero."""
    columns = dict.fromkeys(Parameters().features, pl.lit(0.0)) | {"vol_20d": pl.lit(volatility, pl.Float64)}
    return prices.select("instrument_id", "ts").with_columns(**columns)


def outcome(prices: pl.DataFrame, horizon: int) -> list[float | None]:
    return forward_returns(daily_closes(prices), horizon)["forward_return"].to_list()


def test_a_forward_return_is_from_a_close_to_the_close_a_horizon_later() -> None:
    assert outcome(bars("a", [100, 110, 150, 55]), 2) == [0.5, -0.5, None, None]


def test_a_label_is_known_when_its_horizon_ends() -> None:
    known = forward_returns(daily_closes(bars("a", [1, 2, 3, 4])), 2)["known_at"]
    assert known.to_list() == [MONDAY + timedelta(2), MONDAY + timedelta(3), None, None]


def test_a_return_never_crosses_two_instruments() -> None:
    both = pl.concat([bars("b", [1000, 1100, 1200]), bars("a", [1, 2, 3])])
    assert outcome(both, 1) == [1.0, 0.5, None, pytest.approx(0.1), pytest.approx(1 / 11), None]


def test_a_session_of_an_instrument_is_its_own_bar() -> None:
    halted = bars("a", [100, 120, 150], days=[0, 1, 30])
    known = forward_returns(daily_closes(halted), 2)
    assert known.row(0)[2:] == (0.5, MONDAY + timedelta(30))


def test_intraday_bars_are_no_closes() -> None:
    day = bars("a", [100, 110, 121])
    intraday = bars("a", [7, 7]).with_columns(pl.lit("15m").alias("interval"), pl.col("ts").dt.offset_by("15m"))
    assert outcome(pl.concat([day, intraday]), 1) == outcome(day, 1)


def test_the_label_is_in_units_of_the_instruments_own_volatility() -> None:
    prices = bars("a", [100, 100, 108, 93, 100])
    edge = 0.05 * 2**0.5
    assert 0.07 < edge < 0.08
    labels = labelled(features(prices), daily_closes(prices), SMALL)["label"]
    assert labels.to_list() == ["BUY", "HOLD", "SELL"]
    calm = labelled(features(prices, 0.1), daily_closes(prices), SMALL)["label"]
    assert calm.to_list() == ["HOLD"] * 3


def test_a_return_on_the_edge_is_a_hold() -> None:
    prices = bars("a", [100, 150, 75])
    exact = replace(SMALL, horizon=1)
    labels = labelled(features(prices, 0.5), daily_closes(prices), exact)["label"]
    assert labels.to_list() == ["HOLD", "HOLD"]


def test_a_row_without_a_volatility_has_no_label() -> None:
    prices = bars("a", [100, 100, 108])
    assert labelled(features(prices, None), daily_closes(prices), SMALL).is_empty()


def test_rows_come_out_by_time_and_instrument_in_whatever_order_they_came() -> None:
    prices = pl.concat([bars("b", [9.0] * 5), bars("a", [9.0] * 5)])
    rows = labelled(features(prices).reverse(), daily_closes(prices), SMALL)
    days = [MONDAY + timedelta(day) for day in (0, 1, 2)]
    assert rows.select("ts", "instrument_id").rows() == [(day, name) for day in days for name in "ab"]


def test_a_label_is_the_same_whatever_came_later() -> None:
    prices = pl.concat([bars("a", [100, 108, 93, 100, 104]), bars("b", [50, 40, 44, 48], days=[0, 2, 3, 4])])
    cutoff = MONDAY + timedelta(4)
    then = prices.filter(pl.col("ts") < cutoff)
    whole = labelled(features(prices), daily_closes(prices), SMALL)
    assert labelled(features(then), daily_closes(then), SMALL).equals(whole.filter(pl.col("known_at") < cutoff))


def test_a_label_that_is_known_only_at_the_cutoff_is_not_used_before_it() -> None:
    prices = bars("a", [100.0] * 40)
    cutoff = MONDAY + timedelta(30)
    rows = labelled(features(prices), daily_closes(prices), SMALL)
    assert max(split(rows, cutoff, SMALL).validation["known_at"]) == cutoff - timedelta(1)


def test_no_training_label_is_open_in_the_validation_window() -> None:
    prices = pl.concat([bars("a", [100.0] * 40), bars("b", [50.0] * 20, days=list(range(0, 40, 2)))])
    five = replace(SMALL, horizon=5)
    rows = labelled(features(prices), daily_closes(prices), five)
    parts = split(rows, LATER, five)
    assert max(parts.train["known_at"]) < parts.window.start <= min(parts.validation["ts"])
    kept = parts.train.filter(pl.col("instrument_id") == "a")["ts"].max()
    assert kept == parts.window.start - timedelta(6), "the purge takes the horizon, and nothing more"


def test_the_window_is_the_latest_sessions_up_to_its_largest_size() -> None:
    prices = bars("a", [100.0] * 102)
    rows = labelled(features(prices), daily_closes(prices), SMALL)
    assert split(rows, LATER, SMALL).validation["ts"].to_list() == rows["ts"].to_list()[-30:]
    small = split(rows, LATER, replace(SMALL, validation_sessions=7))
    assert small.validation["ts"].to_list() == rows["ts"].to_list()[-7:]
    assert (small.window.start, small.window.end) == (rows["ts"][-7], rows["ts"][-1])


def test_a_longer_history_never_starts_the_window_earlier() -> None:
    prices = bars("a", [100.0] * 120)
    rows = labelled(features(prices), daily_closes(prices), SMALL)
    starts = [split(rows, MONDAY + timedelta(days), SMALL).window.start for days in range(20, 120)]
    assert starts == sorted(starts)


@pytest.mark.parametrize("sessions", [0, 1, 30])
def test_too_little_history_is_refused_with_its_numbers(sessions: int) -> None:
    prices = bars("a", [100.0] * sessions)
    rows = labelled(features(prices), daily_closes(prices), SMALL)
    strict = replace(SMALL, minimum_training_rows=250, minimum_training_sessions=60)
    with pytest.raises(NotEnoughHistory, match=r"^not enough history before 2030-01-01: \d+ training rows .*250"):
        split(rows, LATER, strict)
