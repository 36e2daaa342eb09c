"""The benchmark of signals: its figures find what was planted, and nothing where there is nothing."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from helpers.signals_ablation import Ablation, Trial, ablations
from helpers.signals_allowance import calibrations
from helpers.signals_baseline import Losses, apply, compare, regress
from helpers.signals_judged import newly_bought, order, relative_means
from helpers.signals_published import Month, decisions, months, scored
from worlds.learnable import markets

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, measure_challengers
from boursomatic_assets.learning.walk import due_dates, walk_forward

QUICK = replace(Parameters(), rounds=10)
SESSIONS = MARKETS["US"].sessions()[-250:].astype("datetime64[us]")


def trial(signal: float) -> Trial:
    """A small market, from features to what was published."""
    features, bars = markets(signal)
    prices = {name: pl.col("c") for name in "ohl"}
    columns = {name: pl.lit(0.0) for name in ("rsi_14", "momentum_5d", "atr_14", "volume_zscore", "ret_1d")}
    spread = pl.int_range(pl.len()).over("market", "ts") / 1000
    features = features.with_columns(
        vol_20d=0.01 + spread, **{name: value for name, value in columns.items() if name not in features.columns}
    ).sort("ts", "instrument_id")
    bars = bars.with_columns(v=pl.lit(1000.0), **prices)
    history = History.from_frames(features, bars, QUICK)
    due = due_dates(dt.date(2020, 1, 2), dt.date(2021, 7, 1))
    walked = walk_forward(history, due[-1], QUICK)
    made = list(months(measure_challengers(history, walked, due, QUICK), QUICK))
    decided = decisions(features, bars, made)
    return Trial(history, walked, features, bars, made, scored(decided, bars), QUICK)


# --- the ablation


@pytest.mark.slow
def test_the_gain_of_a_planted_signal_vanishes_with_random_scores() -> None:
    for ablation in ablations(trial(signal=1.0), draws=2):
        assert ablation.real.gain(ablation.part) > 0.01
        assert min(ablation.vanished or [0.0]) > 0.9


def test_where_direction_gains_nothing_no_share_of_it_vanishes() -> None:
    rows = pl.DataFrame({"label": ["BUY", "SELL"], "direction": [None, 0.5], "baseline": 0.4, "both": 0.4})
    nothing = compare([rows])
    assert (nothing.gain("both"), nothing.rows) == (0, 2)
    assert Ablation("all", "both", nothing, [nothing]).vanished is None


def test_a_gain_that_random_scores_keep_has_not_vanished() -> None:
    real, half = Losses(0.7, 0.68, 0.66, 9), Losses(0.7, 0.69, 0.68, 9)
    assert Ablation("all", "direction", real, [real, half]).vanished == pytest.approx([0.0, 0.5])
    assert Ablation("all", "both", real, [half]).vanished == pytest.approx([0.5])


def test_losses_are_of_the_rows_that_ended_in_the_better_or_the_worse_third() -> None:
    rows = pl.DataFrame({"label": ["BUY", "HOLD"], "direction": [3 / 4, 0.1], "baseline": [np.log(2), 9.0]})
    found = compare([rows.with_columns(both=pl.lit(np.log(6)))])
    assert np.exp([-found.baseline, -found.direction, -found.both]) == pytest.approx([2 / 3, 3 / 4, 6 / 7])


def volatile(random: np.random.Generator) -> pl.DataFrame:
    """A market in which volatility alone tells direction: log odds of -1 at the lowest rank, 1 at the highest."""
    rank = np.tile((np.arange(100) + 0.5) / 100, len(SESSIONS))
    better = random.random(rank.size) < 1 / (1 + np.exp(-2 * (rank - 0.5)))
    rows = pl.DataFrame({"ts": np.repeat(SESSIONS, 100), "volatility_rank": rank})
    return rows.with_columns(
        market=pl.lit("US"),
        known_at=pl.col("ts") + dt.timedelta(30),
        label=pl.when(pl.Series(better)).then(pl.lit("BUY")).otherwise(pl.lit("SELL")),
        direction=pl.lit(None, pl.Float64),
    )


def test_the_baseline_knows_what_volatility_told_before() -> None:
    rows, challenger = volatile(np.random.default_rng(1)), Challenger("", {}, "")
    first, last = (SESSIONS[place].item() for place in (10, -1))
    made = [Month(first, last, cutoff, challenger, challenger, True) for cutoff in (first, last)]
    (early, late), told = regress(rows, made)["US"], np.log(0.6 / 0.4)
    assert early == pytest.approx([0, 0, 0]), "nothing was known yet"
    assert late == pytest.approx([0, 2, 0], abs=0.5)
    assert apply({"US": late[None]}, rows.tail(100), [replace(made[1], end=dt.datetime.max)])[99] > 0.5
    said = rows.with_columns(direction=pl.when(pl.col("volatility_rank") > 0.5).then(0.6).otherwise(0.4))
    beside = regress(said, made)["US"][1]
    assert beside[1] < late[1] - told, "what is said already counts once"


# --- calibration


def advice(true: float, said: float, seed: int) -> pl.DataFrame:
    """A BUY of each of 12 of 60 random walks in 250 sessions, right as often as `true` says."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(len(SESSIONS) + 20, 60))
    moved = np.stack([steps[i : i + 20].sum(axis=0) for i in range(len(SESSIONS))])
    rank = (moved.argsort(axis=1).argsort(axis=1) + random.random(moved.shape)) / 60
    chosen = np.zeros(60, bool)
    chosen[:12] = True
    buys = np.tile(chosen, len(SESSIONS))
    hit = pl.Series((rank > 1 - true).ravel())
    return pl.DataFrame(
        {
            "market": np.repeat("US", rank.size),
            "session": np.repeat(SESSIONS, 60),
            "instrument_id": np.tile([f"{i:02d}" for i in range(60)], len(SESSIONS)),
            "profile": np.repeat("moderate", rank.size),
            "label": np.where(buys, "BUY", "HOLD"),
            "confidence": np.where(buys, said, 1 / 3),
            "outcome": np.repeat("HOLD", rank.size),
        }
    ).with_columns(hit=pl.when(pl.Series(buys)).then(hit))


