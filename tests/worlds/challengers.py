"""Challengers for tests: a tiny real model with the metrics that a test wants, admitted on real due dates."""

import datetime as dt
from functools import cache
from typing import Any

import lightgbm as lgb
import numpy as np

from boursomatic_assets import registry
from boursomatic_assets.learning.model import POOLED, Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.registry.decisions import Version

DUE = due_dates(dt.date(2023, 9, 1), dt.date(2024, 2, 1))
NAMES = [f"v{due:%Y.%m.%d}" for due in DUE]

SKILL = {"rank_ic": 0.04, "rank_ic_t": 2.5, "evidence": {"10": {"value": 30.0, "against": 0.1, "steps": 24}}}
NO_SKILL = {"rank_ic": 0.001, "rank_ic_t": 0.1, "evidence": {"10": {"value": 0.2, "against": 30.0, "steps": 24}}}
"""An unskilled challenger is refused, and withdraws a champion of its own recipe."""
RECORD = {"log_loss": 1.09, "log_loss_no_skill": 1.098, "sessions": 24}


@cache
def model_text() -> str:
    """The text of a small real model: two leaves on one feature."""
    values = np.arange(40.0)
    parameters = {"objective": "regression", "num_leaves": 2, "min_data_in_leaf": 1, "verbosity": -1}
    booster = lgb.train(parameters, lgb.Dataset(values[:, None], values), num_boost_round=1)
    return Model(({POOLED: booster.model_to_string()},), {}).to_json()


def skilled_challenger(recipe: str = "a", **metrics: Any) -> Challenger:
    """A challenger with skill."""
    return Challenger(model_text(), {**RECORD, **SKILL, **metrics}, recipe * 64)


def unskilled_challenger(recipe: str = "a") -> Challenger:
    """A challenger without skill."""
    return skilled_challenger(recipe, **NO_SKILL)


def admit_challengers(*challengers: Challenger, due: list[dt.date] = DUE) -> list[Version]:
    """Admit challengers by the gate, on one due date after the other."""
    return [
        registry.admit_challenger(date, challenger, Parameters())
        for date, challenger in zip(due, challengers, strict=False)
    ]
