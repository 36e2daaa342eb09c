"""A model from training to gate, on a small market in which one feature tells the future, or none does."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sklearn_metrics

from boursomatic_assets.learning.evaluation import score
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import LABELS
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import predict, probabilities
from boursomatic_assets.learning.splits import NotEnoughHistory
from boursomatic_assets.learning.training import Challenger, train

SESSIONS = np.busday_offset("2020-01-01", np.arange(260), roll="forward").astype("datetime64[us]")
CUTOFF: datetime = SESSIONS[220].item()
QUICK = replace(Parameters(), rounds=15)

Market = tuple[pl.DataFrame, pl.DataFrame]


def market(planted: bool, sessions: int = len(SESSIONS), instruments: int = 12) -> Market:
    """Features and bars of random walks; if planted, ret_5d is the return to come, under as much noise."""
    random = np.random.default_rng(7)
    steps = random.normal(0, 0.02, (instruments, sessions))
    close = 50 * np.exp(steps.cumsum(axis=1))
    shape = {
        "instrument_id": np.repeat([f"{i:08d}-0000-4000-8000-000000000000" for i in range(instruments)], sessions),
        "ts": np.tile(SESSIONS[:sessions], instruments),
    }
    bars = pl.DataFrame({**shape, **dict.fromkeys("ohlcv", close.ravel())}).with_columns(interval=pl.lit("daily"))
    noise = {name: random.normal(0, 1, close.size) for name in Parameters().features}
    if planted:
        to_come = np.roll(np.log(close), -20, axis=1) - np.log(close)
        noise["ret_5d"] += to_come.ravel() / (0.02 * math.sqrt(20))
    features = pl.DataFrame({**shape, **noise, "vol_20d": np.full(close.size, 0.02)})
    return features.with_columns(rsi_14=pl.when(pl.col("rsi_14") < 1).then("rsi_14")), bars


@pytest.fixture(scope="module")
def planted() -> Market:
    return market(planted=True)


@pytest.fixture(scope="module")
def history(planted: Market) -> History:
    return History.of(*planted, QUICK)


@pytest.fixture(scope="module")
def challenger(history: History) -> Challenger:
    return train(history, CUTOFF, QUICK)


@pytest.fixture(scope="module")
def booster(challenger: Challenger) -> lgb.Booster:
    return lgb.Booster(model_str=challenger.model_text)


def trained(features: pl.DataFrame, bars: pl.DataFrame, cutoff: datetime = CUTOFF) -> Challenger:
    return train(History.of(features, bars, QUICK), cutoff, QUICK)


def scrambled(frame: pl.DataFrame, since: datetime) -> pl.DataFrame:
    """The same frame with every number of the rows from `since` on changed."""
    numbers = pl.selectors.float()
    return frame.with_columns(pl.when(pl.col("ts") >= since).then(numbers * 3 + 1).otherwise(numbers))


# Training


def test_a_planted_signal_is_found(challenger: Challenger) -> None:
    assert challenger.metrics["log_loss"] < challenger.metrics["log_loss_no_skill"] - 0.1
    assert challenger.metrics["accuracy"] > 0.5
    assert challenger.metrics["sharpe"] > 2


def test_noise_does_not_beat_no_skill() -> None:
    metrics = trained(*market(planted=False)).metrics
    assert metrics["log_loss"] > metrics["log_loss_no_skill"] - 0.01


def test_nothing_at_or_after_the_cutoff_is_used(planted: Market, challenger: Challenger) -> None:
    features, bars = planted
    assert trained(scrambled(features, CUTOFF), scrambled(bars, CUTOFF)) == challenger
    known = pl.col("ts") < CUTOFF
    assert trained(features.filter(known), bars.filter(known)) == challenger


def test_the_session_before_the_cutoff_is_used(planted: Market, challenger: Challenger) -> None:
    features, bars = planted
    assert trained(features, scrambled(bars, SESSIONS[219].item())) != challenger


def test_no_price_of_the_validation_window_reaches_the_model(planted: Market, challenger: Challenger) -> None:
    features, bars = planted
    start = challenger.window.start
    other = trained(scrambled(features, start), scrambled(bars, start))
    assert other.model_text == challenger.model_text
    assert other.metrics["log_loss"] != challenger.metrics["log_loss"]


def test_row_order_changes_no_byte(planted: Market, challenger: Challenger) -> None:
    features, bars = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in planted)
    assert trained(features, bars) == challenger


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_byte(history: History, challenger: Challenger, threads: int) -> None:
    assert train(history, CUTOFF, replace(QUICK, num_threads=threads)) == challenger


def test_models_trained_side_by_side_are_those_trained_alone(history: History, challenger: Challenger) -> None:
    cutoffs = [SESSIONS[200].item(), CUTOFF] * 2
    with ThreadPoolExecutor(2) as pool:
        earlier, later, *again = pool.map(lambda cutoff: train(history, cutoff, QUICK), cutoffs)
    assert later == challenger != earlier
    assert again == [earlier, later]


def test_intraday_bars_change_no_byte(planted: Market, challenger: Challenger) -> None:
    features, bars = planted
    intraday = bars.with_columns(pl.col("ts").dt.offset_by("9h"), c=pl.lit(1.0), interval=pl.lit("15m"))
    assert trained(features, pl.concat([bars, intraday])) == challenger


def test_the_model_that_is_measured_is_the_model_that_is_returned(
    history: History, challenger: Challenger, booster: lgb.Booster
) -> None:
    metrics = score(booster, history, challenger.window, QUICK.horizon)
    assert metrics.items() <= challenger.metrics.items()
    rows = challenger.window.select(history.rows)
    chance = probabilities(booster, rows)
    actual = rows["label"].to_physical()
    assert metrics["log_loss"] == pytest.approx(sklearn_metrics.log_loss(actual, chance))
    assert metrics["accuracy"] == sklearn_metrics.accuracy_score(actual, chance.argmax(axis=1))


def test_no_skill_is_the_class_frequencies_of_the_training_rows(challenger: Challenger) -> None:
    metrics = challenger.metrics
    expected = -sum(metrics["label_share"][x] * math.log(metrics["train_share"][x]) for x in LABELS)
    assert metrics["log_loss_no_skill"] == pytest.approx(expected)


def test_the_mean_returns_are_those_of_the_training_rows_in_percent(
    history: History, challenger: Challenger
) -> None:
    past = history.rows.filter(pl.col("known_at") < challenger.window.start)
    assert challenger.metrics["train_rows"] == past.height
    for label, mean in challenger.metrics["mean_return_pct"].items():
        of_label = past.filter(pl.col("label").cast(pl.String) == label)["forward_return"]
        assert mean == pytest.approx(100 * of_label.mean())


def test_the_metrics_are_json_and_say_what_they_are_of(challenger: Challenger) -> None:
    metrics = challenger.metrics
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    dates = [metrics[name] for name in ("train_start", "train_end", "valid_start", "valid_end")]
    assert dates == sorted(dates)
    assert [datetime.fromisoformat(text) for text in dates[2:]] == [
        challenger.window.start,
        challenger.window.end,
    ]
    assert challenger.params_hash == QUICK.params_hash()


def test_nine_months_of_history_are_enough_for_a_first_model() -> None:
    features, bars = market(planted=True, sessions=189, instruments=4)
    warmed_up = features.filter(pl.col("ts") >= SESSIONS[20])
    assert trained(warmed_up, bars, SESSIONS[189].item()).metrics["train_sessions"] >= 60


def test_too_little_history_is_refused(planted: Market) -> None:
    with pytest.raises(NotEnoughHistory, match=r"^not enough history before 2020-04-22: \d+ training rows .*$"):
        trained(*planted, SESSIONS[80].item())


def test_a_label_that_never_happened_cannot_be_learned(planted: Market) -> None:
    features, bars = planted
    rising = bars.sort("ts").with_columns(c=1.01 ** pl.int_range(pl.len()).over("instrument_id"))
    with pytest.raises(NotEnoughHistory, match=r"none of \d+ training rows is a SELL"):
        trained(features, rising)


# Prediction

MEANS = {"SELL": -5.0, "HOLD": 0.5, "BUY": 7.0}


def test_probabilities_sum_to_one_and_weigh_the_mean_returns(planted: Market, booster: lgb.Booster) -> None:
    said = predict(booster, planted[0], MEANS)
    chance = said.select("p_sell", "p_hold", "p_buy").to_numpy()
    assert chance.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert said["expected_return_pct"].to_numpy() == pytest.approx(chance @ list(MEANS.values()))


def test_a_prediction_does_not_depend_on_other_rows(planted: Market, booster: lgb.Booster) -> None:
    rows = planted[0].head(64)
    whole = predict(booster, rows, MEANS)
    one_by_one = [predict(booster, rows[i], MEANS) for i in range(rows.height)]
    assert pl.concat(one_by_one).equals(whole)
    assert predict(booster, rows.reverse(), MEANS).reverse().equals(whole)
    assert predict(booster, planted[0], MEANS).head(64).equals(whole)


def test_the_planted_feature_contributes_most(planted: Market, booster: lgb.Booster) -> None:
    shares = predict(booster, planted[0].head(500), MEANS)["contributions"].struct
    weight = {name: np.abs(shares.field(name).to_numpy()).sum() for name in shares.fields}
    assert max(weight, key=lambda name: weight[name]) == "ret_5d"


def test_predicting_nothing_gives_an_empty_frame_of_the_same_kind(planted: Market, booster: lgb.Booster) -> None:
    rows = predict(booster, planted[0].head(1), MEANS)
    assert predict(booster, planted[0].clear(), MEANS).schema == rows.schema
