"""Challengers, from two small markets in which one feature predicts the future, or none does."""

import datetime as dt
import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from worlds.learnable import Frames, markets, scrambled

from boursomatic_assets.learning.calibration.curves import NO_SKILL, fit_curves
from boursomatic_assets.learning.calibration.record import MarketRecord
from boursomatic_assets.learning.calibration.zones import measure_zones
from boursomatic_assets.learning.evaluation.evidence import EvidenceRecord
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.model import POOLED, Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import predict, predict_probabilities
from boursomatic_assets.learning.training import Challenger, train_challengers, within_limit
from boursomatic_assets.learning.walk import due_dates, label_cutoff, midnight, walk_forward

QUICK = replace(Parameters(), rounds=15)
DUE = dt.date(2021, 5, 3)
NOISE_SEEDS = [1, 2, 3]


def challenger(frames: Frames, due: dt.date = DUE, parameters: Parameters = QUICK) -> Challenger:
    ((_, found),) = train_challengers(History.from_frames(*frames, parameters), [due], parameters)
    assert found
    return found


def differently_volatile() -> Frames:
    """Instruments 08 to 15 of each market have an annual volatility of 48 %, the others of 32 %."""
    features, bars = markets(signal=1.0)
    wild = pl.col("instrument_id").str.slice(-2).cast(pl.Int64) >= 8
    return features.with_columns(vol_20d=pl.when(wild).then(0.03).otherwise(0.02)), bars


@pytest.fixture(scope="module")
def frames() -> Frames:
    return differently_volatile()


@pytest.fixture(scope="module")
def history(frames: Frames) -> History:
    return History.from_frames(*frames, QUICK)


@pytest.fixture(scope="module")
def by_due_date(history: History) -> dict[dt.date, Challenger]:
    """The challengers of all months until DUE that have enough history."""
    trained = train_challengers(history, due_dates(dt.date(2020, 1, 2), DUE), QUICK)
    return {due: found for due, found in trained if found}


@pytest.fixture(scope="module")
def trained(by_due_date: dict[dt.date, Challenger]) -> Challenger:
    return by_due_date[DUE]


@pytest.fixture(scope="module")
def model(trained: Challenger) -> Model:
    return Model.from_json(trained.model_text)


@pytest.fixture(scope="module")
def known(history: History) -> dict[int, pl.DataFrame]:
    """By horizon, the out-of-sample scores whose outcome was known an embargo before DUE."""
    walked = walk_forward(history, DUE, QUICK)
    records = {h: walked.scores.hstack(labels[walked.row_indices]) for h, labels in history.labels.items()}
    return {h: rows.filter(pl.col("known_at") < label_cutoff(DUE, QUICK)) for h, rows in records.items()}


# --- skill, and none


def test_a_planted_signal_is_found(trained: Challenger) -> None:
    low, high = trained.metrics["intervals"]["rank_ic"]
    assert 0.2 < low < trained.metrics["rank_ic"] < high
    assert trained.metrics["log_loss"] < trained.metrics["log_loss_no_skill"] - 0.05
    for horizon, least in (("10", 5), ("20", 3), ("40", 1.5)):
        evidence, zones = (trained.metrics[name][horizon] for name in ("evidence", "zones"))
        assert evidence["value"] > least > 1 > evidence["against"]
        assert zones["BUY"]["worth"]
        assert zones["SELL"]["worth"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", NOISE_SEEDS)
def test_random_walks_show_no_skill(seed: int) -> None:
    metrics = challenger(markets(signal=0.0, seed=seed)).metrics
    assert abs(metrics["rank_ic_t"]) < 3
    assert metrics["log_loss"] > metrics["log_loss_no_skill"] - 0.01
    assert all(found["value"] < 2 for found in metrics["evidence"].values())


def test_shuffled_labels_show_no_skill(frames: Frames) -> None:
    """Each session's closes are dealt out anew among its instruments, so features belong to another's future."""
    features, bars = frames
    dealt = bars.with_columns(pl.col("c").shuffle(seed=3).over("market", "ts"))
    metrics = challenger((features, dealt)).metrics
    assert abs(metrics["rank_ic_t"]) < 3
    assert metrics["evidence"]["20"]["value"] < 2


# --- nothing from the future


def test_nothing_at_or_after_the_due_date_is_used(frames: Frames, trained: Challenger) -> None:
    features, bars = frames
    assert challenger((scrambled(features, DUE), scrambled(bars, DUE))) == trained
    past = pl.col("ts").dt.date() < DUE
    assert challenger((features.filter(past), bars.filter(past))) == trained


def test_row_order_and_threads_change_no_byte(frames: Frames, trained: Challenger) -> None:
    features, bars = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in frames)
    assert challenger((features, bars), parameters=replace(QUICK, num_threads=2)) == trained