@pytest.mark.slow
def test_calibrated_advice_seldom_exceeds_its_allowance_and_wrong_advice_does() -> None:
    kept = [calibrations(advice(0.4, 0.4, seed), draws=40) for seed in range(8)]
    found = [one for (one,) in kept]
    assert {(one.profile, one.label, one.rows) for one in found} == {("moderate", "BUY", 3000)}
    assert sum(one.error > one.allowance for one in found) <= 3, "about one of twenty"
    assert all(0.03 < one.allowance < 0.08 for one in found), "as horizons overlap: some 0.02 if they did not"
    (wrong,) = calibrations(advice(0.4, 0.55, 1), draws=40)
    assert wrong.error > wrong.allowance


def test_a_label_of_few_rows_is_not_judged() -> None:
    assert calibrations(advice(0.4, 0.4, 1).head(60 * 16), draws=1) == []


# --- order and turnover


def views(means: dict[str, float]) -> pl.DataFrame:
    labels = list(means)
    return pl.DataFrame(
        {
            "profile": ["moderate"] * len(labels),
            "label": labels,
            "view": ["given"] * len(labels),
            "relative_return_pct": list(means.values()),
        }
    )


def test_a_relative_return_is_cut_and_counts_for_views_alone() -> None:
    scored = pl.concat([views({"SELL": -80.0, "BUY": 50.0}), views({"BUY": 0.0})])
    capped = views({"HOLD": 5.0}).with_columns(view=pl.lit("capped"))
    assert relative_means(pl.concat([scored, capped]), "moderate") == {"BUY": 15.0, "SELL": -30.0}


@pytest.mark.parametrize(
    ("means", "note"),
    [
        ({"SELL": -1.0, "BUY": 2.0, "HOLD": 0.5}, "met"),
        ({"SELL": 0.6, "BUY": 2.0, "HOLD": 0.5}, "missed"),
        ({"BUY": 2.0, "HOLD": 0.5}, "met; no SELL was published"),
        ({"HOLD": 0.5}, "missed; no BUY and no SELL was published"),
        ({}, "missed"),
    ],
)
def test_each_label_is_worth_more_than_the_next_and_hold_alone_misses(means: dict[str, float], note: str) -> None:
    schema = {"profile": pl.String, "label": pl.String, "view": pl.String, "relative_return_pct": pl.Float64}
    assert order(views(means).cast(schema), "moderate", "all").note == note


def lists(*held: str) -> pl.DataFrame:
    """A market's BUYs of one session after the other, an instrument a letter."""
    rows = [(ts, name) for ts, names in zip(SESSIONS.tolist(), held, strict=False) for name in names]
    return pl.DataFrame(
        {
            "market": ["US"] * len(rows),
            "instrument_id": [name for _, name in rows],
            "ts": [ts for ts, _ in rows],
            "profile": ["moderate"] * len(rows),
            "label": ["BUY"] * len(rows),
        }
    )


def test_turnover_is_of_the_sessions_in_which_both_rules_had_a_list_twice() -> None:
    banded, plain = lists("ab", "ab", "ac", "", "cd", "ce"), lists("", "ab", "cd", "c", "c", "de")
    assert newly_bought([banded, plain], "moderate") == ([0.5, 1.0], 2)
    assert newly_bought([banded, lists("")], "moderate") is None
