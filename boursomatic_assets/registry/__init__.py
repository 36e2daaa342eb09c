"""The model registry: which model version is champion, since when, and why.

What belongs here: training the versions that are due, admitting or refusing them, a person's decisions, and the
decision log that all of it is read from.
Kept elsewhere: what training and the gate are (`learning/`, which sees frames and metrics only).
"""

from boursomatic_assets.registry.decisions import ChampionAsOf, Decision, Version, timeline
from boursomatic_assets.registry.promotion import promote, roll_back
from boursomatic_assets.registry.training import admit_challenger, load_history, model_store, train_due_versions

__all__ = [
    "ChampionAsOf",
    "Decision",
    "Version",
    "admit_challenger",
    "load_history",
    "model_store",
    "promote",
    "roll_back",
    "timeline",
    "train_due_versions",
]
