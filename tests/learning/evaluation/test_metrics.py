"""The metrics of a record before a cutoff: their values, and that nothing later changes them."""

import json
import math
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.evaluation.intervals import Estimate, estimate_mean
from boursomatic_assets.learning.evaluation.metrics import (
    BASELINES,
    PROBABILITY_COLUMNS,
    SCORE_COLUMNS,
    Metrics,
    SessionMetrics,
    dates_per_horizon,
)
from boursomatic_assets.learning.labels import CLASSES

HORIZON, STRIDE = 20, 5
SESSIONS = np.busday_offset("2020-06-01", np.arange(200), roll="forward").astype("datetime64[us]")
CUTOFF: datetime = SESSIONS[150].item()
NOT_YET_CALIBRATED = SESSIONS[40]

KNOWN = pl.col("known_at") < CUTOFF


def market(name: str, instruments: int, seed: int, skill: float = 0.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Record and closes of random walks; with skill, the score contains that share of the future return."""
    random = np.random.default_rng(seed)
    close = 50 * np.exp(random.normal(0, 0.02, (instruments, len(SESSIONS))).cumsum(axis=1))
    ids = [f"{name}-{n:03d}" for n in range(instruments)]
    start = np.arange(seed % STRIDE, len(SESSIONS) - HORIZON, STRIDE)
    outcome = close[:, start + HORIZON] / close[:, start] - 1
    scores = random.normal(size=(len(SCORE_COLUMNS), *outcome.shape))
    scores[0] += skill * outcome / outcome.std()
    chance = random.dirichlet([2, 2, 2], outcome.shape)
    columns = {
        "instrument_id": np.repeat(ids, len(start)),
        "ts": np.tile(SESSIONS[start], instruments),
        "known_at": np.tile(SESSIONS[start + HORIZON], instruments),
        "forward_return": outcome.ravel(),
        "label": np.array(CLASSES)[np.digitize(outcome / 0.09, [-0.43, 0.43])].ravel(),
        **{x: scores[k].ravel() for k, x in enumerate(SCORE_COLUMNS)},
        **{x: chance[:, :, k].ravel() for k, x in enumerate(PROBABILITY_COLUMNS)},
    }
    calibrated = pl.col("ts") >= NOT_YET_CALIBRATED
    record = pl.DataFrame({"market": name, **columns}).with_columns(
        pl.col("label").cast(pl.Enum(CLASSES)),
        *(pl.when(calibrated).then(x).alias(x) for x in PROBABILITY_COLUMNS),
    )
    shape = {"instrument_id": np.repeat(ids, len(SESSIONS)), "ts": np.tile(SESSIONS, instruments)}
    return record, pl.DataFrame({**shape, "c": close.ravel()})


@pytest.fixture(scope="module")
def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    us, euronext = market("US", 30, seed=1, skill=0.5), market("EURONEXT", 12, seed=2, skill=0.5)
    return pl.concat([us[0], euronext[0]]), pl.concat([us[1], euronext[1]])


@pytest.fixture(scope="module")
def session_metrics(frames: tuple[pl.DataFrame, pl.DataFrame]) -> SessionMetrics:
    return SessionMetrics.from_record(*frames, HORIZON, STRIDE)


@pytest.fixture(scope="module")
def metrics(session_metrics: SessionMetrics) -> Metrics:
    return session_metrics.metrics_before(CUTOFF)


@pytest.fixture(scope="module")
def known(frames: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    return frames[0].filter(KNOWN)


# Values


def test_rows_with_a_known_label_count(metrics: Metrics, known: pl.DataFrame) -> None:
    assert metrics["rows"] == known.height
    assert metrics["sessions"] == known.select("market", "ts").n_unique()
    assert [metrics["start"], metrics["end"]] == [known["ts"].min().isoformat(), known["ts"].max().isoformat()]


def test_rows_without_probabilities_count_for_ranks_only(metrics: Metrics, known: pl.DataFrame) -> None:
    judged = known.drop_nulls(PROBABILITY_COLUMNS)
    chance, actual = judged.select(PROBABILITY_COLUMNS).to_numpy(), judged["label"].to_physical().to_numpy()
    assert 0 < judged.height < known.height
    assert metrics["coverage"] == judged.height / known.height
    assert metrics["log_loss"] == pytest.approx(sklearn_metrics.log_loss(actual, chance))
    assert metrics["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(actual, chance.argmax(axis=1)))
    assert sum(rows for *_, rows in metrics["reliability"]) == judged.height


def test_the_rank_ic_of_a_market_is_the_mean_over_its_sessions(metrics: Metrics, known: pl.DataFrame) -> None:
    for name, figures in metrics["by_market"].items():
        sessions = known.filter(pl.col("market") == name).partition_by("ts")
        ics = [stats.spearmanr(s["score"], s["forward_return"]).statistic for s in sessions]
        assert figures["rank_ic"] == pytest.approx(np.mean(ics))
    assert set(metrics["by_market"]) == {"US", "EURONEXT"}


def test_a_date_of_two_markets_counts_once(frames: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    record, closes = frames
    us = record.filter(pl.col("market") == "US")
    twin = us.with_columns(market=pl.lit("TWIN"), instrument_id="T" + pl.col("instrument_id"))
    twice = SessionMetrics.from_record(
        pl.concat([us, twin]),
        pl.concat([closes, closes.with_columns(instrument_id="T" + pl.col("instrument_id"))]),
        HORIZON,
        STRIDE,
    ).metrics_before(CUTOFF)
    once = SessionMetrics.from_record(us, closes, HORIZON, STRIDE).metrics_before(CUTOFF)
    for name in ("rank_ic", "rank_ic_ir", "rank_ic_t", "decile_spread_net", "sharpe", "turnover", "max_drawdown"):
        assert twice[name] == pytest.approx(once[name])


@pytest.mark.slow
def test_no_skill_uses_only_labels_known_before_the_session(known: pl.DataFrame, metrics: Metrics) -> None:
    judged = known.drop_nulls(PROBABILITY_COLUMNS)
    loss = 0.0
    for ts, label in judged.select("ts", "label").iter_rows():
        before = known.filter(pl.col("known_at") < ts)["label"]
        loss -= math.log(((before == label).sum() + 1) / (len(before) + 3))
    assert metrics["log_loss_no_skill"] == pytest.approx(loss / judged.height)


def test_years_and_months_partition_the_sessions(metrics: Metrics, known: pl.DataFrame) -> None:
    assert list(metrics["by_year"]) == ["2020"]
    assert metrics["by_year"]["2020"]["rank_ic"] == pytest.approx(metrics["rank_ic"])
    assert list(metrics["by_month"]) == sorted(known["ts"].dt.strftime("%Y-%m").unique())
    assert sum(n for *_, n in metrics["by_month"].values()) == metrics["sessions"]
    assert metrics["by_month"]["2020-09"][2] == known.filter(pl.col("ts").dt.month() == 9)["ts"].n_unique()
    assert metrics["by_month"]["2020-06"][1] is None
    september = known.filter(pl.col("ts").dt.month() == 9)
    loss = sklearn_metrics.log_loss(
        september["label"].to_physical().to_numpy(), september.select(PROBABILITY_COLUMNS).to_numpy()
    )
    assert metrics["by_month"]["2020-09"][1] == pytest.approx(loss)


def test_skill_is_found_and_noise_is_not(metrics: Metrics) -> None:
    low, high = metrics["intervals"]["rank_ic"]
    assert 0.3 < low < metrics["rank_ic"] < high
    assert metrics["rank_ic_t"] > 4
    assert metrics["decile_spread"] > metrics["decile_spread_net"] > 0.03
    assert metrics["sharpe"] > 1
    for name in BASELINES:
        assert abs(metrics["baselines"][name]["rank_ic_t"]) < 3


def test_a_horizon_spans_more_dates_if_those_of_the_markets_differ(session_metrics: SessionMetrics) -> None:
    us = session_metrics.sessions.filter(pl.col("market") == "US")
    assert dates_per_horizon(us, HORIZON, STRIDE) == 4
    assert dates_per_horizon(us, 12, STRIDE) == 3
    assert dates_per_horizon(session_metrics.sessions, HORIZON, STRIDE) == 8


# The dates of the markets differ, so that a horizon is open on eight of them.


def by_date(session_metrics: SessionMetrics, column: str) -> Floats:
    known = session_metrics.sessions.filter(KNOWN).drop_nulls(column)
    return known.group_by("ts").agg(pl.col(column).mean()).sort("ts")[column].to_numpy()


def overlapping(session_metrics: SessionMetrics, column: str) -> Estimate:
    series = by_date(session_metrics, column)
    found, careless = (estimate_mean(series, overlap) for overlap in (8, 1))
    assert found and careless and found.degrees < careless.degrees
    return found


def test_the_t_of_a_rank_ic_knows_that_labels_overlap(session_metrics: SessionMetrics, metrics: Metrics) -> None:
    for figures, column in ((metrics, "rank_ic_score"), (metrics["baselines"]["ridge"], "rank_ic_ridge")):
        found = overlapping(session_metrics, column)
        assert figures["rank_ic_t"] == pytest.approx(found.t)
        assert figures["rank_ic_t_degrees"] == found.degrees


@pytest.mark.parametrize(
    ("name", "column"), [("rank_ic", "rank_ic_score"), ("decile_spread_net", "net_spread_score")]
)
def test_an_interval_knows_that_labels_overlap(
    session_metrics: SessionMetrics, metrics: Metrics, name: str, column: str
) -> None:
    assert metrics["intervals"][name] == pytest.approx(overlapping(session_metrics, column).interval)


def test_the_information_ratio_is_that_of_the_horizons_in_a_year(
    session_metrics: SessionMetrics, metrics: Metrics
) -> None:
    ics = by_date(session_metrics, "rank_ic_score")
    assert metrics["rank_ic_ir"] == pytest.approx(ics.mean() / ics.std(ddof=1) * math.sqrt(252 / HORIZON))


def test_fewer_than_three_horizons_have_no_t_and_no_interval(frames: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    record, closes = (frame.filter(pl.col("instrument_id").str.starts_with("US")) for frame in frames)
    short, enough = (
        SessionMetrics.from_record(record, closes, HORIZON, STRIDE).metrics_before(
            record["known_at"].unique().sort()[sessions]
        )
        for sessions in (11, 12)
    )
    assert (short["rank_ic_t"], *short["intervals"].values()) == (None,) * 4
    assert None not in (enough["rank_ic_t"], *enough["intervals"].values())


# The portfolio of a record


def test_each_session_opens_the_share_of_its_book_that_a_stride_is_of_a_horizon(
    session_metrics: SessionMetrics,
) -> None:
    for (name,), days in session_metrics.days.partition_by("market", as_dict=True).items():
        first = session_metrics.sessions.filter(pl.col("market") == name)["ts"][:4].to_list()
        opened = days.filter(pl.col("ts").is_in(first))["traded_score"]
        assert opened[0] == pytest.approx(STRIDE / HORIZON)
        assert opened.max() <= STRIDE / HORIZON + 1e-12


def test_the_portfolio_of_a_record_pays_for_what_it_trades(
    frames: tuple[pl.DataFrame, pl.DataFrame], session_metrics: SessionMetrics, metrics: Metrics
) -> None:
    free = SessionMetrics.from_record(*frames, HORIZON, STRIDE, cost=0.0)
    paid = (free.days["earned_score"] - session_metrics.days["earned_score"]).to_numpy()
    assert paid == pytest.approx((0.001 * free.days["traded_score"]).to_numpy())
    assert paid.sum() > 0
    gross = free.metrics_before(CUTOFF)
    assert gross["sharpe"] > metrics["sharpe"]
    assert gross["decile_spread_net"] == pytest.approx(gross["decile_spread"])


# Independence from later rows and from order


# The last is the moment at which labels of New York became known.
@pytest.mark.parametrize("cutoff", [CUTOFF, SESSIONS[90].item(), SESSIONS[91].item()])
def test_nothing_from_the_cutoff_on_changes_a_metric(
    frames: tuple[pl.DataFrame, pl.DataFrame], session_metrics: SessionMetrics, cutoff: datetime
) -> None:
    record, closes = frames
    later, numbers = pl.col("known_at") >= cutoff, ("forward_return", *SCORE_COLUMNS, *PROBABILITY_COLUMNS)
    altered = record.with_columns(
        *(pl.when(later).then(1 - 3 * pl.col(name)).otherwise(name).alias(name) for name in numbers),
        label=pl.when(later).then(pl.lit("BUY", pl.Enum(CLASSES))).otherwise("label"),
    )
    wild = closes.with_columns(c=pl.when(pl.col("ts") >= cutoff).then(pl.col("c") * 7).otherwise("c"))
    expected = session_metrics.metrics_before(cutoff)
    assert SessionMetrics.from_record(altered, wild, HORIZON, STRIDE).metrics_before(cutoff) == expected
    past = SessionMetrics.from_record(record.filter(~later), closes.filter(pl.col("ts") < cutoff), HORIZON, STRIDE)
    assert past.metrics_before(cutoff) == expected
    assert session_metrics.metrics_before(SESSIONS[-1].item()) != expected


def test_the_session_before_the_cutoff_is_used(
    frames: tuple[pl.DataFrame, pl.DataFrame], metrics: Metrics
) -> None:
    record, closes = frames
    last = pl.col("known_at") == record.filter(KNOWN)["known_at"].max()
    altered = record.with_columns(score=pl.when(last).then(-pl.col("score")).otherwise("score"))
    changed = SessionMetrics.from_record(altered, closes, HORIZON, STRIDE).metrics_before(CUTOFF)
    assert changed["rank_ic"] != metrics["rank_ic"]


def test_row_order_and_type_of_names_change_no_bit(
    frames: tuple[pl.DataFrame, pl.DataFrame], metrics: Metrics
) -> None:
    names = pl.Enum(frames[1]["instrument_id"].unique().sort(descending=True))
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=4) for frame in frames]
    numbered = [frame.with_columns(pl.col("instrument_id").cast(names)) for frame in shuffled]
    assert SessionMetrics.from_record(*numbered, HORIZON, STRIDE).metrics_before(CUTOFF) == metrics


# Edges


def test_the_metrics_are_json(metrics: Metrics) -> None:
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


@pytest.mark.parametrize("rows", [0, None])
def test_without_a_known_label_every_metric_is_null(
    frames: tuple[pl.DataFrame, pl.DataFrame], metrics: Metrics, rows: int | None
) -> None:
    record, closes = frames
    cutoff = CUTOFF if rows == 0 else SESSIONS[5].item()
    some = record.head(rows) if rows == 0 else record
    nothing = SessionMetrics.from_record(some, closes, HORIZON, STRIDE).metrics_before(cutoff)
    assert nothing.keys() == metrics.keys()
    assert nothing.pop("rows") == nothing.pop("sessions") == 0
    assert all(value is None for x in nothing.pop("baselines").values() for value in x.values())
    assert all(value is None for value in nothing.pop("intervals").values())
    assert not any(nothing.values())


def test_a_record_without_any_probabilities_still_has_ranks(frames: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    record, closes = frames
    ranks = record.with_columns(pl.lit(None, pl.Float64).alias(name) for name in PROBABILITY_COLUMNS)
    metrics = SessionMetrics.from_record(ranks, closes, HORIZON, STRIDE).metrics_before(CUTOFF)
    assert metrics["coverage"] == 0
    assert metrics["log_loss"] is None and metrics["ece"] is None and metrics["reliability"] == []
    assert metrics["rank_ic"] > 0.3
