"""No look-ahead, in numbers: skill is found where some is planted, and nowhere else.

The markets are simulated ones, through the real features, labels, walk and gate. Each claim is tried on three
markets, since chance alone reaches a t-statistic of 1 in one of six.
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
from boursomatic_assets.learning.gate import judge_challenger
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, train_challengers
from boursomatic_assets.sources.simulated.source import Simulated

pytestmark = pytest.mark.slow

FIRST, DUE = dt.datetime(2020, 1, 1), dt.datetime(2022, 12, 1)
"""Three years of bars: two of record."""

three_markets = pytest.mark.parametrize("seed", [7, 8, 9])


@cache
def bars(seed: int, signal: bool) -> pl.DataFrame:
    """The bars of 40 instruments in each market."""
    source = Simulated(40, seed, events=False, signal=signal)
    parts = [source.bars(market, FIRST, DUE).with_columns(market=pl.lit(name)) for name, market in MARKETS.items()]
    return pl.concat(parts).with_columns(instrument_id="symbol")


@cache
def frames(seed: int, signal: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Their features, made as the platform makes them, and their closes."""
    found = bars(seed, signal)
    features = [
        compute_columns(found.filter(market=name), market.sessions()).with_columns(market=pl.lit(name))
        for name, market in MARKETS.items()
    ]
    return pl.concat(features), found.select("market", "instrument_id", "ts", "c")


def challenger(history: History) -> Challenger:
    """What is trained on the due date."""
    ((_, found),) = train_challengers(history, [DUE.date()], Parameters())
    assert found
    return found


@cache
def honest(seed: int, signal: bool) -> Challenger:
    """What is trained on the market as it is."""
    return challenger(History.from_frames(*frames(seed, signal), Parameters()))


def admitted(found: Challenger) -> bool:
    """Whether the gate lets it speak, where nobody did before."""
    return judge_challenger(found.metrics, None, Parameters(), same_recipe=False).kind == "promoted"


@three_markets
def test_a_planted_signal_is_found_and_admitted(seed: int) -> None:
    found = honest(seed, signal=True)
    low, high = found.metrics["intervals"]["rank_ic"]
    assert 0 < low < found.metrics["rank_ic"] < high
    assert admitted(found)


@three_markets
def test_a_random_walk_shows_no_skill_and_is_refused(seed: int) -> None:
    found = honest(seed, signal=False)
    low, high = found.metrics["intervals"]["rank_ic"]
    assert low < 0 < high
    assert not admitted(found)


@three_markets
def test_shuffled_labels_show_no_skill_and_are_refused(seed: int) -> None:
    """What followed is dealt out anew among the instruments of each session."""
    history = History.from_frames(*frames(seed, signal=True), Parameters())
    chance = pl.Series("chance", np.random.default_rng(seed).random(history.rows.height))
    rows = history.rows.select("market", "ts", chance).with_row_index()
    order = rows.select(pl.col("index").sort_by("chance").over("market", "ts"))["index"]
    dealt = {horizon: outcome[order] for horizon, outcome in history.labels.items()}
    found = challenger(replace(history, outcomes=dealt))
    low, high = found.metrics["intervals"]["rank_ic"]
    assert low < 0 < high
    assert not admitted(found)


# A planted look-ahead


def knowing(features: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Features of which one, wrongly, reads the close of the next session."""
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
def test_a_feature_that_reads_one_later_bar_has_a_rank_ic_that_no_honest_one_has(seed: int) -> None:
    """Even in a random walk, where there is nothing to know but what is to come."""
    features, closes = frames(seed, signal=False)
    wrong = challenger(History.from_frames(knowing(features, closes), closes, Parameters())).metrics
    assert wrong["intervals"]["rank_ic"][0] > honest(seed, signal=True).metrics["intervals"]["rank_ic"][1]
    assert wrong["rank_ic_t"] > 10


def test_a_feature_that_reads_one_later_bar_is_named_by_the_check_of_look_ahead() -> None:
    def compute(given: pl.DataFrame, sessions: Times) -> pl.DataFrame:
        marked = given.with_columns(market=pl.lit("US"))
        return knowing(compute_columns(given, sessions).with_columns(market=pl.lit("US")), marked).drop("market")

    some = bars(7, signal=False).filter(market="US").head(12_000)
    assert find_leaks(some, MARKETS["US"].sessions(), cuts=3, seed=1) == []
    found = find_leaks(some, MARKETS["US"].sessions(), cuts=3, seed=1, compute=compute)
    assert {leak.feature for leak in found} == {"ret_1d", "ret_1d_rank"}
    assert all(leak.ts == leak.cut_date for leak in found), "one bar, and no other, knows too much"
