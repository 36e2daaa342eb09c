"""Classification metrics: compared with scikit-learn on the same arrays, and with arithmetic by hand."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sklearn_metrics

from boursomatic_assets.learning.evaluation.classification import (
    always_hold_metrics,
    calibration_error,
    classification_metrics,
    confusion_metrics,
    no_skill_losses,
    reliability_curve,
    session_sums,
)
from boursomatic_assets.learning.labels import CLASSES

ALL = [0, 1, 2]


def session_rows(actual: list[int], chance: list[list[float]], session: list[int] | None = None) -> pl.DataFrame:
    """Sums of these rows, by default all of one session, with equal shares for no skill."""
    places = np.array(session or [0] * len(actual))
    size = int(places.max()) + 1
    counts = np.zeros((size, 3), np.int64)
    np.add.at(counts, (places, np.array(actual)), 1)
    sums = session_sums(places, np.array(actual, np.uint8), np.array(chance, np.float64), size)
    rows = pl.Series("rows", counts.sum(axis=1))
    return pl.concat([sums, no_skill_losses(counts, 0 * counts), rows.to_frame()], how="horizontal")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("present", [[0, 1, 2], [1, 2], [0]])
def test_the_metrics_are_those_of_scikit_learn(seed: int, present: list[int]) -> None:
    random = np.random.default_rng(seed)
    actual = random.choice(present, 60)
    chance = random.dirichlet([1, 1, 1], 60)
    metrics = classification_metrics(
        session_rows(actual.tolist(), chance.tolist(), random.integers(0, 4, 60).tolist())
    )
    predicted = chance.argmax(axis=1)
    assert metrics["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(actual, predicted))
    assert metrics["log_loss"] == pytest.approx(sklearn_metrics.log_loss(actual, chance, labels=ALL))
    brier = sklearn_metrics.brier_score_loss(actual, chance, labels=ALL, scale_by_half=False)
    assert metrics["brier"] == pytest.approx(brier)
    score: Any
    for name, score in (
        ("precision", sklearn_metrics.precision_score),
        ("recall", sklearn_metrics.recall_score),
        ("f1", sklearn_metrics.f1_score),
    ):
        macro = score(actual, predicted, labels=ALL, average="macro", zero_division=0)
        each = score(actual, predicted, labels=ALL, average=None, zero_division=0)
        assert metrics[name] == pytest.approx(macro)
        assert [metrics["by_label"][label][name] for label in CLASSES] == pytest.approx(each)


def test_a_certain_and_wrong_model_has_a_finite_loss() -> None:
    loss = classification_metrics(session_rows([0], [[0.0, 0.0, 1.0]]))["log_loss"]
    assert loss == pytest.approx(-math.log(np.finfo(float).eps))


def test_shares_count_actual_and_predicted_labels() -> None:
    metrics = confusion_metrics(np.array([[0, 0, 0], [0, 0, 1], [2, 0, 1]]))
    assert metrics["label_share"] == {"SELL": 0.0, "HOLD": 0.25, "BUY": 0.75}
    assert metrics["predicted_share"] == {"SELL": 0.5, "HOLD": 0.0, "BUY": 0.5}


def test_no_skill_predicts_the_label_shares_known_before() -> None:
    actual = [2, 0, 2]
    share = np.array([2, 1, 4]) / 7  # of 1, 0 and 3 known labels, each counted once more
    sums = no_skill_losses(np.array([[1, 0, 2]]), np.array([[1, 0, 3]]))
    chance = np.tile(share, (3, 1))
    log_loss = sklearn_metrics.log_loss(actual, chance, labels=ALL)
    brier = sklearn_metrics.brier_score_loss(actual, chance, labels=ALL, scale_by_half=False)
    assert sums.row(0) == pytest.approx((3 * log_loss, 3 * brier))


def test_without_known_labels_no_skill_predicts_thirds() -> None:
    sums = no_skill_losses(np.array([[5, 0, 0]]), np.zeros((1, 3), np.int64))
    assert sums["log_loss_no_skill"][0] == pytest.approx(5 * math.log(3))


def test_always_hold_has_the_accuracy_of_the_share_of_hold() -> None:
    actual = [1, 1, 0, 2]
    hold = always_hold_metrics(session_rows(actual, [[0.2, 0.2, 0.6]] * 4))
    f1 = sklearn_metrics.f1_score(actual, [1] * 4, labels=ALL, average="macro", zero_division=0)
    assert hold == {"accuracy": 0.5, "f1": pytest.approx(f1), "brier": pytest.approx(2 / 3)}


def test_the_calibration_error_by_hand() -> None:
    # Three rows with a confidence of 72 %, two of them correct; one with 45 %, wrong.
    chance = [[0.72, 0.14, 0.14]] * 3 + [[0.45, 0.3, 0.25]]
    sums = session_rows([0, 0, 1, 2], chance, session=[0, 1, 1, 0])
    assert reliability_curve(sums) == [pytest.approx([0.45, 0, 1]), pytest.approx([0.72, 2 / 3, 3])]
    assert calibration_error(sums) == pytest.approx((0.45 + 3 * (0.72 - 2 / 3)) / 4)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    sums = session_rows([0, 0, 0, 1], [[0.75, 0.25, 0.0]] * 4)
    assert calibration_error(sums) == 0


def test_certainty_is_in_the_last_bin() -> None:
    assert session_rows([2], [[0.0, 0.0, 1.0]])["bin_rows"].to_list() == [[0] * 9 + [1]]
