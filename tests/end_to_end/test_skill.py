"""No look-ahead, measured: skill is found where a signal is planted, and nowhere else.

The markets are simulated ones, through the real features, labels, walk and gate. Each claim is tried on three
markets. On one market of four chance alone reaches the 2 to 1 that the boldest profile asks for, so that chance is
judged by what the moderate one asks for.
"""

import datetime as dt
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from boursomatic_assets.arrays import Times
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.lookahead import compute_columns, find_leaks
from boursomatic_assets.learning.gate import Demand, judge_challenger
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, train_challengers
from boursomatic_assets.sources.simulated.source import Simulated

pytestmark = pytest.mark.slow

FIRST, DUE = dt.datetime(2020, 1, 1), dt.datetime(2022, 12, 1)
"""Three years of bars: two of them are evaluated."""

BOLDEST, MODERATE = Demand(10, 2.0), Demand(20, 5.0)
"""What the aggressive and the moderate profile ask for, by default."""

three_markets = pytest.mark.parametrize("seed", [7, 8, 9])


@cache
def bars(seed: int, signal: int) -> pl.DataFrame:
    """The bars of 40 instruments in each market."""
    source = Simulated(40, seed, events=False, signal=signal)
    parts = [source.bars(market, FIRST, DUE).with_columns(market=pl.lit(name)) for name, market in MARKETS.items()]
    return pl.concat(parts).with_columns(instrument_id=pl.col("symbol").cast(pl.String))


@cache
def frames(seed: int, signal: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Features, computed as by the platform, and closes."""
    both_markets = bars(seed, signal)
    features = [
        compute_columns(both_markets.filter(market=name), market.sessions()).with_columns(market=pl.lit(name))
        for name, market in MARKETS.items()
    ]
    return pl.concat(features), both_markets.select("market", "instrument_id", "ts", "c")


def train_challenger(history: History) -> Challenger:
    """The challenger of the due date."""
    ((_, trained),) = train_challengers(history, [DUE.date()], Parameters())
    assert trained
    return trained


@cache
def train_honestly(seed: int, signal: int) -> Challenger:
    """The challenger trained on unmanipulated features and labels."""
    return train_challenger(History.from_frames(*frames(seed, signal), Parameters()))


def is_promoted(trained: Challenger, demand: Demand = MODERATE) -> bool:
    """Whether the gate promotes a challenger without a previous champion."""
    verdict = judge_challenger(trained.metrics, None, Parameters(), demand, same_recipe=False)
    return verdict.kind == "promoted"


@three_markets
def test_a_planted_signal_is_found_and_promoted(seed: int) -> None:
    trained = train_honestly(seed, signal=1)
    low, high = trained.metrics["intervals"]["rank_ic"]
    assert 0 < low < trained.metrics["rank_ic"] < high
    assert is_promoted(trained, BOLDEST)
    assert is_promoted(trained)


@three_markets
def test_a_random_walk_shows_no_skill_and_is_not_promoted(seed: int) -> None:
    trained = train_honestly(seed, signal=0)
    low, high = trained.metrics["intervals"]["rank_ic"]
    assert low < 0 < high
    assert not is_promoted(trained)


@three_markets
def test_shuffled_labels_show_no_skill_and_are_not_promoted(seed: int) -> None:
    """Labels are shuffled among the instruments of each session."""
    history = History.from_frames(*frames(seed, signal=1), Parameters())
    chance = pl.Series("chance", np.random.default_rng(100 + seed).random(history.rows.height))
    rows = history.rows.select("market", "ts", chance).with_row_index()
    order = rows.select(pl.col("index").sort_by("chance").over("market", "ts"))["index"]
    shuffled = {horizon: outcome[order] for horizon, outcome in history.labels.items()}
    trained = train_challenger(replace(history, labels=shuffled))
    low, high = trained.metrics["intervals"]["rank_ic"]
    assert low < 0 < high
    assert not is_promoted(trained)


# A planted look-ahead

IMPOSSIBLE = 0.1
"""A mean rank IC that no market has: real ones have some 0.03."""


def add_look_ahead(features: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Features with one that wrongly reads the close of the next session."""
    to_come = closes.sort("market", "instrument_id", "ts").select(
        "market",
        "instrument_id",
        "ts",
        ret_1d=(pl.col("c").shift(-1) / pl.col("c") - 1).over("market", "instrument_id"),
    )
    rank = ((pl.col("ret_1d").rank() - 0.5) / pl.col("ret_1d").count()).over("market", "ts")
    known = features.drop("ret_1d", "ret_1d_rank").join(to_come, on=["market", "instrument_id", "ts"])
    return known.with_columns(ret_1d_rank=rank).select(features.columns)


@three_markets
def test_a_feature_that_reads_one_later_bar_has_an_impossible_rank_ic(seed: int) -> None:
    """Even in a random walk, where only future prices predict anything."""
    features, closes = frames(seed, signal=0)
    wrong = train_challenger(History.from_frames(add_look_ahead(features, closes), closes, Parameters())).metrics
    _, honest_high = train_honestly(seed, signal=0).metrics["intervals"]["rank_ic"]
    assert wrong["intervals"]["rank_ic"][0] > max(honest_high, IMPOSSIBLE)
    assert wrong["evidence"]["10"]["value"] > 100_000


def test_a_feature_that_reads_one_later_bar_is_named_by_the_look_ahead_check() -> None:
    def compute(given: pl.DataFrame, sessions: Times, start: dt.datetime | None) -> pl.DataFrame:
        marked = given.with_columns(market=pl.lit("US"))
        return add_look_ahead(
            compute_columns(given, sessions, start).with_columns(market=pl.lit("US")), marked
        ).drop("market")

    some = bars(7, signal=0).filter(market="US").head(12_000)
    assert find_leaks(some, MARKETS["US"].sessions(), cuts=3, seed=1) == []
    leaks = find_leaks(some, MARKETS["US"].sessions(), cuts=3, seed=1, compute=compute)
    assert {leak.feature for leak in leaks} == {"ret_1d", "ret_1d_rank"}
    assert all(leak.ts == leak.cut_date for leak in leaks), "one bar, and no other, knows too much"
