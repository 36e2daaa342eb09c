"""Outcomes: what was said of each row, in probabilities, against the label that happened.

What belongs here: counts and losses of each session, which add up over sessions, and the metrics of such sums.
Kept elsewhere: which sessions are added (`evaluation`).

Of a row, the chosen label is the one that is found most likely, and its probability is the confidence.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.evaluation.ranking import sum_by
from boursomatic_assets.learning.labels import CLASSES

Ints = npt.NDArray[Any]
"""Whole numbers of any width."""

BINS = 10
"""Bins of the confidence, of equal width from 0 to 1."""


def tally(session: Ints, actual: Ints, chance: Floats, size: int) -> pl.DataFrame:
    """Return what adds up, one row per session.

    Args:
        session: The number of each row's session.
        actual: Each row's label, as its position in LABELS.
        chance: Each row's probabilities: rows x labels.
        size: How many sessions there are.

    Returns:
        pairs (counts of happened x chosen label), log_loss and brier (sums over the rows), and by bin of the
        confidence: bin_rows, bin_right (how often the chosen label happened) and bin_confidence (its sum).
    """
    labels, rows = len(CLASSES), np.arange(len(actual))
    chosen = chance.argmax(axis=1)
    confidence = chance[rows, chosen]
    bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    missed = [(chance[:, k] - (actual == k)) ** 2 for k in range(labels)]

    def summed(place: Ints, width: int, amounts: Floats) -> Floats:
        return sum_by(session * width + place, amounts, size * width).reshape(size, width)

    one = np.ones(len(actual))
    return pl.DataFrame(
        {
            "pairs": summed(actual.astype(np.intp) * labels + chosen, labels**2, one),
            "log_loss": sum_by(session, surprise(chance[rows, actual]), size),
            "brier": sum_by(session, missed[0] + missed[1] + missed[2], size),
            "bin_rows": summed(bins, BINS, one),
            "bin_right": summed(bins, BINS, (chosen == actual) * one),
            "bin_confidence": summed(bins, BINS, confidence),
        }
    )


def no_skill(counts: Ints, known: Ints) -> pl.DataFrame:
    """Return log_loss_no_skill and brier_no_skill: the sums if every row is given the label shares so far.

    Each label is counted once more than it happened, so that none is impossible and the first shares are equal.

    Args:
        counts: How often each label happened in the rows that are judged: sessions x labels.
        known: How often each label had happened in all rows known before that session: sessions x labels.
    """
    share = (known + 1) / (known.sum(axis=1, keepdims=True) + len(CLASSES))
    rows = counts.sum(axis=1)
    # A row of label k misses by 1 - 2 x its share + the sum of the squares of all shares.
    brier = rows * (1 + (share**2).sum(axis=1)) - 2 * (counts * share).sum(axis=1)
    return pl.DataFrame({"log_loss_no_skill": (counts * surprise(share)).sum(axis=1), "brier_no_skill": brier})


def surprise(chance: Floats) -> Floats:
    """Return -ln of the probability that was given to what happened, in nats; a zero counts as 2.2e-16."""
    return np.asarray(-np.log(np.maximum(chance, np.finfo(np.float64).eps)))


LOSSES = ("log_loss", "log_loss_no_skill", "brier", "brier_no_skill")


def outcome_metrics(sessions: pl.DataFrame) -> dict[str, Any]:
    """Return the metrics of the rows with probabilities: null without any.

    Args:
        sessions: The columns of `tally` and `no_skill`, and rows, the number of all rows.
    """
    pairs = total(sessions, "pairs").reshape(len(CLASSES), len(CLASSES))
    rows = int(sessions["rows"].sum())
    return {
        **classification(pairs),
        **{name: mean_loss(sessions, name) for name in LOSSES},
        "ece": calibration_error(sessions),
        "coverage": int(pairs.sum()) / rows if rows else None,
    }


def mean_loss(sessions: pl.DataFrame, name: str) -> float | None:
    """Return the mean of one of LOSSES over the rows with probabilities."""
    judged = int(total(sessions, "pairs").sum())
    return float(total(sessions, name)) / judged if judged else None


def total(sessions: pl.DataFrame, column: str) -> npt.NDArray[Any]:
    """Return the sum over the sessions, added one after the other."""
    values = sessions[column].to_numpy()
    return np.cumsum(values, axis=0)[-1] if len(values) else np.zeros(values.shape[1:], values.dtype)


def classification(pairs: Ints) -> dict[str, Any]:
    """Return the metrics of counts of happened x chosen label; null if they are all zero.

    accuracy; precision, recall and f1, for each label and as plain means over the three (macro): a label that
    was never chosen has precision 0, one that never happened has recall 0, as in scikit-learn with
    `zero_division=0`; label_share and predicted_share.
    """
    rows = int(pairs.sum())
    if not rows:
        names = ("accuracy", "precision", "recall", "f1", "by_label", "label_share", "predicted_share")
        return dict.fromkeys(names)
    right, happened, chosen = pairs.diagonal(), pairs.sum(axis=1), pairs.sum(axis=0)
    scores = {
        "precision": right / np.maximum(chosen, 1),
        "recall": right / np.maximum(happened, 1),
        "f1": 2 * right / np.maximum(happened + chosen, 1),
    }
    return {
        "accuracy": int(right.sum()) / rows,
        **{name: float(values.mean()) for name, values in scores.items()},
        "by_label": {x: {name: float(v[k]) for name, v in scores.items()} for k, x in enumerate(CLASSES)},
        "label_share": dict(zip(CLASSES, (happened / rows).tolist(), strict=True)),
        "predicted_share": dict(zip(CLASSES, (chosen / rows).tolist(), strict=True)),
    }


def always_hold(sessions: pl.DataFrame) -> dict[str, float | None]:
    """Return accuracy and f1 of always choosing HOLD, and the Brier score of the shares of the labels so far."""
    happened = total(sessions, "pairs").reshape(len(CLASSES), len(CLASSES)).sum(axis=1)
    hold = np.zeros((len(CLASSES), len(CLASSES)), np.intp)
    hold[:, CLASSES.index("HOLD")] = happened
    metrics = classification(hold)
    return {**{x: metrics[x] for x in ("accuracy", "f1")}, "brier": mean_loss(sessions, "brier_no_skill")}


def reliability(sessions: pl.DataFrame) -> list[list[float]]:
    """Return mean confidence, share that was right, and rows, of each bin that holds rows."""
    bins = zip(*(total(sessions, f"bin_{name}").tolist() for name in ("confidence", "right", "rows")), strict=True)
    return [[confidence / rows, right / rows, int(rows)] for confidence, right, rows in bins if rows]


def calibration_error(sessions: pl.DataFrame) -> float | None:
    """Return the expected calibration error: mean over the rows of how far their bin's confidence was off.

    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    bins = reliability(sessions)
    rows = sum(n for *_, n in bins)
    return sum(abs(confidence - right) * n for confidence, right, n in bins) / rows if rows else None
