"""Prediction: a model's score, probabilities, expected returns and contributions for each row of features.

What belongs here: the use of a model, and the rank of a score within its session.
Kept elsewhere: how contributions are computed (`contributions.py`), recommendations (`advice/signals.py`).

A score and its contributions depend on their row and the model alone, to the last bit; a probability also on the
rank of the score within its market's session, so rows come in whole sessions.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import cast

import lightgbm as lgb
import numpy as np
import polars as pl

from boursomatic_assets.arrays import KEY, Floats
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.contributions import contributions
from boursomatic_assets.learning.labels import CLASSES, ranks
from boursomatic_assets.learning.model import POOLED, Boosters, Model, parse_booster


def feature_matrix(rows: pl.DataFrame, features: Sequence[str]) -> Floats:
    """Return features as rows x features, with NaN for null."""
    return rows.select(pl.col(features).cast(pl.Float64)).to_numpy(order="c")


def score_rows(booster: lgb.Booster, values: Floats) -> Floats:
    """Return the score of each row by one booster: the expected rank, -0.5 to 0.5, of its forward return."""
    if not len(values):
        return np.empty(0)
    # One thread: two runs side by side keep two cores busy, and LightGBM's threads would wait by spinning.
    return cast(Floats, booster.predict(values, num_threads=1))


def ensemble(
    quarters: Sequence[Boosters], markets: Floats, values: Floats, of: Callable[[lgb.Booster, Floats], Floats]
) -> Floats:
    """Return the mean over the quarters of what their boosters say of each row.

    A quarter says the mean of its pooled booster and that of the row's own market, if it has one.

    Args:
        quarters: The boosters.
        markets: The market's name of each row.
        values: Rows x features.
        of: What is asked of a booster: one row of numbers, or one number, for each row.
    """
    said = [_of_quarter(boosters, markets, values, of) for boosters in quarters]
    return reduce(np.add, said) / len(quarters)


def _of_quarter(
    boosters: Boosters, markets: Floats, values: Floats, of: Callable[[lgb.Booster, Floats], Floats]
) -> Floats:
    said = of(parse_booster(boosters[POOLED]), values)
    for market in MARKETS:
        of_market = markets == market
        if market in boosters and of_market.any():
            own = of(parse_booster(boosters[market]), values[of_market])
            said[of_market] = (said[of_market] + own) / 2
    return said


def score_ranks(rows: pl.DataFrame, score: Floats) -> Floats:
    """Return the rank of each score within its market's session, (rank - 0.5) / count; equal scores share one."""
    return rows.select("market", "ts", score=score).select(ranks("score"))["score"].to_numpy()


def predict(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the predictions of a model for each row of features, in the order of the rows.

    Args:
        model: The model; it names the features that it needs.
        rows: As `predict_probabilities` takes them.

    Returns:
        The columns of `predict_probabilities`, and contributions: a struct of the contribution of each feature to
        the score.
    """
    names = model.features
    values, markets = feature_matrix(rows, names), rows["market"].to_numpy()
    added = ensemble(model.quarters, markets, values, lambda booster, some: contributions(booster, some)[:, 0, :])
    by_feature = pl.DataFrame({name: np.ascontiguousarray(added[:, i]) for i, name in enumerate(names)})
    return predict_probabilities(model, rows).with_columns(by_feature.to_struct("contributions"))


def predict_probabilities(model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """Return what `predict` returns but for the contributions, which take most of its time.

    Args:
        model: The model; it names the features that it needs.
        rows: market, instrument_id, ts and the features of the model, of whole sessions.

    Returns:
        instrument_id, ts, market, score, score_rank (within the market's session, 0 to 1); by horizon h p_sell_h,
        p_hold_h, p_buy_h (the probabilities of the thirds) and expected_return_pct_h.
    """
    return predict_from_scores(model, rows, score_ensemble(model, rows))


def predict_from_scores(model: Model, rows: pl.DataFrame, score: Floats) -> pl.DataFrame:
    """Return what `predict_probabilities` does, from the score of each row."""
    rank, markets = score_ranks(rows, score), rows["market"].to_numpy()
    by_horizon = [column for horizon in model.curves for column in _horizon_columns(model, horizon, markets, rank)]
    return rows.select(*KEY, "market").with_columns(
        pl.Series("score", score), pl.Series("score_rank", rank), *by_horizon
    )


def score_ensemble(model: Model, rows: pl.DataFrame) -> Floats:
    """Return the score of each row: market and the features of the model."""
    values = feature_matrix(rows, model.features)
    return ensemble(model.quarters, rows["market"].to_numpy(), values, score_rows)


def _horizon_columns(model: Model, horizon: int, markets: Floats, rank: Floats) -> list[pl.Series]:
    """Return the probabilities and the expected return at one horizon."""
    probability, expected = np.empty((len(rank), len(CLASSES))), np.empty(len(rank))
    for market in np.unique(markets):
        rows, curves = markets == market, model.curves_of(horizon, market)
        probability[rows] = curves.probabilities(rank[rows])
        expected[rows] = curves.expected_return(rank[rows])
    columns = [pl.Series(f"p_{label.lower()}_{horizon}", probability[:, i]) for i, label in enumerate(CLASSES)]
    return [*columns, pl.Series(f"expected_return_pct_{horizon}", expected * 100)]