def test_a_challenger_is_the_same_trained_alone_or_with_others(
    frames: Frames, by_due_date: dict[dt.date, Challenger]
) -> None:
    assert list(by_due_date) == due_dates(dt.date(2020, 8, 3), DUE)
    for due in (DUE, dt.date(2020, 12, 1)):
        assert challenger(frames, due) == by_due_date[due]


def test_a_due_date_with_too_little_history_has_no_challenger(history: History) -> None:
    early = dt.date(2020, 2, 3)
    assert list(train_challengers(history, [early], QUICK)) == [(early, None)]
    (first, _), (second, found) = train_challengers(history, [early, DUE], QUICK)
    assert (first, second) == (early, DUE)
    assert found is not None


def test_curves_evidence_and_zones_know_nothing_of_the_embargo(frames: Frames, trained: Challenger) -> None:
    """Closes of the last sessions before the due date end no outcome that any of them is made of."""
    features, bars = (scrambled(frame, label_cutoff(DUE, QUICK).date()) for frame in frames)
    other = challenger((features, bars))
    assert other.model_text == trained.model_text
    assert all(other.metrics[name] == trained.metrics[name] for name in ("evidence", "zones", "deciles"))


# --- what a version is made of


def test_a_version_has_the_boosters_of_the_last_quarters(history: History, model: Model) -> None:
    (*_, step) = walk_forward(history, DUE, QUICK).steps
    assert step.due == DUE
    assert model.quarters == step.boosters
    assert len(model.quarters) == 4
    assert model.features == list(QUICK.features)


def test_its_curves_are_those_of_the_known_rows_that_its_profile_may_recommend(
    known: dict[int, pl.DataFrame], model: Model
) -> None:
    """Of both markets, drawn to no skill, and of each, drawn to those of both."""
    for horizon, rows in known.items():
        limit = QUICK.volatility_limit(horizon) or math.inf
        eligible = rows.filter(pl.col("vol_20d") * math.sqrt(252) <= limit)
        sums = {
            name: MarketRecord.from_rows(eligible.filter(market=name)).before(dt.datetime.max)
            for name in ("US", "EURONEXT")
        }
        priors = (QUICK.prior_sessions, QUICK.market_prior_sessions)
        pooled = fit_curves(sums["US"] + sums["EURONEXT"], NO_SKILL, *priors)
        assert model.curves[horizon].keys() == {POOLED, "US", "EURONEXT"}
        for name, of_market in sums.items():
            expected = fit_curves(of_market, pooled, *priors)
            found = model.curves_of(horizon, name)
            for curve in ("better", "worse", "relative_return", "market_return"):
                assert getattr(found, curve) == pytest.approx(getattr(expected, curve), abs=1e-12)


