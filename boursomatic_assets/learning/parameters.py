"""The parameters of a model: features, labels, walk, booster, calibration, and one hash of all that shapes it.

The formulas that use them are kept in the files named after them.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from boursomatic_assets.features.additional_features import MODEL_FEATURES, RANKED

NOT_SHAPING = (
    "num_threads",
    "gate_tolerance",
    "gate_rank_ic_tolerance",
    "gate_skill_t",
    "gate_minimum_sessions",
    "cost",
)
"""Parameters that leave the trained model as it is."""


@dataclass(frozen=True)
class Parameters:
    """Everything that a training may vary.

    Attributes:
        recipe: Raised by hand when a formula that shapes models changes outside of these parameters (labels, cells
            of the calibration, a feature of the same name), so that versions before and after are told apart.
        features: Columns of the features frame that the booster sees, in this order.
        ranked: Features whose ranks the ridge regression beside it sees.
        horizon: Sessions of the market from the close that is judged to the one that judges it.
        horizons: All horizons that probabilities are given for; `horizon` is one of them.
        label_threshold: Edge of BUY and SELL, in volatilities of the instrument over the horizon; 0.43 cuts a
            normal distribution into thirds.
        stride: Every so many sessions of a market one is learned from and judged: labels of neighbours overlap,
            so the others would tell little more.
        embargo: Sessions between the last label that a version learns from and its due date.
        minimum_training_rows: Fewer training rows are not enough history.
        minimum_training_sessions: Fewer sampled sessions, of the market that has most, are not enough history.
        rounds: Boosting rounds, each of one tree.
        leaves: Leaves of a tree, at most; the tables that contributions are looked up in grow with their number.
        depth: Splits between the root and a leaf, at most.
        learning_rate: Share of each tree that is added.
        feature_share: Share of the features that a tree may see.
        minimum_rows_in_leaf: Training rows in a leaf, at least.
        bins: Bins of a feature's histogram, at most.
        ridge: Penalty of the ridge regression per training row, for ranks that lie in -0.5..0.5.
        prior_sessions: Sampled sessions that the calibration's prior counts for.
        calibration_penalty: L2 penalty of the calibration's weights.
        seed: Seed of the booster.
        num_threads: Threads used for training; they change its time, never its result. One, because several
            wait for each other by spinning: with the cores busy, two took up to thirty times as long as one.
        cost: Share of an amount that buying or selling it costs, in the portfolios that measure a model.
        gate_tolerance: How much worse than no skill, or than the champion's, a log loss may be, in nats per row.
        gate_rank_ic_tolerance: How much lower than the champion's a challenger's mean rank IC may be.
        gate_skill_t: Least t-statistic of the mean rank IC.
        gate_minimum_sessions: Fewer sampled sessions of record prove nothing.
    """

    recipe: int = 1
    features: tuple[str, ...] = MODEL_FEATURES
    ranked: tuple[str, ...] = RANKED
    horizon: int = 20
    horizons: tuple[int, ...] = (10, 20, 40)
    label_threshold: float = 0.43
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
    calibration_penalty: float = 30.0
    seed: int = 20
    num_threads: int = 1
    cost: float = 0.001
    gate_tolerance: float = 0.002
    gate_rank_ic_tolerance: float = 0.01
    gate_skill_t: float = 1.0
    gate_minimum_sessions: int = 12

    def booster(self) -> dict[str, str | int | float | bool]:
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

    def shaping(self) -> dict[str, Any]:
        """Return every parameter that shapes the model, JSON-able."""
        return {
            name: value for name, value in {**self.booster(), **asdict(self)}.items() if name not in NOT_SHAPING
        }

    def params_hash(self) -> str:
        """Return the SHA-256, in hex, of the canonical JSON of every parameter that shapes the model."""
        canonical = json.dumps(self.shaping(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
