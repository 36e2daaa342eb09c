"""Labels of closes written by hand."""

from collections import Counter
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.learning.labels import RELATIVE_LIMIT, label_rows, ranks, sample_sessions, thirds

US = MARKETS["US"].sessions().astype("datetime64[us]").tolist()
FIRST = US.index(datetime(2024, 1, 2))
DAYS: list[datetime] = US[FIRST : FIRST + 40]
LETTERS = "abcdefghijklm"
NAMES = pl.Enum([*LETTERS, "p", "q", "r"])


def closes(instrument: str, prices: list[float | None], market: str = "US") -> pl.DataFrame:
    """Closes on consecutive sessions of New York from 2024-01-02 on; None is a session without a bar."""
    c = pl.Series("c", prices, pl.Float64, strict=False)
    frame = pl.DataFrame({"market": market, "instrument_id": instrument, "ts": DAYS[: len(prices)], "c": c})
    typed = frame.with_columns(pl.col("instrument_id").cast(NAMES), pl.col("ts").cast(pl.Datetime("us")))
    return typed.drop_nulls("c")


def labelled(prices: pl.DataFrame, horizon: int) -> pl.DataFrame:
    rows = prices.sort("ts", "instrument_id")
    labels = label_rows(rows, prices.sort("instrument_id", "ts"), horizon)
    return pl.concat([rows, labels], how="horizontal").sort("instrument_id", "ts")


def first_session(*returns: float | None, names: str = LETTERS, market: str = "US") -> pl.DataFrame:
    """The labelled rows of one session, each with this return to the next one; None is a split in between."""
    both = pl.concat(
        closes(name, [100.0, 100.0 * (1 + (one or 0))], market).with_columns(
            basis=pl.Series([0, int(one is None)])
        )
        for name, one in zip(names, returns, strict=False)
    )
    return labelled(both, 1).filter(pl.col("ts") == DAYS[0])


# --- forward returns


def test_a_forward_return_is_from_a_close_to_the_close_a_horizon_later() -> None:
    assert labelled(closes("a", [100, 110, 150, 55]), 2)["forward_return"].to_list() == [0.5, -0.5, None, None]


def test_a_label_is_known_when_its_horizon_ends() -> None:
    known = labelled(closes("a", [1, 2, 3, 4]), 2)
    assert known["known_at"].to_list() == [DAYS[2], DAYS[3], None, None]
    assert known["label"].is_null().to_list() == [False, False, True, True]


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
    nothing = labelled(hole, 5)[:2].select("forward_return", "relative_return", "return_rank", "known_at", "label")
    assert nothing.null_count().row(0) == (2,) * 5


def test_a_horizon_is_counted_on_the_instruments_own_market() -> None:
    """New York is closed on 2024-01-15, Paris is not."""
    paris = MARKETS["EURONEXT"].sessions().astype("datetime64[us]").tolist()
    days = [day for day in paris if datetime(2024, 1, 12) <= day <= datetime(2024, 1, 16)]
    frame = pl.DataFrame({"market": "EURONEXT", "instrument_id": "p", "ts": days, "c": [1.0, 2.0, 4.0]})
    typed = frame.with_columns(pl.col("instrument_id").cast(NAMES), pl.col("ts").cast(pl.Datetime("us")))
    assert labelled(typed, 1)["known_at"].to_list() == [datetime(2024, 1, 15), datetime(2024, 1, 16), None]


def test_bars_after_the_horizon_change_nothing() -> None:
    short = pl.concat([closes("a", [1, 2, 3, 4]), closes("b", [3, 2, 4, 2])])
    long = pl.concat([closes("a", [1, 2, 3, 4, 100, 0.1]), closes("b", [3, 2, 4, 2, 0.1, 7])])
    before = pl.col("ts") < DAYS[2]
    assert labelled(long, 2).filter(before).equals(labelled(short, 2).filter(before))