def test_its_zones_are_of_the_rows_that_its_profile_may_recommend(
    known: dict[int, pl.DataFrame], trained: Challenger
) -> None:
    """At 40 sessions half of the instruments are too volatile."""
    for horizon, share in ((10, 1.0), (20, 1.0), (40, 0.5)):
        zones = trained.metrics["zones"][str(horizon)]
        assert sum(zone["rows"] for zone in zones.values()) == share * known[horizon].height > 0
        eligible = known[horizon].filter(within_limit(QUICK.volatility_limit(horizon) or math.inf))
        by_market = (
            MarketRecord.from_rows(eligible.filter(market=name)).before(dt.datetime.max)
            for name in ("US", "EURONEXT")
        )
        new_york, paris = by_market
        for label, zone in measure_zones(new_york + paris).items():
            assert zones[label] == pytest.approx(zone)


def test_its_evidence_is_of_all_scored_rows(known: dict[int, pl.DataFrame], trained: Challenger) -> None:
    for horizon, rows in known.items():
        expected = EvidenceRecord.from_rows(rows, horizon).before(dt.datetime.max)
        assert trained.metrics["evidence"][str(horizon)] == pytest.approx(expected)
        assert 0 < expected["steps"] <= math.ceil(rows["ts"].n_unique() * 5 / horizon)


@pytest.mark.parametrize(("volatility", "within"), [(0.037, True), (0.038, False), (None, False)])
def test_a_volatility_limit_is_of_the_annual_volatility(volatility: float | None, within: bool) -> None:
    """0.037 a session is 58.7 % a year, and 0.038 is 60.3 %."""
    row = pl.DataFrame({"vol_20d": [volatility]}, schema={"vol_20d": pl.Float64})
    assert row.select(within_limit(0.60)).item() is within


def test_each_month_of_the_record_is_judged_by_the_model_of_its_own_due_date(
    history: History, by_due_date: dict[dt.date, Challenger]
) -> None:
    """Its rank IC and log loss are those of what the version of that month says, and no later one."""
    labels = history.labels[QUICK.horizon]
    everything = history.rows.with_columns(pl.col("instrument_id").cast(pl.String)).hstack(labels)
    judged = by_due_date[DUE].metrics["by_month"]
    assert len(judged) >= 5
    due = list(by_due_date)
    for month, (rank_ic, log_loss, _) in judged.items():
        (begin,) = (date for date in due if f"{date:%Y-%m}" == month)
        end = next(date for date in due if date > begin)
        inside = (pl.col("ts") >= midnight(begin)) & (pl.col("ts") < midnight(end))
        rows = everything.filter(inside, pl.col("known_at") < midnight(DUE))
        said = predict_probabilities(Model.from_json(by_due_date[begin].model_text), rows)
        chances = said.select(f"p_{label.lower()}_20" for label in CLASSES).to_numpy()
        of_label = chances[np.arange(len(chances)), rows["label"].to_physical().to_numpy()]
        assert log_loss == pytest.approx(-np.log(of_label).mean(), abs=1e-9)
        ranked = said.hstack(rows.select("forward_return")).group_by("ts", "market")
        ics = ranked.agg(ic=pl.corr("score", "forward_return", method="spearman"))
        by_date = ics.group_by("ts").agg(pl.col("ic").mean())["ic"]
        assert rank_ic == pytest.approx(by_date.mean(), abs=1e-9)


def test_the_training_set_is_that_of_its_newest_boosters(history: History, trained: Challenger) -> None:
    """The version of May has the boosters of the first of April."""
    cutoff = label_cutoff(dt.date(2021, 4, 1), QUICK)
    assert trained.metrics["train_end"] == cutoff.isoformat()
    assert trained.metrics["train_rows"] == (history.labels[20]["known_at"] < cutoff).sum()


def test_the_metrics_are_json_and_the_hash_is_that_of_the_parameters(trained: Challenger) -> None:
    assert json.loads(json.dumps(trained.metrics, allow_nan=False)) == trained.metrics
    assert trained.params_hash == QUICK.params_hash()


