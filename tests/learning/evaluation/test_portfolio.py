"""The portfolio of the deciles compared with arithmetic by hand, its metrics with empyrical."""

import math
from datetime import datetime, timedelta

import empyrical
import numpy as np
import polars as pl
import pytest

from boursomatic_assets.learning.evaluation.portfolio import (
    combine_markets,
    daily_results,
    max_drawdown,
    sharpe,
    turnover,
)
from boursomatic_assets.learning.evaluation.ranking import decile_spreads, pick_deciles

MONDAY = datetime(2024, 1, 1)


def day(number: int) -> datetime:
    return MONDAY + timedelta(number)


def closes(**prices: list[float | None]) -> pl.DataFrame:
    """Closes of instruments on consecutive days; None where one did not trade."""
    rows = [(name, day(k), c) for name, series in prices.items() for k, c in enumerate(series)]
    schema = {"instrument_id": pl.String, "ts": pl.Datetime("us"), "c": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row").drop_nulls().sort("instrument_id", "ts")


def picked(horizon: int, **scores: list[float | None]) -> pl.DataFrame:
    """The picks of sessions on consecutive days, from the scores of each instrument; None for no row."""
    rows = [(name, k, x) for name, series in scores.items() for k, x in enumerate(series) if x is not None]
    frame = pl.DataFrame(rows, {"instrument_id": pl.String, "session": pl.Int64, "m": pl.Float64}, orient="row")
    ts = pl.lit(MONDAY).cast(pl.Datetime("us")) + pl.duration(days="session")
    return pick_deciles(frame.with_columns(ts=ts, known_at=ts + pl.duration(days=horizon)), "m")


def test_the_trades_of_two_sessions_by_hand() -> None:
    prices = closes(a=[100, 110, 121, 121], b=[50, 50, 45, 45], c=[10, 10, 10, 20])
    # Half of the book each: a quarter long a, a quarter short b; then a quarter long a, a quarter short c.
    opened = picked(2, a=[3, 3], b=[1, 2], c=[2, 1])
    days = daily_results({"m": opened}, prices, share=1 / 2, cost=0.0)
    long_a = 11 / 100 + 11 / 110
    assert days["earned_m"].to_list() == pytest.approx(
        [0, 10 / 100 / 4, (long_a + 5 / 50) / 4, -10 / 10 / 4], abs=1e-15
    )
    closing = [(1.21 + 0.9) / 4, (1.1 + 2) / 4]
    assert days["traded_m"].to_list() == pytest.approx([1 / 2, 1 / 2, *closing])


def test_every_amount_bought_or_sold_costs() -> None:
    prices = closes(a=[100, 110, 121, 121], b=[50, 50, 45, 45])
    opened = picked(2, a=[2, 2], b=[1, 1])
    free, paid = (daily_results({"m": opened}, prices, 1 / 2, cost) for cost in (0.0, 0.001))
    costs = free["earned_m"] - paid["earned_m"]
    assert costs.to_list() == pytest.approx((0.001 * free["traded_m"]).to_list())


def test_opposite_trades_of_an_instrument_are_netted() -> None:
    prices = closes(a=[100, 120, 150], b=[50, 50, 50], c=[10, 10, 10])
    opened = picked(1, a=[3, 3], b=[1, 2], c=[2, 1])
    # On the second day half a book of a is bought and 0.6 is sold; b is bought back, c sold short.
    assert daily_results({"m": opened}, prices, 1, 0.0)["traded_m"][1] == pytest.approx(0.1 + 0.5 + 0.5)


def test_the_portfolio_earns_the_decile_spread_of_each_session() -> None:
    random = np.random.default_rng(3)
    names = [f"i{n:02d}" for n in range(25)]
    prices = {name: 20 * np.exp(random.normal(0, 0.02, 40).cumsum()) for name in names}
    opened = picked(5, **{name: random.normal(size=35).tolist() for name in names})
    outcome = [
        prices[name][k + 5] / prices[name][k] - 1 for name, k in opened.select("instrument_id", "session").rows()
    ]
    gross, _ = decile_spreads(opened.with_columns(forward_return=pl.Series(outcome)), 35, cost=0.0)
    days = daily_results({"m": opened}, closes(**{name: p.tolist() for name, p in prices.items()}), 1 / 5, 0.0)
    assert days["earned_m"].sum() == pytest.approx(gross.sum() / 5 / 2)


def test_an_instrument_that_stops_trading_keeps_its_last_price() -> None:
    prices = closes(a=[100, 110, None, None], b=[50, None, 40, 40])
    days = daily_results({"m": picked(3, a=[2], b=[1])}, prices, 1, 0.0)
    assert days["earned_m"].to_list() == pytest.approx([0, 0.1 / 2, 0.2 / 2, 0])
    assert days["traded_m"].to_list() == pytest.approx([1, 0, 0, (1.1 + 0.8) / 2])


def test_later_closes_and_picks_change_no_earlier_day() -> None:
    a, b = [100.0, 103, 99, 104, 101, 90], [50.0, 51, 49, 52, 53, 54]
    whole = daily_results({"m": picked(2, a=[1, 2, 1, 1], b=[2, 1, 2, 2])}, closes(a=a, b=b), 1 / 2, 0.001)
    early = daily_results({"m": picked(2, a=[1, 2, 1], b=[2, 1, 2])}, closes(a=a[:3], b=b[:3]), 1 / 2, 0.001)
    assert whole.head(3).equals(early)


def test_a_pick_without_a_close_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="b is in the record at 2024-01-02 but has no daily close then"):
        daily_results({"m": picked(1, a=[None, 2], b=[None, 1])}, closes(a=[1, 1, 1], b=[1, None, 1]), 1, 0.0)


