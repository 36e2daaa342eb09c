"""Training: one pooled model from what was known before a cutoff.

The result is a pure function of the rows before the cutoff and of the parameters: row order and threads do
not change a byte of it. Where its bytes are kept is decided in `model_files`, whether it is used in `gate`.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import lightgbm as lgb
import numpy as np
import polars as pl

from boursomatic_assets.learning.evaluation import Metrics, class_numbers, extent, log_loss, score, shares
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import LABELS
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.splits import NotEnoughHistory, Window, split


@dataclass(frozen=True)
class Challenger:
    """A trained model that no gate has passed yet.

    Attributes:
        model_text: The model, in LightGBM's text format.
        metrics: Its metrics on the validation window, and what it was trained on; JSON-able.
        params_hash: The hash of the parameters that shaped it.
        window: The validation window, for a fair comparison with a champion.
    """

    model_text: str
    metrics: Metrics
    params_hash: str
    window: Window


def train(history: History, cutoff: datetime, parameters: Parameters) -> Challenger:
    """Train a model on what was known before `cutoff`, and measure that same model on its latest sessions.

    Args:
        history: What is loaded; rows and bars at or after the cutoff, and labels known then, are ignored.
        cutoff: The moment the model speaks from.
        parameters: What shapes the model; the history was labelled with the same.

    Raises:
        NotEnoughHistory: There are too few training rows or sessions, or a label that never happened.
    """
    parts = split(history.rows, cutoff, parameters)
    learned = what_was_learned(parts.train, cutoff)
    model_text = fit(parts.train, parameters)
    measured = score(lgb.Booster(model_str=model_text), history, parts.window, parameters.horizon)
    frequencies = np.tile(list(learned["train_share"].values()), (parts.validation.height, 1))
    no_skill = {"log_loss_no_skill": log_loss(class_numbers(parts.validation), frequencies)}
    return Challenger(model_text, {**measured, **no_skill, **learned}, parameters.params_hash(), parts.window)


def what_was_learned(rows: pl.DataFrame, cutoff: datetime) -> Metrics:
    """Return the extent of the training rows, and each label's share and mean forward return in percent."""
    share = shares(class_numbers(rows))
    for label in LABELS:
        if share[label] == 0:
            raise NotEnoughHistory(
                f"not enough history before {cutoff:%Y-%m-%d}: none of {rows.height} training rows is"
                f" a {label}: load earlier bars, or wait for later ones"
            )
    outcome = {label: rows["forward_return"].filter(rows["label"] == label).to_numpy() for label in LABELS}
    means = {label: float(values.mean() * 100) for label, values in outcome.items()}
    return {**extent(rows, "train"), "train_share": share, "mean_return_pct": means}


def fit(rows: pl.DataFrame, parameters: Parameters) -> str:
    """Return the text of a model trained on sorted, labelled rows."""
    booster_parameters = parameters.booster()
    data = lgb.Dataset(
        rows.select(parameters.features).to_numpy(order="c"),
        label=class_numbers(rows),
        feature_name=list(parameters.features),
        params=booster_parameters,
    )
    text = lgb.train(booster_parameters, data, num_boost_round=parameters.rounds).model_to_string()
    # The text repeats its parameters; this one does not shape the trees, so it must not change the bytes.
    return re.sub(r"\[num_threads: \d+\]\n", "", text)