def test_a_model_is_written_and_read_to_the_last_bit(trained: Challenger, model: Model) -> None:
    assert model.to_json() == trained.model_text


@pytest.mark.parametrize("text", ["tree\nversion=v4", "{}", '{"booster": "tree", "curves": {}}', "[]", "3"])
def test_a_text_that_is_no_model_is_an_error(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^not a model of this version of Boursomatic: .*: `boursomatic refresh --models`"
    ):
        Model.from_json(text)


# --- prediction


def rows(frames: Frames) -> pl.DataFrame:
    """The rows of three sessions of both markets."""
    return frames[0].filter(pl.col("ts").dt.date().is_between(dt.date(2021, 5, 4), dt.date(2021, 5, 6)))


def test_probabilities_sum_to_one_at_every_horizon(frames: Frames, model: Model) -> None:
    predictions = predict(model, rows(frames))
    for horizon in QUICK.horizons:
        chance = predictions.select(f"p_{label}_{horizon}" for label in ("sell", "hold", "buy")).to_numpy()
        assert chance.sum(axis=1) == pytest.approx(1, abs=1e-12)
        assert (chance > 0).all()


@pytest.mark.parametrize("horizon", QUICK.horizons)
def test_a_better_score_is_likelier_to_be_better_and_never_likelier_to_be_worse(
    frames: Frames, model: Model, horizon: int
) -> None:
    for session in predict(model, rows(frames)).partition_by("market", "ts"):
        ordered = session.sort("score")
        assert ordered[f"p_buy_{horizon}"].is_sorted()
        assert ordered[f"p_sell_{horizon}"].is_sorted(descending=True)
        assert ordered[f"p_buy_{horizon}"][0] < ordered[f"p_buy_{horizon}"][-1]
        assert ordered[f"p_sell_{horizon}"][0] > ordered[f"p_sell_{horizon}"][-1]


@pytest.mark.parametrize("horizon", QUICK.horizons)
def test_the_expected_return_orders_a_session_as_the_score_does(
    frames: Frames, model: Model, horizon: int
) -> None:
    """Strictly: so both have the same rank IC."""
    for session in predict(model, rows(frames)).partition_by("market", "ts"):
        assert session["score"].rank().equals(session[f"expected_return_pct_{horizon}"].rank())


def test_an_expected_return_is_in_percent(frames: Frames, model: Model) -> None:
    """The planted signal is worth some percent over 20 sessions, of which a session's noise is 2 %."""
    expected = predict(model, rows(frames))["expected_return_pct_20"]
    best, worst = expected.max(), expected.min()
    assert isinstance(best, float)
    assert isinstance(worst, float)
    assert 1 < best - worst < 30


def test_a_score_is_the_same_whatever_rows_come_with_it(frames: Frames, model: Model) -> None:
    some = rows(frames)
    alone = pl.concat(predict(model, row) for row in some[::7].iter_slices(1))
    assert alone["score"].equals(predict(model, some)["score"][::7])


def test_the_features_of_one_session_change_no_other(frames: Frames, model: Model) -> None:
    some = rows(frames)
    last = some["ts"].max()
    assert isinstance(last, dt.datetime)
    before = pl.col("ts") < last
    assert predict(model, scrambled(some, last.date())).filter(before).equals(predict(model, some).filter(before))


def test_contributions_and_a_constant_of_the_market_sum_to_the_score(frames: Frames, model: Model) -> None:
    """The constant is the mean of what the boosters of a market say without any feature."""
    predictions = predict(model, rows(frames))
    constants = []
    for of_market in predictions.partition_by("market"):
        rest = of_market["score"] - of_market["contributions"].struct.unnest().sum_horizontal()
        assert rest.to_numpy() == pytest.approx(np.full(of_market.height, rest[0]), abs=1e-12)
        constants.append(rest[0])
    assert constants == pytest.approx([0, 0], abs=0.01), "ranks lie around 0"
    assert constants[0] != constants[1]
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
