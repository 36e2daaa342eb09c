"""The parameters of a model: features, labels, walk-forward, booster, calibration, gate, and their hash.

What belongs here: the values in force, and what each means.
Kept elsewhere: the formulas that use them (in the files named after them).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from boursomatic_assets.features.additional_features import MODEL_FEATURES, RANKED_FEATURES

NOT_SHAPING = ("num_threads", "gate_rank_ic_tolerance", "gate_minimum_sessions", "cost")
"""Parameters that leave the trained model as it is."""


@dataclass(frozen=True)
class Parameters:
    """Everything that a training may vary.

    Attributes:
        recipe: Raised by hand when a formula that shapes models changes outside of these parameters (labels, cells
            of the calibration, a feature of the same name), so that the hash changes.
        features: Columns of the features frame that the booster uses, in this order.
        ranked: Features whose ranks the ridge regression beside it uses.
        horizon: Sessions of the market from a close to the later one that its label compares it with.
        horizons: All horizons that probabilities are given for; `horizon` is one of them.
        volatility_limits: By horizon, the highest annualised `vol_20d` of the rows that its probabilities are for
            and are fitted on; None takes all.
        boosters: A version scores with the mean of its last so many boosters; one is fitted each quarter.
        stride: One in so many sessions of a market is used for training and evaluation: labels of neighbouring
            sessions overlap, so the others would add little.
        embargo: Sessions between the last label that a version learns from and its due date.
        minimum_training_rows: Least number of training rows.
        minimum_training_sessions: Least number of sampled sessions, of the market that has most.
        rounds: Boosting rounds, each of one tree.
        leaves: Leaves of a tree, at most; the tables that contributions are looked up in grow with their number.
        depth: Splits between the root and a leaf, at most.
        learning_rate: Share of each tree that is added.
        feature_share: Share of the features that a tree may use.
        minimum_rows_in_leaf: Training rows in a leaf, at least.
        bins: Bins of a feature's histogram, at most.
        ridge: Penalty of the ridge regression per training row, for ranks that lie in -0.5..0.5.
        prior_sessions: Sampled sessions of a market that the calibration's prior counts for.
        market_prior_sessions: Sampled sessions that a market's mean return of 0 counts for.
        seed: Seed of the booster.
        num_threads: Threads used for training; they change its time, never its result. One, because several
            threads wait by spinning: on busy cores two took up to thirty times as long as one.
        cost: Share of an amount that buying or selling it costs, in the portfolios that measure a model.
        gate_rank_ic_tolerance: How much lower than the champion's a challenger's mean rank IC may be.
        gate_minimum_sessions: Least number of sampled sessions in the record.
    """

    recipe: int = 2
    features: tuple[str, ...] = MODEL_FEATURES
    ranked: tuple[str, ...] = RANKED_FEATURES
    horizon: int = 20
    horizons: tuple[int, ...] = (10, 20, 40)
    volatility_limits: tuple[float | None, ...] = (None, 0.60, 0.35)
    boosters: int = 4
    stride: int = 5
    embargo: int = 5
    minimum_training_rows: int = 250
    minimum_training_sessions: int = 24
    rounds: int = 80
    leaves: int = 8
    depth: int = 3
    learning_rate: float = 0.05
    feature_share: float = 0.5
    minimum_rows_in_leaf: int = 100
    bins: int = 63
    ridge: float = 0.01
    prior_sessions: int = 50
    market_prior_sessions: int = 500
    seed: int = 20
    num_threads: int = 1
    cost: float = 0.001
    gate_rank_ic_tolerance: float = 0.01
    gate_minimum_sessions: int = 12

    def volatility_limit(self, horizon: int) -> float | None:
        """Return the volatility limit of a horizon."""
        return self.volatility_limits[self.horizons.index(horizon)]

    def booster_parameters(self) -> dict[str, str | int | float | bool]:
        """Return the parameters in LightGBM's own names, without the number of rounds."""
        return {
            "objective": "regression",
            "num_leaves": self.leaves,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "feature_fraction": self.feature_share,
            "min_data_in_leaf": self.minimum_rows_in_leaf,
            "max_bin": self.bins,
            "seed": self.seed,
            "num_threads": self.num_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def shaping_parameters(self) -> dict[str, Any]:
        """Return every parameter that shapes the model, JSON-able."""
        return {
            name: value
            for name, value in {**self.booster_parameters(), **asdict(self)}.items()
            if name not in NOT_SHAPING
        }

    def params_hash(self) -> str:
        """Return the SHA-256, in hex, of the canonical JSON of every parameter that shapes the model."""
        canonical = json.dumps(self.shaping_parameters(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
