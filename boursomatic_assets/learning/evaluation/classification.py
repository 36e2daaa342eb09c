"""Classification: the probabilities of each row compared with its actual label.

What belongs here: counts and losses of each session, which add up over sessions, and the metrics of such sums.
Kept elsewhere: which sessions are added (`metrics.py`), labels (`learning/labels.py`), outcomes of recommendations
(`advice/outcomes.py`).

The predicted label of a row is the most likely one, and its probability is the confidence.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.evaluation.ranking import sum_by_group
from boursomatic_assets.learning.labels import CLASSES

Ints = npt.NDArray[Any]
"""Whole numbers of any width."""

CONFIDENCE_BINS = 10
"""Bins of the confidence, of equal width from 0 to 1."""


def session_sums(session: Ints, actual: Ints, probability: Floats, size: int) -> pl.DataFrame:
    """Return counts and losses that add up over sessions, one row per session.

    Args:
        session: The number of each row's session.
        actual: Each row's label, as its index in CLASSES.
        probability: Each row's probabilities: rows x classes.
        size: How many sessions there are.

    Returns:
        confusion (counts of actual x predicted label), log_loss and brier (sums over the rows), and by bin of the
        confidence: bin_rows, bin_correct (rows whose predicted label is the actual one) and bin_confidence (sum).
    """
    labels, rows = len(CLASSES), np.arange(len(actual))
    predicted = probability.argmax(axis=1)
    confidence = probability[rows, predicted]
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.intp), CONFIDENCE_BINS - 1)
    errors = [(probability[:, k] - (actual == k)) ** 2 for k in range(labels)]

    def sum_cells(cell: Ints, width: int, amounts: Floats) -> Floats:
        return sum_by_group(session * width + cell, amounts, size * width).reshape(size, width)

    ones = np.ones(len(actual))
    return pl.DataFrame(
        {
            "confusion": sum_cells(actual.astype(np.intp) * labels + predicted, labels**2, ones),
            "log_loss": sum_by_group(session, negative_log(probability[rows, actual]), size),
            "brier": sum_by_group(session, errors[0] + errors[1] + errors[2], size),
            "bin_rows": sum_cells(bins, CONFIDENCE_BINS, ones),
            "bin_correct": sum_cells(bins, CONFIDENCE_BINS, (predicted == actual) * ones),
            "bin_confidence": sum_cells(bins, CONFIDENCE_BINS, confidence),
        }
    )


def no_skill_losses(counts: Ints, known: Ints) -> pl.DataFrame:
    """Return log_loss_no_skill and brier_no_skill: the sums if the probabilities are the label shares so far.

    Each label is counted once more than it occurred, so that none is impossible and the first shares are equal.

    Args:
        counts: Rows with probabilities of each label: sessions x labels.
        known: Rows of each label among all that were known before the session: sessions x labels.
    """
    share = (known + 1) / (known.sum(axis=1, keepdims=True) + len(CLASSES))
    rows = counts.sum(axis=1)
    # The error of a row of label k is 1 - 2 x its share + the sum of the squares of all shares.
    brier = rows * (1 + (share**2).sum(axis=1)) - 2 * (counts * share).sum(axis=1)
    return pl.DataFrame({"log_loss_no_skill": (counts * negative_log(share)).sum(axis=1), "brier_no_skill": brier})


def negative_log(probability: Floats) -> Floats:
    """Return -ln of a probability, in nats; a zero counts as 2.2e-16."""
    return np.asarray(-np.log(np.maximum(probability, np.finfo(np.float64).eps)))


LOSSES = ("log_loss", "log_loss_no_skill", "brier", "brier_no_skill")


def classification_metrics(sessions: pl.DataFrame) -> dict[str, Any]:
    """Return the metrics of the rows with probabilities: null without any.

    Args:
        sessions: The columns of `session_sums` and `no_skill_losses`, and rows, the number of all rows.
    """
    confusion = sum_over_sessions(sessions, "confusion").reshape(len(CLASSES), len(CLASSES))
    rows = int(sessions["rows"].sum())
    return {
        **confusion_metrics(confusion),
        **{name: mean_loss(sessions, name) for name in LOSSES},
        "ece": calibration_error(sessions),
        "coverage": int(confusion.sum()) / rows if rows else None,
    }


def mean_loss(sessions: pl.DataFrame, name: str) -> float | None:
    """Return the mean of one of LOSSES over the rows with probabilities."""
    rows = int(sum_over_sessions(sessions, "confusion").sum())
    return float(sum_over_sessions(sessions, name)) / rows if rows else None


def sum_over_sessions(sessions: pl.DataFrame, column: str) -> npt.NDArray[Any]:
    """Return the sum over the sessions, added one after the other."""
    values = sessions[column].to_numpy()
    return np.cumsum(values, axis=0)[-1] if len(values) else np.zeros(values.shape[1:], values.dtype)


def confusion_metrics(confusion: Ints) -> dict[str, Any]:
    """Return the metrics of counts of actual x predicted label; null if they are all zero.

    accuracy; precision, recall and f1, for each label and as plain means over the three (macro): a label that
    was never predicted has precision 0, one that never occurred has recall 0, as in scikit-learn with
    `zero_division=0`; label_share and predicted_share.
    """
    rows = int(confusion.sum())
    if not rows:
        names = ("accuracy", "precision", "recall", "f1", "by_label", "label_share", "predicted_share")
        return dict.fromkeys(names)
    correct, actual, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    scores = {
        "precision": correct / np.maximum(predicted, 1),
        "recall": correct / np.maximum(actual, 1),
        "f1": 2 * correct / np.maximum(actual + predicted, 1),
    }
    return {
        "accuracy": int(correct.sum()) / rows,
        **{name: float(values.mean()) for name, values in scores.items()},
        "by_label": {x: {name: float(v[k]) for name, v in scores.items()} for k, x in enumerate(CLASSES)},
        "label_share": dict(zip(CLASSES, (actual / rows).tolist(), strict=True)),
        "predicted_share": dict(zip(CLASSES, (predicted / rows).tolist(), strict=True)),
    }


def always_hold_metrics(sessions: pl.DataFrame) -> dict[str, float | None]:
    """Return accuracy and f1 of always predicting HOLD, and the Brier score of the shares of the labels so far."""
    actual = sum_over_sessions(sessions, "confusion").reshape(len(CLASSES), len(CLASSES)).sum(axis=1)
    hold = np.zeros((len(CLASSES), len(CLASSES)), np.intp)
    hold[:, CLASSES.index("HOLD")] = actual
    metrics = confusion_metrics(hold)
    return {**{x: metrics[x] for x in ("accuracy", "f1")}, "brier": mean_loss(sessions, "brier_no_skill")}


def reliability_curve(sessions: pl.DataFrame) -> list[list[float]]:
    """Return mean confidence, share correct, and rows, of each bin that has rows."""
    bins = zip(
        *(sum_over_sessions(sessions, f"bin_{name}").tolist() for name in ("confidence", "correct", "rows")),
        strict=True,
    )
    return [[confidence / rows, correct / rows, int(rows)] for confidence, correct, rows in bins if rows]


def calibration_error(sessions: pl.DataFrame) -> float | None:
    """Return the expected calibration error: mean over the rows of |confidence - share correct| of their bin.

    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    bins = reliability_curve(sessions)
    rows = sum(n for *_, n in bins)
    return sum(abs(confidence - correct) * n for confidence, correct, n in bins) / rows if rows else None
