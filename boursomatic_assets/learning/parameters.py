"""The parameters of a model: features, label, split and booster, and one hash of all that shapes it.

The formulas that use them are kept in the files named after them.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

FEATURES = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "vol_20d", "volume_zscore")
"""What the model sees. `momentum_5d` and `atr_14` are in price units: in a pooled model they would tell
instruments and currencies apart instead of situations, and change with every later split adjustment."""

NOT_SHAPING = ("num_threads", "gate_tolerance")
"""Parameters that leave the trained model as it is."""


@dataclass(frozen=True)
class Parameters:
    """Everything that one training run may vary.

    Attributes:
        features: Columns of the features frame that the model sees, in this order.
        horizon: Sessions of the instrument from the close that is judged to the close that judges it.
        label_threshold: Edge of BUY and SELL, in volatilities of the instrument over the horizon; 0.43 cuts a
            normal distribution into thirds.
        validation_sessions: Most distinct sessions in the validation window.
        validation_share: Largest share of the labelled sessions in the validation window, for short
            histories.
        minimum_training_rows: Fewer training rows are not enough history.
        minimum_training_sessions: Fewer distinct training sessions are not enough history.
        rounds: Boosting rounds, each with one tree per label.
        leaves: Leaves of a tree, at most; the tables that contributions are looked up in grow with their number
            to the power of the features.
        depth: Splits between the root and a leaf, at most.
        learning_rate: Share of each tree that is added.
        minimum_rows_in_leaf: Training rows in a leaf, at least.
        bins: Bins of a feature's histogram, at most.
        seed: Seed of the booster.
        num_threads: Threads used for training; they change its time, never its result. One, because several
            wait for each other by spinning: with the cores busy, two took up to thirty times as long as one.
        gate_tolerance: How much worse than the champion's a challenger's log loss may be, in nats per row.
    """

    features: tuple[str, ...] = FEATURES
    horizon: int = 20
    label_threshold: float = 0.43
    validation_sessions: int = 120
    validation_share: float = 0.3
    minimum_training_rows: int = 250
    minimum_training_sessions: int = 60
    rounds: int = 80
    leaves: int = 15
    depth: int = 4
    learning_rate: float = 0.05
    minimum_rows_in_leaf: int = 50
    bins: int = 63
    seed: int = 20
    num_threads: int = 1
    gate_tolerance: float = 0.002

    def booster(self) -> dict[str, str | int | float | bool]:
        """Return the parameters in LightGBM's own names, without the number of rounds."""
        return {
            "objective": "multiclass",
            "num_class": 3,
            "num_leaves": self.leaves,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.minimum_rows_in_leaf,
            "max_bin": self.bins,
            "seed": self.seed,
            "num_threads": self.num_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def params_hash(self) -> str:
        """Return the SHA-256, in hex, of the canonical JSON of every parameter that shapes the model."""
        shaping = {**self.booster(), **asdict(self)}
        for name in NOT_SHAPING:
            del shaping[name]
        canonical = json.dumps(shaping, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
