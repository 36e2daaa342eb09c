"""Labels of closes written by hand."""

from datetime import datetime

import polars as pl
import pytest

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.labels import label_rows, sample_sessions

US = MARKETS["US"].sessions().astype("datetime64[us]").tolist()
FIRST = US.index(datetime(2024, 1, 2))
DAYS: list[datetime] = US[FIRST : FIRST + 40]
NAMES = pl.Enum(["a", "b", "p"])


def closes(instrument: str, prices: list[float | None], market: str = "US") -> pl.DataFrame:
    """Closes on consecutive sessions of New York from 2024-01-02 on; None is a session without a bar."""
    c = pl.Series("c", prices, pl.Float64, strict=False)
    frame = pl.DataFrame({"market": market, "instrument_id": instrument, "ts": DAYS[: len(prices)], "c": c})
    typed = frame.with_columns(pl.col("instrument_id").cast(NAMES), pl.col("ts").cast(pl.Datetime("us")))
    return typed.drop_nulls("c")


def labelled(prices: pl.DataFrame, horizon: int, volatility: float | None = 0.05) -> pl.DataFrame:
    rows = prices.sort("ts", "instrument_id").with_columns(vol_20d=pl.lit(volatility, pl.Float64))
    labels = label_rows(rows, prices.sort("instrument_id", "ts"), horizon, threshold=1.0)
    return pl.concat([rows, labels], how="horizontal").sort("instrument_id", "ts")


def test_a_forward_return_is_from_a_close_to_the_close_a_horizon_later() -> None:
    assert labelled(closes("a", [100, 110, 150, 55]), 2)["forward_return"].to_list() == [0.5, -0.5, None, None]


def test_a_label_is_known_when_its_horizon_ends() -> None:
    known = labelled(closes("a", [1, 2, 3, 4]), 2)["known_at"]
    assert known.to_list() == [DAYS[2], DAYS[3], None, None]


def test_a_return_never_crosses_two_instruments() -> None:
    both = pl.concat([closes("b", [1000, 1100, 1200]), closes("a", [1, 2, 3])])
    found = labelled(both, 1)["forward_return"].to_list()
    assert found == [1.0, 0.5, None, pytest.approx(0.1), pytest.approx(1 / 11), None]


def test_an_instrument_that_stops_trading_keeps_its_last_price() -> None:
    both = pl.concat([closes("a", [100, 120, 90]), closes("b", [1.0] * 6)])
    a = labelled(both, 3).filter(instrument_id="a")
    assert a["forward_return"].to_list() == pytest.approx([-0.1, -0.25, 0.0])
    assert a["known_at"].to_list() == DAYS[3:6]


def test_a_session_without_a_bar_counts_and_keeps_the_price_before() -> None:
    both = pl.concat([closes("a", [100, None, 150, 200]), closes("b", [1.0] * 4)])
    a = labelled(both, 1).filter(instrument_id="a")
    assert a["forward_return"].to_list() == [0.0, pytest.approx(1 / 3), None]


def test_a_horizon_that_ends_on_a_session_that_is_not_loaded_gives_no_label() -> None:
    hole = pl.concat([closes("a", [100, 110]), closes("a", [100] * 40).filter(pl.col("ts") > DAYS[20])])
    assert labelled(hole, 5)["known_at"].to_list()[:2] == [None, None]


def test_a_horizon_is_counted_on_the_instruments_own_market() -> None:
    """New York is closed on 2024-01-15, Paris is not."""
    paris = MARKETS["EURONEXT"].sessions().astype("datetime64[us]").tolist()
    days = [day for day in paris if datetime(2024, 1, 12) <= day <= datetime(2024, 1, 16)]
    frame = pl.DataFrame({"market": "EURONEXT", "instrument_id": "p", "ts": days, "c": [1.0, 2.0, 4.0]})
    typed = frame.with_columns(pl.col("instrument_id").cast(NAMES), pl.col("ts").cast(pl.Datetime("us")))
    assert labelled(typed, 1)["known_at"].to_list() == [datetime(2024, 1, 15), datetime(2024, 1, 16), None]


@pytest.mark.parametrize(
    ("end", "expected"), [(110.1, "BUY"), (109.9, "HOLD"), (90.1, "HOLD"), (89.9, "SELL"), (100.0, "HOLD")]
)
def test_the_edge_is_a_multiple_of_the_instruments_own_volatility(end: float, expected: str) -> None:
    """Here 1 x 5 % x the root of 4 sessions: 10 %."""
    assert labelled(closes("a", [100, 100, 100, 100, end]), 4)["label"][0] == expected


@pytest.mark.parametrize("volatility", [None, 0.0])
def test_without_a_volatility_there_is_a_return_and_no_label(volatility: float | None) -> None:
    row = labelled(closes("a", [100, 110]), 1, volatility).row(0, named=True)
    assert (row["z"], row["label"]) == (None, None)
    assert row["forward_return"] == pytest.approx(0.1)


def test_bars_after_the_horizon_change_nothing() -> None:
    short, long = closes("a", [1, 2, 3, 4]), closes("a", [1, 2, 3, 4, 100, 0.1])
    assert labelled(long, 2)["forward_return"][:2].equals(labelled(short, 2)["forward_return"][:2])


def test_every_fifth_session_of_a_market_is_sampled_whatever_the_range() -> None:
    whole = sample_sessions(closes("a", [1.0] * 40), 5)
    later = sample_sessions(closes("a", [1.0] * 40)[7:], 5)
    assert whole.height == 8
    assert later.equals(whole.filter(pl.col("ts") >= DAYS[7]))


def test_there_is_no_return_from_one_basis_of_the_prices_to_another() -> None:
    split = closes("a", [100, 105, 26, 27, 27]).with_columns(basis=pl.Series([0, 0, 1, 1, 1]))
    found = labelled(split, 1)
    assert found["forward_return"].to_list() == pytest.approx([0.05, None, 1 / 26, 0.0, None])
    assert found["known_at"].to_list() == [DAYS[1], None, DAYS[3], DAYS[4], None]


def test_neighbouring_rows_of_two_instruments_are_no_break() -> None:
    both = pl.concat([closes("a", [1.0, 1.1]), closes("b", [1000.0, 1100.0])])
    assert labelled(both, 1)["forward_return"].drop_nulls().to_list() == pytest.approx([0.1, 0.1])
