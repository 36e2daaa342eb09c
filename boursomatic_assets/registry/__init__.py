"""The model registry: which model version is champion, since when, and why.

What belongs here: training of the versions that are due, and again of those whose history has changed, the
decisions of the gate and of a person, the decision log, and the model files in the store.
Kept elsewhere: how a model is trained and judged (`learning/`, which sees frames and metrics only).
"""

from boursomatic_assets.registry.decisions import ChampionAsOf, Decision, Version, champion_timeline
from boursomatic_assets.registry.history import stale_versions
from boursomatic_assets.registry.promotion import promote, roll_back
from boursomatic_assets.registry.training import (
    admit_challenger,
    load_history,
    model_store,
    retrain_stale_versions,
    train_due_versions,
)

__all__ = [
    "ChampionAsOf",
    "Decision",
    "Version",
    "admit_challenger",
    "champion_timeline",
    "load_history",
    "model_store",
    "promote",
    "retrain_stale_versions",
    "roll_back",
    "stale_versions",
    "train_due_versions",
]
