"""Direction: the better third or the worse, by market and volatility, and by what is said beside.

What belongs here: the regression that knows market and volatility, and log losses.
Kept elsewhere: what is said (`signals_ablation.py`, which says what is compared).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.calibration.record import RANK_CELLS
from boursomatic_assets.learning.parameters import Parameters
from helpers.signals_published import Month

PRIOR_SESSIONS = Parameters.prior_sessions
"""Sessions that the prior of a regression counts for, as that of a version's curves does."""

Coefficients = dict[str, Floats]
"""By market, those of each month: months x 3."""


@dataclass(frozen=True)
class Losses:
    """Mean log losses of direction, in nats a row, and the rows that they are over."""

    baseline: float
    direction: float
    both: float
    rows: int

    def gain(self, part: str) -> float:
        """Return by how much `direction` alone, or `both`, is better than the baseline."""
        return self.baseline - float(getattr(self, part))


def regress(learned: pl.DataFrame, made: Sequence[Month]) -> Coefficients:
    """Fit, for each month, what market and volatility tell of direction beside what is said already.

    Args:
        learned: market, ts, known_at, volatility_rank, label and direction (a probability; null where nothing is
            said), by time. Rows that ended in neither third are left out, as are those not known by a month's
            cutoff.
        made: The months.
    """
    found = {}
    for (market,), rows in learned.filter(ENDED).partition_by("market", as_dict=True).items():
        better = (rows["label"] == "BUY").to_numpy()
        terms, offset = _terms(rows["volatility_rank"]), log_odds(rows["direction"])
        sessions, known_at = rows["ts"].rle_id().to_numpy() + 1, rows["known_at"].to_numpy()
        fitted, table = np.zeros(terms.shape[1]), []
        for month in made:
            known = int(np.searchsorted(known_at, np.datetime64(month.cutoff)))
            if known:
                per_session = known / sessions[known - 1]
                fitted = fit(terms[:known], offset[:known], better[:known], PRIOR_SESSIONS * per_session, fitted)
            table.append(fitted)
        found[market] = np.array(table)
    return found


def fit(terms: Floats, offset: Floats, better: Floats, prior: float, start: Floats) -> Floats:
    """Fit a logistic regression with an offset by Newton's method, drawn to 0.

    Args:
        terms: rows x terms.
        offset: Log odds that are added as they are.
        better: Whether the row ended in the better third.
        prior: Rows that the prior counts for: evenly over the ranks, as many of one third as of the other.
        start: Where to begin.
    """
    middles = _terms(pl.Series((np.arange(RANK_CELLS) + 0.5) / RANK_CELLS))
    fitted = start
    for _ in range(50):
        said, drawn = _probability(terms @ fitted + offset), _probability(middles @ fitted)
        slope = terms.T @ (better - said) + prior / RANK_CELLS * (middles.T @ (0.5 - drawn))
        curvature = (terms.T * (said * (1 - said))) @ terms
        curvature += prior / RANK_CELLS * (middles.T * (drawn * (1 - drawn))) @ middles
        step = np.linalg.solve(curvature, slope)
        fitted = fitted + step
        if np.abs(step).max() < 1e-6:
            return np.asarray(fitted)
    raise ArithmeticError(f"the regression of {len(terms):,} rows does not converge: {fitted}")


def apply(coefficients: Coefficients, rows: pl.DataFrame, made: Sequence[Month]) -> Floats:
    """Return the log odds that regressions give to rows, each by that of its month.

    Args:
        coefficients: As `regress` returns them.
        rows: market, ts and volatility_rank, by time within each market.
        made: The months of the coefficients.
    """
    odds, markets, terms = np.zeros(rows.height), rows["market"].to_numpy(), _terms(rows["volatility_rank"])
    for market, table in coefficients.items():
        of_market = np.flatnonzero(markets == market)
        ts = rows["ts"].to_numpy()[of_market]
        for month, fitted in zip(made, table, strict=True):
            within = of_market[slice(*month.bounds(ts))]
            odds[within] = terms[within] @ fitted
    return odds


def log_odds(probability: pl.Series) -> Floats:
    """Return the log odds of a probability; 0 where there is none."""
    known = probability.cast(pl.Float64).fill_null(0.5).to_numpy()
    return np.asarray(np.log(known / (1 - known)))


def compare(parts: Sequence[pl.DataFrame]) -> Losses:
    """Return the mean log losses over the rows of frames that ended in the better or the worse third.

    Args:
        parts: label (what happened), direction (a probability; null where nothing is said), baseline and both (log
            odds).
    """
    rows = pl.concat(one.select("label", "direction", "baseline", "both") for one in parts).filter(ENDED)
    sign = np.where(rows["label"].to_numpy() == "BUY", 1.0, -1.0)
    odds = (rows["baseline"].to_numpy(), log_odds(rows["direction"]), rows["both"].to_numpy())
    return Losses(*(float(np.logaddexp(0, -sign * some).mean()) for some in odds), rows.height)


ENDED = pl.col("label").is_in(["BUY", "SELL"])
"""Rows that ended in the better or the worse third."""


def _terms(rank: pl.Series) -> Floats:
    """Return 1, the rank of the volatility around its middle, and the square of that; a missing rank is 1/2."""
    centred = rank.fill_null(0.5).to_numpy() - 0.5
    return np.stack([np.ones(len(centred)), centred, centred**2], axis=1)


def _probability(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))