def test_there_is_no_return_from_one_basis_of_the_prices_to_another() -> None:
    split = closes("a", [100, 105, 26, 27, 27]).with_columns(basis=pl.Series([0, 0, 1, 1, 1]))
    found = labelled(split, 1)
    assert found["forward_return"].to_list() == pytest.approx([0.05, None, 1 / 26, 0.0, None])
    assert found["known_at"].to_list() == [DAYS[1], None, DAYS[3], DAYS[4], None]


def test_neighbouring_rows_of_two_instruments_are_no_break() -> None:
    both = pl.concat([closes("a", [1.0, 1.1]), closes("b", [1000.0, 1100.0])])
    assert labelled(both, 1)["forward_return"].drop_nulls().to_list() == pytest.approx([0.1, 0.1])


# --- thirds


def test_the_label_is_the_third_of_the_session_that_the_return_is_in() -> None:
    """Though all of them rose: what counts is the place among the others."""
    found = first_session(0.06, 0.01, 0.03, 0.05, 0.02, 0.04)
    assert found["label"].to_list() == ["BUY", "SELL", "HOLD", "BUY", "SELL", "HOLD"]
    assert found["return_rank"].to_list() == pytest.approx([11 / 12, 1 / 12, 5 / 12, 9 / 12, 3 / 12, 7 / 12])


def test_all_falling_together_changes_no_label() -> None:
    returns = np.array([0.06, 0.01, 0.03, 0.05, 0.02, 0.04])
    assert first_session(*(returns - 0.2))["label"].equals(first_session(*returns)["label"])


def test_each_market_and_each_session_has_thirds_of_its_own() -> None:
    """The worst of New York is better than the best of Paris, and the next session turns New York round."""
    new_york = [[100, 150, 160], [100, 140, 170], [100, 130, 180]]
    paris = [[100, 90, 80], [100, 80, 80], [100, 70, 80]]
    frames = [closes(name, prices) for name, prices in zip("abc", new_york, strict=True)]
    frames += [closes(name, prices, "EURONEXT") for name, prices in zip("pqr", paris, strict=True)]
    found = labelled(pl.concat(frames), 1)
    for session, market, expected in (
        (DAYS[0], "US", ["BUY", "HOLD", "SELL"]),
        (DAYS[0], "EURONEXT", ["BUY", "HOLD", "SELL"]),
        (DAYS[1], "US", ["SELL", "HOLD", "BUY"]),
        (DAYS[1], "EURONEXT", ["SELL", "HOLD", "BUY"]),
    ):
        rows = found.filter(market=market, ts=session).sort("instrument_id")
        assert rows["label"].to_list() == expected


