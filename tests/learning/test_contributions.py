"""Contributions compared with LightGBM's own, on models with and without missing values."""

import math

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pytest

from boursomatic_assets.learning import contributions as contributions_module
from boursomatic_assets.learning.contributions import _Tree, contributions
from boursomatic_assets.learning.model import POOLED
from boursomatic_assets.learning.prediction import ensemble, score_rows

Floats = npt.NDArray[np.float64]
WIDTH = 4


def rows(count: int, gaps: float, seed: int, width: int = WIDTH) -> Floats:
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, width)).round(1)
    values[random.random(values.shape) < gaps] = np.nan
    return values


def model(gaps: float = 0.0, **parameters: int) -> lgb.Booster:
    """A model of three classes whose training rows have this share of missing values."""
    values = rows(600, gaps, seed=1)
    label = np.digitize(np.nan_to_num(values[:, 0] * values[:, 1] + values[:, 2]), [-0.5, 0.5])
    settings = {"objective": "multiclass", "num_class": 3, "num_leaves": 15, "max_depth": 4, "verbosity": -1}
    return lgb.train({**settings, **parameters}, lgb.Dataset(values, label=label), num_boost_round=8)


def scorer(gaps: float, width: int, rounds: int) -> lgb.Booster:
    """A model of one score, as the platform trains it: 8 leaves, 3 splits deep."""
    values = rows(3000, gaps, seed=7, width=width)
    filled = np.nan_to_num(values)
    target = filled[:, 0] * filled[:, 1] + filled[:, 2:].sum(axis=1) / 5 + 1
    settings = {"objective": "regression", "num_leaves": 8, "max_depth": 3, "num_threads": 1, "verbosity": -1}
    return lgb.train(settings, lgb.Dataset(values, label=target), num_boost_round=rounds)


def of_lightgbm(booster: lgb.Booster, values: Floats) -> Floats:
    """Rows x classes x features; the last column of each class is its bias, which is left out."""
    flat = np.asarray(booster.predict(values, pred_contrib=True))
    return flat.reshape(len(values), -1, values.shape[1] + 1)[:, :, :-1]


@pytest.mark.parametrize("trained_with", [0.0, 0.3])
@pytest.mark.parametrize("asked_with", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_contributions_are_those_of_lightgbm(trained_with: float, asked_with: float, depth: int) -> None:
    booster = model(trained_with, max_depth=depth)
    values = rows(200, asked_with, seed=2)
    assert contributions(booster, values) == pytest.approx(of_lightgbm(booster, values), abs=1e-12)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_contributions_to_a_single_score_are_those_of_lightgbm(gaps: float) -> None:
    booster, values = scorer(gaps, width=24, rounds=80), rows(500, gaps, seed=8, width=24)
    added = contributions(booster, values)
    assert added.shape == (500, 1, 24)
    assert added == pytest.approx(of_lightgbm(booster, values), abs=1e-12)


def test_with_one_bias_contributions_sum_to_the_single_score() -> None:
    booster, values = scorer(0.1, width=5, rounds=20), rows(100, 0.1, seed=9, width=5)
    assert np.ptp(booster.predict(values) - contributions(booster, values)[:, 0].sum(axis=1)) < 1e-12


def test_the_tables_of_a_small_tree_are_small() -> None:
    trees = scorer(0.3, width=24, rounds=80).dump_model()["tree_info"]
    for tree in trees:
        axes = _Tree.from_node(tree["tree_structure"]).axes.values()
        assert math.prod(axis.size for axis in axes) <= 3**7


def test_a_value_on_a_threshold_goes_where_the_model_sends_it() -> None:
    booster = model()
    thresholds = booster.trees_to_dataframe()["threshold"].dropna().to_numpy()
    thresholds = thresholds[np.abs(thresholds) > 1e-30]  # LightGBM takes what is nearer to zero for zero
    values = np.repeat(thresholds[:, None], WIDTH, axis=1)
    assert contributions(booster, values) == pytest.approx(of_lightgbm(booster, values), abs=1e-12)


def test_with_one_bias_contributions_sum_to_the_raw_score() -> None:
    booster, values = model(), rows(100, 0.1, seed=3)
    raw = np.asarray(booster.predict(values, raw_score=True))
    assert np.ptp(raw - contributions(booster, values).sum(axis=2), axis=0) == pytest.approx(0, abs=1e-12)


def test_a_model_without_splits_has_no_contributions() -> None:
    booster = model(min_data_in_leaf=600)
    assert not contributions(booster, rows(5, 0.0, seed=4)).any()


def test_blocks_and_row_order_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    booster, values = model(0.1), rows(50, 0.1, seed=5)
    whole = contributions(booster, values)
    monkeypatch.setattr("boursomatic_assets.learning.contributions.BLOCK_ROWS", 7)
    assert np.array_equal(contributions(booster, values), whole)
    assert np.array_equal(contributions(booster, values[::-1])[::-1], whole)


def test_the_tables_of_a_booster_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are those of that booster: another one of the same shape has its own."""
    one, other = scorer(0.1, width=5, rounds=20), scorer(0.1, width=5, rounds=21)
    values = rows(100, 0.1, seed=10, width=5)
    first = contributions(one, values)
    make, made = contributions_module._contribution_tables, []
    monkeypatch.setattr(
        contributions_module, "_contribution_tables", lambda *given: made.append(1) or make(*given)
    )
    assert np.array_equal(contributions(one, values[::2]), first[::2])
    assert made == []
    assert contributions(other, values) == pytest.approx(of_lightgbm(other, values), abs=1e-12)
    assert len(made) == 1


def test_contributions_of_an_ensemble_sum_to_its_score_up_to_a_constant_of_each_market() -> None:
    """Of a quarter with boosters of its own for one market, and of one without any."""
    pooled, own, before = (scorer(gaps, width=5, rounds=count) for gaps, count in ((0, 20), (0.3, 15), (0.1, 9)))
    texts = [booster.model_to_string() for booster in (pooled, own, before)]
    quarters = [{POOLED: texts[2]}, {POOLED: texts[0], "US": texts[1]}]
    values, markets = rows(200, 0.1, seed=11, width=5), np.repeat(["US", "EURONEXT"], 100)
    added = ensemble(quarters, markets, values, lambda booster, some: contributions(booster, some)[:, 0, :])
    constant = ensemble(quarters, markets, values, score_rows) - added.sum(axis=1)
    assert np.ptp(constant[:100]) < 1e-12
    assert np.ptp(constant[100:]) < 1e-12
    assert constant[0] != constant[100]
    newest = np.concatenate(
        [
            (of_lightgbm(pooled, values[:100]) + of_lightgbm(own, values[:100])) / 2,
            of_lightgbm(pooled, values[100:]),
        ]
    )
    expected = (of_lightgbm(before, values) + newest)[:, 0, :] / 2
    assert added == pytest.approx(expected, abs=1e-12)


def test_no_rows_have_no_contributions() -> None:
    assert contributions(model(), rows(0, 0.0, seed=6)).shape == (0, 3, WIDTH)