def test_each_market_that_has_opened_is_an_equal_share_of_the_book() -> None:
    days = pl.DataFrame(
        {
            "market": ["US"] * 4 + ["EURONEXT"] * 3,
            "ts": [day(k) for k in (0, 1, 2, 3, 1, 3, 4)],
            "earned_m": [0.01, 0.02, 0.03, 0.04, 0.2, 0.4, 0.5],
        },
        schema_overrides={"ts": pl.Datetime("us")},
    )
    sessions = pl.DataFrame({"market": ["US", "US", "EURONEXT", "EURONEXT"], "ts": [day(k) for k in (0, 3, 1, 3)]})
    book = combine_markets(days, sessions.cast({"ts": pl.Datetime("us")}))
    # Only one market is open on the first day; on the third one is closed; the last is after its last session.
    assert book["ts"].to_list() == [day(k) for k in range(4)]
    assert book["earned_m"].to_list() == pytest.approx([0.01, 0.22 / 2, 0.03 / 2, 0.44 / 2])


@pytest.mark.parametrize("seed", range(5))
def test_the_metrics_are_those_of_empyrical(seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0.0005, 0.01, 300)
    assert sharpe(returns) == pytest.approx(empyrical.sharpe_ratio(returns))
    assert max_drawdown(returns) == pytest.approx(-empyrical.max_drawdown(returns))


def test_constant_returns_have_no_sharpe_ratio() -> None:
    assert sharpe(np.zeros(5)) is None
    assert sharpe(np.array([0.01])) is None
    assert sharpe(np.array([0.01, 0.03])) == pytest.approx(0.02 / (0.01 * math.sqrt(2)) * math.sqrt(252))


def test_the_drawdown_is_from_the_best_value_so_far_and_counts_the_first_loss() -> None:
    assert max_drawdown(np.array([0.1, -0.5, 0.2, 0.1])) == pytest.approx(0.5)
    assert max_drawdown(np.array([-0.1])) == pytest.approx(0.1)
    assert max_drawdown(np.array([0.1, 0.2])) == 0


def test_a_loss_of_more_than_the_book_is_a_drawdown_of_one() -> None:
    assert max_drawdown(np.array([0.1, -1.5, -0.2, 0.3])) == 1


def test_the_turnover_is_the_amount_traded_in_a_year() -> None:
    assert turnover(np.array([0.1, 0.0])) == pytest.approx(0.05 * 252)


def test_no_days_have_no_metrics() -> None:
    assert [f(np.array([])) for f in (sharpe, max_drawdown, turnover)] == [None] * 3
