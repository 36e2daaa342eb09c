"""Both tests of features: what is planted is found, and nothing is found in what the platform computes."""

import datetime as dt
import math
import time

import numpy as np
import polars as pl
import pytest
from worlds.markets import SESSIONS, random_market

from boursomatic_assets.arrays import Floats, Times
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features import compute
from boursomatic_assets.features.additional_features import ADDITIONAL_FEATURES
from boursomatic_assets.features.compute import compute_formulas
from boursomatic_assets.features.indicators import FEATURES, ret_1d, vol_20d
from boursomatic_assets.features.lookahead import HISTORY_LENGTHS, Compute, find_leaks, measure_history_error
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.features.panel import Formula, Panel
from boursomatic_assets.sources.simulated.source import Simulated

EVERYTHING = (*(feature.__name__ for feature in FEATURES), *ADDITIONAL_FEATURES)


def next_return(panel: Panel) -> Floats:
    """Wrong: the return that the next bar will bring."""
    return np.append(panel.returns[1:], np.nan)


def best_close(panel: Panel) -> Floats:
    """Wrong: closes by the highest of all, past or to come, which most rows are below."""
    return panel.close / panel.close.max()


def on_balance_volume(panel: Panel) -> Floats:
    """Wrong: a sum that runs from wherever the bars start."""
    return np.cumsum(np.sign(np.nan_to_num(panel.returns)) * panel.volume)


def of(*formulas: Formula) -> Compute:
    """Computes these formulas instead of the platform's."""

    def compute(bars: pl.DataFrame, sessions: Times, start: dt.datetime | None) -> pl.DataFrame:
        return compute_formulas(bars, sessions, formulas)

    return compute


@pytest.mark.slow
def test_no_feature_of_the_platform_looks_ahead() -> None:
    bars = random_market(last=480)
    assert find_leaks(bars, SESSIONS, start=SESSIONS[360].astype("datetime64[us]").item()) == []


@pytest.mark.slow
@pytest.mark.parametrize("instruments", [10, pytest.param(50, marks=pytest.mark.drill)])
def test_a_year_of_fifty_instruments_is_tested_within_a_minute_and_without_a_false_alarm(instruments: int) -> None:
    """Jumps, halts, newcomers and delistings are among them; each of 250 sessions is a cut.

    Fifty instruments are a drill; its short twin has ten.
    """
    us, start = MARKETS["US"], dt.datetime(2023, 1, 1)
    bars = Simulated(instruments).bars(us, dt.datetime(2021, 9, 1), dt.datetime(2024, 1, 1))
    began = time.perf_counter()
    assert find_leaks(bars.with_columns(instrument_id="symbol"), us.sessions(), start=start) == []
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize("wrong", [next_return, best_close])
def test_a_feature_that_looks_ahead_is_named_and_no_other(wrong: Formula) -> None:
    (leak,) = find_leaks(random_market(), SESSIONS, cuts=5, seed=1, compute=of(ret_1d, wrong, vol_20d))
    assert leak.feature == wrong.__name__
    assert leak.ts <= leak.cut_date
    assert leak.value_with_later_bars != leak.value_without_later_bars


def test_the_first_row_that_knew_too_much_is_shown() -> None:
    bars = random_market(instruments=2, gaps=0, late=0, last=100)
    (leak,) = find_leaks(bars, SESSIONS, cuts=1, seed=3, compute=of(next_return))
    assert (leak.rows, leak.instrument_id, leak.ts, leak.value_without_later_bars) == (
        2,
        "i0",
        leak.cut_date,
        None,
    )
    known = bars.filter(pl.col("instrument_id") == "i0", pl.col("ts") >= leak.cut_date)["c"]
    assert leak.value_with_later_bars == pytest.approx(known[1] / known[0] - 1)
    assert (
        f"next_return of i0 at {leak.cut_date:%Y-%m-%d} is {leak.value_with_later_bars} with later bars and None"
        in str(leak)
    )


def test_every_session_is_a_cut_and_every_row_that_knew_too_much_is_counted_once() -> None:
    """Over more sessions than one block holds."""
    bars = random_market(instruments=2, gaps=0, late=0, last=200)
    (leak,) = find_leaks(bars, SESSIONS, compute=of(next_return))
    assert (leak.rows, leak.ts, leak.cut_date) == (2 * 200, bars["ts"].min(), bars["ts"].min())


def test_a_formula_added_to_the_platform_is_tested_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "FEATURES", (*FEATURES, next_return))
    assert [leak.feature for leak in find_leaks(random_market(), SESSIONS, cuts=3, seed=1)] == ["next_return"]


def test_a_look_ahead_across_instruments_is_caught() -> None:
    """Ranked over all rows instead of within a session, a number tells of later ones."""

    def ranked(bars: pl.DataFrame, sessions: Times, start: dt.datetime | None) -> pl.DataFrame:
        found = compute_formulas(bars, sessions, [ret_1d])
        return found.with_columns(ret_1d_rank=pl.col("ret_1d").rank() / pl.col("ret_1d").count())

    assert [leak.feature for leak in find_leaks(random_market(), SESSIONS, 3, 1, ranked)] == ["ret_1d_rank"]


@pytest.mark.slow
def test_the_look_back_of_the_platform_is_all_that_its_features_need() -> None:
    found = measure_history_error(random_market(gaps=0.05, late=0), SESSIONS, cuts=4, seed=1)
    assert list(found) == list(EVERYTHING)
    assert HISTORY_LENGTHS[-1] == LOOKBACK
    assert {off[-1] for off in found.values()} == {0}


@pytest.mark.slow
def test_less_history_shows() -> None:
    found = measure_history_error(random_market(gaps=0, late=0), SESSIONS, cuts=4, seed=1)
    assert found["ret_20d"] == [0] * len(HISTORY_LENGTHS)
    assert found["ret_120d"] == [math.inf, math.inf, 0, 0, 0]
    first, second, third, fourth, last = found["rsi_14"]
    assert 1 > first > second > third > fourth > last == 0


def test_a_running_sum_is_off_with_any_history() -> None:
    found = measure_history_error(
        random_market(late=0), SESSIONS, cuts=4, seed=1, compute=of(ret_1d, on_balance_volume)
    )
    assert min(found["on_balance_volume"]) > 0.001
    assert found["ret_1d"] == [0] * len(HISTORY_LENGTHS)


def test_what_is_never_defined_cannot_be_off() -> None:
    def nothing(panel: Panel) -> Floats:
        return np.full(panel.close.size, np.nan)

    (found,) = measure_history_error(random_market(late=0), SESSIONS, cuts=2, seed=1, compute=of(nothing)).values()
    assert all(map(math.isnan, found))


def test_without_bars_to_leave_out_a_longer_range_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"200 sessions have bars and 315 are needed .*: take a longer range"):
        measure_history_error(random_market(gaps=0, late=0, last=199), SESSIONS, cuts=2, seed=1)
    measure_history_error(random_market(gaps=0, late=0, last=314), SESSIONS, cuts=2, seed=1)
