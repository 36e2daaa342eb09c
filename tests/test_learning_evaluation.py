"""Metrics against scikit-learn on the same arrays, and the portfolio against arithmetic by hand."""

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sklearn_metrics

from boursomatic_assets.learning.evaluation import (
    classification,
    log_loss,
    max_drawdown,
    portfolio_returns,
    shares,
    sharpe,
)
from boursomatic_assets.learning.labels import forward_returns

MONDAY = datetime(2024, 1, 1)
ALL = [0, 1, 2]


def sessions(count: int) -> list[datetime]:
    return [MONDAY + timedelta(day) for day in range(count)]


def closes(**prices: list[float]) -> pl.DataFrame:
    """Closes of instruments that trade on the same consecutive days."""
    frames = [pl.DataFrame({"instrument_id": n, "ts": sessions(len(c)), "c": c}) for n, c in prices.items()]
    return pl.concat(frames).with_columns(pl.col("c").cast(pl.Float64)).sort("instrument_id", "ts")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("present", [[0, 1, 2], [1, 2], [0]])
def test_the_metrics_are_those_of_scikit_learn(seed: int, present: list[int]) -> None:
    random = np.random.default_rng(seed)
    actual = random.choice(ALL, 60).astype(np.uint8)
    chosen = random.choice(present, 60).astype(np.uint8)
    macro = {"labels": ALL, "average": "macro", "zero_division": 0}
    assert classification(actual, chosen) == {
        "accuracy": pytest.approx(sklearn_metrics.accuracy_score(actual, chosen)),
        "precision": pytest.approx(sklearn_metrics.precision_score(actual, chosen, **macro)),
        "recall": pytest.approx(sklearn_metrics.recall_score(actual, chosen, **macro)),
        "f1": pytest.approx(sklearn_metrics.f1_score(actual, chosen, **macro)),
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_log_loss_is_that_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    actual = random.choice(ALL, 60).astype(np.uint8)
    chance = random.dirichlet([1, 1, 1], 60)
    assert log_loss(actual, chance) == pytest.approx(sklearn_metrics.log_loss(actual, chance, labels=ALL))


def test_a_certain_and_wrong_model_has_a_finite_loss() -> None:
    assert math.isfinite(log_loss(np.array([0], np.uint8), np.array([[0.0, 0.0, 1.0]])))


def test_shares_count_each_label() -> None:
    assert shares(np.array([2, 2, 1, 2], np.uint8)) == {"SELL": 0.0, "HOLD": 0.25, "BUY": 0.75}


def test_the_portfolio_by_hand() -> None:
    prices = closes(a=[100, 110, 121, 121], b=[50, 50, 45, 45])
    first, second = sessions(2)
    picks = [("a", first, 1), ("b", first, -1), ("a", second, 1), ("b", second, 0)]
    sides = pl.DataFrame(picks, schema=["instrument_id", "ts", "side"], orient="row")
    # The first session opens half of the book: a quarter long a at 100, a quarter short b at 50.
    # The second opens the other half: long a at 110. Each lasts two bars.
    quarter_long, quarter_short, half_long = 11 / 100 / 4, 5 / 50 / 4, 11 / 110 / 2
    expected = [10 / 100 / 4, quarter_long + quarter_short + half_long, 0.0]
    assert portfolio_returns(sides, prices, horizon=2) == pytest.approx(expected)


def test_the_portfolio_earns_the_forward_returns_of_its_picks_and_nothing_else() -> None:
    random = np.random.default_rng(3)
    prices = closes(**{name: (20 * np.exp(random.normal(0, 0.02, 60).cumsum())).tolist() for name in "abc"})
    side = pl.Series("side", random.choice([-1, 0, 1], prices.height), pl.Int8)
    picks = forward_returns(prices, 5).with_columns(side).drop_nulls()
    earned = (
        picks.filter(pl.col("side") != 0).group_by("ts").agg((pl.col("side") * pl.col("forward_return")).mean())
    )
    total = portfolio_returns(picks.select("instrument_id", "ts", "side"), prices, horizon=5).sum()
    assert total == pytest.approx(earned["side"].sum() / 5)


def test_a_market_that_is_closed_earns_nothing_that_session() -> None:
    prices = closes(a=[10, 11, 12], b=[10, 99, 11]).filter(
        (pl.col("instrument_id") == "a") | (pl.col("ts") != sessions(2)[1])
    )
    sides = pl.DataFrame({"instrument_id": ["a", "b"], "ts": [MONDAY] * 2, "side": [1, 1]})
    assert portfolio_returns(sides, prices, horizon=1) == pytest.approx([0.05, 0.05])


def test_a_pick_is_held_to_the_last_bar_and_never_into_another_instrument() -> None:
    prices = closes(a=[10, 11, 12], b=[50, 10, 20])
    sides = pl.DataFrame({"instrument_id": ["a"], "ts": sessions(2)[1:], "side": [1]})
    assert portfolio_returns(sides, prices, horizon=4) == pytest.approx([1 / 11 / 4])


def test_a_portfolio_without_picks_never_moves_and_has_no_sharpe_ratio() -> None:
    prices = closes(a=[10, 11, 12])
    idle = portfolio_returns(pl.DataFrame({"instrument_id": ["a"], "ts": [MONDAY], "side": [0]}), prices, 1)
    assert idle.tolist() == [0.0, 0.0]
    assert sharpe(idle) is None
    assert max_drawdown(idle) == 0


def test_the_sharpe_ratio_is_annualised_by_252_sessions() -> None:
    assert sharpe(np.array([0.01, 0.03])) == pytest.approx(0.02 / (0.01 * math.sqrt(2)) * math.sqrt(252))
    assert sharpe(np.array([0.01])) is None


def test_the_drawdown_is_from_the_best_value_so_far_and_counts_the_first_loss() -> None:
    assert max_drawdown(np.array([0.1, -0.5, 0.2, 0.1])) == pytest.approx(0.5)
    assert max_drawdown(np.array([-0.1])) == pytest.approx(0.1)
    assert max_drawdown(np.array([0.1, 0.2])) == 0
