"""Challengers, from two small markets in which one feature predicts the future, or none does."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from worlds.learnable import Frames, markets, scrambled

from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import predict
from boursomatic_assets.learning.training import Challenger, train_challengers
from boursomatic_assets.learning.walk import due_dates

QUICK = replace(Parameters(), rounds=15)
DUE = dt.date(2021, 5, 3)


def challenger(frames: Frames, due: dt.date = DUE, parameters: Parameters = QUICK) -> Challenger:
    ((_, found),) = train_challengers(History.from_frames(*frames, parameters), [due], parameters)
    assert found
    return found


@pytest.fixture(scope="module")
def frames() -> Frames:
    return markets(signal=1.0)


@pytest.fixture(scope="module")
def trained(frames: Frames) -> Challenger:
    return challenger(frames)


@pytest.fixture(scope="module")
def model(trained: Challenger) -> Model:
    return Model.from_json(trained.model_text)


def test_a_planted_signal_is_found(trained: Challenger) -> None:
    low, high = trained.metrics["intervals"]["rank_ic"]
    assert 0.2 < low < trained.metrics["rank_ic"] < high
    assert trained.metrics["log_loss"] < trained.metrics["log_loss_no_skill"] - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_walks_show_no_skill(seed: int) -> None:
    metrics = challenger(markets(signal=0.0, seed=seed)).metrics
    assert abs(metrics["rank_ic_t"]) < 3
    assert metrics["log_loss"] > metrics["log_loss_no_skill"] - 0.01


def test_shuffled_labels_show_no_skill(frames: Frames) -> None:
    """Each session's closes are dealt out anew among its instruments, so features belong to another's future."""
    features, bars = frames
    dealt = bars.with_columns(pl.col("c").shuffle(seed=3).over("market", "ts"))
    assert abs(challenger((features, dealt)).metrics["rank_ic_t"]) < 3


@pytest.mark.slow
def test_nothing_at_or_after_the_due_date_is_used(frames: Frames, trained: Challenger) -> None:
    features, bars = frames
    assert challenger((scrambled(features, DUE), scrambled(bars, DUE))) == trained
    known = pl.col("ts").dt.date() < DUE
    assert challenger((features.filter(known), bars.filter(known))) == trained


def test_row_order_and_threads_change_no_byte(frames: Frames, trained: Challenger) -> None:
    features, bars = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in frames)
    assert challenger((features, bars), parameters=replace(QUICK, num_threads=2)) == trained


@pytest.mark.slow
def test_a_challenger_is_the_same_trained_alone_or_with_others(frames: Frames, trained: Challenger) -> None:
    due = due_dates(dt.date(2020, 1, 2), DUE)
    together = dict(train_challengers(History.from_frames(*frames, QUICK), due, QUICK))
    assert together[DUE] == trained
    assert together[dt.date(2020, 2, 3)] is None
    assert together[dt.date(2020, 10, 1)] == challenger(frames, dt.date(2020, 10, 1))


def test_the_metrics_are_json_and_the_hash_is_that_of_the_parameters(trained: Challenger) -> None:
    assert json.loads(json.dumps(trained.metrics, allow_nan=False)) == trained.metrics
    assert trained.params_hash == QUICK.params_hash()


def test_a_model_is_written_and_read_to_the_last_bit(trained: Challenger, model: Model) -> None:
    assert model.to_json() == trained.model_text


def test_a_text_that_is_no_model_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"^not a model of this version of Boursomatic: 'tree.*: let its due date"
    ):
        Model.from_json("tree\nversion=v4")


# Prediction


def rows(frames: Frames, sessions: int = 3) -> pl.DataFrame:
    last = frames[0]["ts"].unique().sort()[-sessions:]
    return frames[0].filter(pl.col("ts").is_in(last.implode()))


def test_probabilities_sum_to_one_at_every_horizon(frames: Frames, model: Model) -> None:
    predictions = predict(model, rows(frames))
    for horizon in QUICK.horizons:
        chance = predictions.select(f"p_{label}_{horizon}" for label in ("sell", "hold", "buy")).to_numpy()
        assert chance.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_a_better_score_has_a_higher_probability_of_buy_and_a_higher_expected_return(
    frames: Frames, model: Model
) -> None:
    predictions = predict(model, rows(frames, 1)).filter(pl.col("market") == "US").sort("score")
    for name in ("p_buy_20", "expected_return_pct_20"):
        assert np.corrcoef(predictions["score"].rank(), predictions[name].rank())[0, 1] > 0.7


def test_contributions_and_a_constant_sum_to_the_score(frames: Frames, model: Model) -> None:
    predictions = predict(model, rows(frames))
    rest = predictions["score"] - predictions["contributions"].struct.unnest().sum_horizontal()
    assert rest.to_numpy() == pytest.approx(np.full(predictions.height, rest[0]), abs=1e-12)
    weight = predictions["contributions"].struct.unnest().select(pl.all().abs().sum()).row(0, named=True)
    assert max(weight, key=lambda name: weight[name]) == "ret_5d_rank"


def test_a_prediction_depends_on_its_own_market_and_session_alone(frames: Frames, model: Model) -> None:
    some = rows(frames)
    whole = predict(model, some)
    parts = [predict(model, part) for part in some.partition_by("market", "ts", maintain_order=True)]
    key = ("ts", "instrument_id")
    assert pl.concat(parts).sort(key).equals(whole.sort(key))
    assert predict(model, some.reverse()).sort(key).equals(whole.sort(key))


def test_no_rows_give_an_empty_frame_of_the_same_schema(frames: Frames, model: Model) -> None:
    assert predict(model, frames[0].clear()).schema == predict(model, rows(frames)).schema