@pytest.mark.parametrize(
    ("size", "shares"),
    [
        (1, (0, 1, 0)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (4, (1, 2, 1)),
        (5, (2, 1, 2)),
        (6, (2, 2, 2)),
        (7, (2, 3, 2)),
        (12, (4, 4, 4)),
        (13, (4, 5, 4)),
    ],
)
def test_thirds_are_as_equal_as_whole_numbers_can_be(size: int, shares: tuple[int, int, int]) -> None:
    """One alone is neither; what is left over goes to the middle, or to both ends alike."""
    counted = Counter(first_session(*(n / 100 for n in range(size)))["label"])
    assert (counted["SELL"], counted["HOLD"], counted["BUY"]) == shares


@pytest.mark.parametrize("size", range(3, 200, 3))
def test_a_session_of_a_multiple_of_three_has_exact_thirds(size: int) -> None:
    """Whatever a share of such a size is in floating point."""
    session = {"market": ["US"] * size, "ts": [DAYS[0]] * size, "x": np.arange(float(size))}
    found = pl.DataFrame(session).with_columns(rank=ranks("x")).select(thirds("rank")).to_series()
    assert found.to_list() == ["SELL"] * (size // 3) + ["HOLD"] * (size // 3) + ["BUY"] * (size // 3)


def test_equal_returns_share_a_label() -> None:
    assert first_session(0.01, 0.01, 0.01, 0.01, 0.01, 0.01)["label"].to_list() == ["HOLD"] * 6
    assert first_session(0.02, 0.02, 0.02, 0.01)["label"].to_list() == ["HOLD", "HOLD", "HOLD", "SELL"]
    assert first_session(0.01, 0.02, 0.03, 0.03)["label"].to_list() == ["SELL", "HOLD", "BUY", "BUY"]


def test_equal_returns_on_the_edge_of_a_third_are_in_the_middle() -> None:
    """The second and third of six, and the fourth and fifth: their mean rank is the edge itself."""
    found = first_session(0.01, 0.02, 0.02, 0.03, 0.03, 0.04)["label"]
    assert found.to_list() == ["SELL", "HOLD", "HOLD", "HOLD", "HOLD", "BUY"]


def test_an_instrument_without_a_return_is_not_counted_among_the_others() -> None:
    found = first_session(0.01, None, 0.02, 0.03)
    assert found["label"].to_list() == ["SELL", None, "HOLD", "BUY"]
    assert found["return_rank"].to_list() == pytest.approx([1 / 6, None, 3 / 6, 5 / 6])
    assert found["relative_return"].to_list() == pytest.approx([-0.01, None, 0.0, 0.01])


# --- relative returns


def test_a_relative_return_is_less_the_mean_of_its_market_and_session() -> None:
    frames = [closes("a", [100, 110, 110]), closes("b", [100, 104, 104])]
    frames += [closes("p", [100, 50, 50], "EURONEXT"), closes("q", [100, 60, 60], "EURONEXT")]
    found = labelled(pl.concat(frames), 1).filter(pl.col("ts") == DAYS[0]).sort("instrument_id")
    assert found["relative_return"].to_list() == pytest.approx([0.03, -0.03, -0.05, 0.05])


def test_a_relative_return_is_cut_and_a_forward_return_is_not() -> None:
    """The mean is that of the whole returns: 0.5."""
    found = first_session(2.9, 0.3, -0.5, -0.7)
    assert RELATIVE_LIMIT == 0.3
    assert found["relative_return"].to_list() == pytest.approx([0.3, -0.2, -0.3, -0.3])
    assert found["forward_return"].to_list() == pytest.approx([2.9, 0.3, -0.5, -0.7])


# --- sampled sessions


def test_every_fifth_date_of_both_calendars_together_is_sampled() -> None:
    every_fifth = set(all_sessions()[::5].astype("datetime64[us]").tolist())
    for name, market in MARKETS.items():
        days = market.sessions().astype("datetime64[us]")
        rows = pl.DataFrame({"market": name, "ts": days})
        kept = sample_sessions(rows, 5)["ts"].to_list()
        assert kept == [day for day in days.tolist() if day in every_fifth]
        assert len(kept) > 0.95 * len(every_fifth), "markets share nearly all of their dates"


def test_a_date_of_one_market_alone_is_sampled_there_alone() -> None:
    """A sampled date on which New York is closed has rows of Paris, and New York's next session is not taken."""
    new_york, paris = (set(MARKETS[name].sessions().tolist()) for name in ("US", "EURONEXT"))
    sampled = all_sessions()[::5].tolist()
    closed = next(date for date in sampled if date in paris and date not in new_york)
    following = min(date for date in new_york if date > closed)
    rows = pl.DataFrame({"market": ["EURONEXT", "US"], "ts": [closed, following]})
    assert sample_sessions(rows.cast({"ts": pl.Datetime("us")}), 5)["market"].to_list() == ["EURONEXT"]


def test_what_is_sampled_does_not_depend_on_what_is_loaded() -> None:
    whole = sample_sessions(closes("a", [1.0] * 40), 5)
    later = sample_sessions(closes("a", [1.0] * 40)[7:], 5)
    assert whole.height >= 6
    assert later.equals(whole.filter(pl.col("ts") >= DAYS[7]))
