"""The eight columns: their formulas against TA-Lib and numpy; and of all features: no range changes a bit.

Equal to TA-Lib's to the last bit: returns and momentum. To 1e-12: RSI and ATR (TA-Lib 0.8 multiplies by 1/14
where we divide by 14), volatility and volume score (numpy's `std` sums in another order).
"""

import datetime as dt
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.markets import SESSIONS, between_sessions, random_market

from boursomatic_assets.arrays import Floats
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.features import compute
from boursomatic_assets.features.compute import compute_features, compute_formulas
from boursomatic_assets.features.indicators import FEATURES
from boursomatic_assets.features.lookback_blocks import BLOCK, LOOKBACK, WARM_UP
from boursomatic_assets.features.panel import Formula, Panel
from boursomatic_assets.sources.simulated.source import Simulated

NAMES = [feature.__name__ for feature in FEATURES]
BARS_BEFORE = list(zip(NAMES, (1, 5, 20, 14, 5, 20, 14, 19), strict=True))
EXACT = ("ret_1d", "ret_5d", "ret_20d", "momentum_5d")


def bits(frame: pl.DataFrame) -> dict[str, Any]:
    """The frame's content with each number as its 64 bits, so that equal means the same to the last one."""
    numbers = {name: frame[name].to_numpy().copy().view(np.int64).tolist() for name in NAMES}
    nulls = {f"{name} is null": frame[name].is_null().to_list() for name in NAMES}
    return numbers | nulls | frame.drop(NAMES).to_dict(as_series=False)


def computed(bars: pl.DataFrame, first: int, last: int, lookback: int = LOOKBACK) -> pl.DataFrame:
    """Features of the sessions of ordinal first to last, from no more bars than these need."""
    return between_sessions(
        compute_features(between_sessions(bars, first - lookback, last), SESSIONS), first, last
    )


def reference(bars: pl.DataFrame) -> dict[str, Floats]:
    """TA-Lib, and numpy where TA-Lib has no such function, over all the bars of one instrument."""
    high, low, close, volume = (bars[name].to_numpy() for name in "hlcv")
    ret_1d, volumes = talib.ROCP(close, 1), _last_20(volume)
    with np.errstate(invalid="ignore"):
        return {
            "ret_1d": ret_1d,
            "ret_5d": talib.ROCP(close, 5),
            "ret_20d": talib.ROCP(close, 20),
            "rsi_14": talib.RSI(close, 14),
            "momentum_5d": talib.MOM(close, 5),
            "vol_20d": _last_20(ret_1d).std(axis=1, ddof=1),
            "atr_14": talib.ATR(high, low, close, 14),
            "volume_zscore": (volume - volumes.mean(axis=1)) / volumes.std(axis=1, ddof=1),
        }


def _last_20(values: Floats) -> Floats:
    padded = np.concatenate([np.full(19, np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, 20)


def drift(bars: pl.DataFrame, sessions: npt.NDArray[np.datetime64]) -> pl.DataFrame:
    """By how much each feature is off TA-Lib's over the whole history, at most, per instrument."""
    bars = bars.sort("instrument_id", "ts")
    whole = pl.concat(pl.DataFrame(reference(one)) for one in bars.partition_by("instrument_id"))
    found = compute_features(bars, sessions)
    off = found.select("instrument_id", *((found[name] - whole[name].fill_nan(None)).abs() for name in NAMES))
    return off.group_by("instrument_id").max()


@cache
def whole_history(instruments: int = 3) -> pl.DataFrame:
    """The features of a random market, from all of its bars."""
    return compute_features(random_market(instruments=instruments), SESSIONS)


def real_files() -> list[Path]:
    """Tidy Parquet files of daily bars, in the folder that BOURSOMATIC_TEST_FILES names, if it does."""
    folder = os.environ.get("BOURSOMATIC_TEST_FILES")
    return sorted(Path(folder).glob("*daily*.parquet")) if folder else []


@pytest.mark.slow
def test_a_row_is_talib_run_from_its_anchor() -> None:
    bars = random_market().sort("instrument_id", "ts")
    found = compute_features(bars, SESSIONS)
    ordinal = pl.Series(np.searchsorted(SESSIONS, bars["ts"].dt.date().to_numpy()))
    for row in range(0, len(bars), 7):
        seen = ordinal.is_between(ordinal[row] // 64 * 64 - 250, ordinal[row])
        window = bars.filter(seen & (bars["instrument_id"] == bars["instrument_id"][row]))
        for name, values in reference(window).items():
            number = np.nan if found[name][row] is None else found[name][row]
            near = 0 if name in EXACT else 1e-12
            assert number == pytest.approx(values[-1], rel=near, abs=near, nan_ok=True), (name, row)


@pytest.mark.slow
@pytest.mark.parametrize("market", list(MARKETS.values()), ids=lambda market: market.name)
def test_on_simulated_bars_the_whole_history_gives_the_same_numbers(market: Market) -> None:
    bars = Simulated().bars(market, dt.datetime(2004, 1, 1), dt.datetime(2013, 1, 1))
    off = drift(bars.rename({"symbol": "instrument_id"}), market.sessions()).select(NAMES).max()
    assert max(off.row(0)) < 1e-5
    assert off["rsi_14"].item() > 1e-9, "the recursion was not cut at the anchor"


@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.stem)
def test_on_real_bars_the_whole_history_gives_the_same_numbers(path: Path) -> None:
    bars = pl.read_parquet(path).rename({"symbol": "instrument_id"}).drop_nulls().cast({"ts": pl.Datetime("us")})
    market = next(market for market in MARKETS.values() if bars["exchange"][0] in market.exchanges)
    calendar = pl.DataFrame({"ts": market.sessions().astype("datetime64[us]")})
    bars = bars.join(calendar, on="ts").unique(["instrument_id", "ts"])
    off = drift(bars, market.sessions())
    assert max(off.drop("instrument_id", "rsi_14", "atr_14").max().row(0)) < 1e-9
    usual = off.select(
        pl.col("rsi_14", "atr_14").quantile(0.9)
    )  # the rest: prices that fell by orders of magnitude
    assert max(usual.row(0)) < 1e-5


@pytest.mark.parametrize(("name", "bars_before"), BARS_BEFORE)
def test_warm_up_is_null_exactly_where_talib_is_undefined(name: str, bars_before: int) -> None:
    bars = random_market(instruments=1, last=100)
    found = compute_features(bars, SESSIONS)[name]
    assert found.is_null().to_list() == np.isnan(reference(bars)[name]).tolist()
    assert found.null_count() == bars_before


@pytest.mark.parametrize(("name", "bars_before"), BARS_BEFORE)
def test_bars_before_the_anchor_are_out_of_sight(name: str, bars_before: int) -> None:
    """Ordinal 640 opens a block, its anchor is 390, and the instrument pauses from 391 to 639."""
    bars = random_market(instruments=1, gaps=0)
    paused = compute_features(
        pl.concat([between_sessions(bars, 0, 390), between_sessions(bars, 640, 900)]), SESSIONS
    )
    assert between_sessions(paused, 640, 700)[name].null_count() == bars_before - 1


@pytest.mark.parametrize("ordinal", [639, 640, 641, 703, 704])
def test_one_session_alone_gives_the_bits_of_the_whole_history(ordinal: int) -> None:
    bars = random_market(instruments=8)
    assert bits(computed(bars, ordinal, ordinal)) == bits(between_sessions(whole_history(8), ordinal, ordinal))


@pytest.mark.parametrize(("first", "last"), [(0, 251), (252, 503), (500, 900)])
def test_a_year_at_once_gives_the_bits_of_the_whole_history(first: int, last: int) -> None:
    bars = random_market(instruments=5)
    assert bits(computed(bars, first, last)) == bits(between_sessions(whole_history(5), first, last))


def test_the_order_of_the_bars_changes_no_bit() -> None:
    shuffled = random_market().sample(fraction=1, shuffle=True, seed=3)
    assert bits(compute_features(shuffled, SESSIONS)) == bits(whole_history())


@pytest.mark.parametrize("last", [63, 400], ids=["within one block", "over some blocks"])
def test_one_instrument_alone_gives_the_bits_it_has_in_company(last: int) -> None:
    bars = random_market(instruments=9, last=last, late=5)
    whole = compute_features(bars, SESSIONS)
    for alone in bars.partition_by("instrument_id"):
        mine = whole.filter(pl.col("instrument_id") == alone["instrument_id"][0])
        # What is in additional_features is measured against the others.
        columns = pl.exclude("additional_features")
        assert bits(compute_features(alone, SESSIONS).select(columns)) == bits(mine.select(columns))


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    gaps=st.floats(0, 0.98),
    late=st.integers(0, 400),
    first=st.integers(0, 600),
    length=st.integers(1, 150),
)
def test_no_range_changes_a_bit_whatever_is_missing(
    seed: int, gaps: float, late: int, first: int, length: int
) -> None:
    bars = random_market(last=750, gaps=gaps, late=late, seed=seed)
    last = first + length - 1
    assert bits(computed(bars, first, last)) == bits(
        between_sessions(compute_features(bars, SESSIONS), first, last)
    )


@pytest.mark.parametrize("first", [0, 1, 640, 900])
def test_a_start_leaves_earlier_rows_out_and_changes_no_bit_of_the_others(first: int) -> None:
    bars = random_market()
    late = compute_features(bars, SESSIONS, SESSIONS[first].astype("datetime64[us]").item())
    assert bits(late) == bits(between_sessions(whole_history(), first, 900))


def test_less_look_back_than_stated_changes_a_row() -> None:
    bars = random_market(gaps=0)
    farthest = 10 * BLOCK + BLOCK - 1
    whole = between_sessions(compute_features(bars, SESSIONS), farthest, farthest)
    assert bits(computed(bars, farthest, farthest, LOOKBACK)) == bits(whole)
    assert bits(computed(bars, farthest, farthest, LOOKBACK - 1)) != bits(whole)
    assert LOOKBACK == WARM_UP + BLOCK - 1 == 313


def test_the_future_changes_nothing() -> None:
    bars = random_market()
    later = pl.col("ts") > SESSIONS[700].item()
    prices = pl.when(later).then(pl.col("h", "l", "c", "v") * 3).otherwise(pl.col("h", "l", "c", "v"))
    changed = compute_features(bars.with_columns(prices), SESSIONS)
    assert bits(between_sessions(changed, 0, 700)) == bits(between_sessions(whole_history(), 0, 700))
    assert bits(between_sessions(changed, 701, 900)) != bits(between_sessions(whole_history(), 701, 900))


def test_a_price_that_never_moves_has_no_risk_and_no_strength() -> None:
    still = random_market(instruments=1).with_columns(pl.lit(12.3).alias(name) for name in "ohlcv")
    last = compute_features(still, SESSIONS).row(-1, named=True)
    assert (last["vol_20d"], last["atr_14"], last["rsi_14"], last["ret_20d"]) == (0, 0, 0, 0)
    assert last["volume_zscore"] is None, "no volume differs, so no score is defined"


def test_no_number_is_nan_or_infinite() -> None:
    bars = random_market().with_columns(c=pl.when(pl.col("v") < 200_000).then(0.0).otherwise("c"))
    assert compute_features(bars, SESSIONS).select(pl.col(NAMES).is_finite().all()).row(0) == (True,) * 8


def test_there_is_one_typed_row_for_each_bar() -> None:
    bars = random_market()
    found = compute_features(bars.sample(fraction=1, shuffle=True, seed=5), SESSIONS)
    assert found.schema == {
        "instrument_id": pl.String,
        "ts": pl.Datetime("us"),
        **dict.fromkeys(NAMES, pl.Float64),
        "additional_features": pl.String,
    }
    assert found.select("instrument_id", "ts").equals(bars.select("instrument_id", "ts").sort(pl.all()))
    assert found["additional_features"].null_count() == 0


def test_no_bars_give_no_rows() -> None:
    none = compute_features(random_market().clear(), SESSIONS)
    assert none.schema == whole_history().schema
    assert none.is_empty()


def test_a_bar_that_is_on_no_session_is_refused() -> None:
    bars = random_market(instruments=1)
    intraday = bars.with_columns(pl.col("ts").dt.offset_by("15m"))
    with pytest.raises(ValueError, match=r"i0 at 1990-01-0\d 00:15:00 is on no session"):
        compute_features(intraday, SESSIONS)


def test_a_second_bar_of_one_session_is_refused() -> None:
    bars = random_market(instruments=1, gaps=0)
    with pytest.raises(ValueError, match="i0 has more than one bar at 1990-01-06"):
        compute_features(pl.concat([bars, bars[4:5]]), SESSIONS)


def test_bars_that_are_in_order_are_not_sorted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sorts: list[int] = []
    sort = pl.DataFrame.sort
    monkeypatch.setattr(pl.DataFrame, "sort", lambda *given: sorts.append(len(given[0])) or sort(*given))
    bars = random_market()
    compute_features(bars, SESSIONS)
    assert len(bars) not in sorts
    compute_features(bars.reverse(), SESSIONS)
    assert sorts.count(len(bars)) == 1


@pytest.mark.parametrize("together", [1, 2_000, 100_000])
def test_no_bit_depends_on_how_many_rows_are_computed_at_once(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars, whole = random_market(instruments=7), whole_history(7)
    monkeypatch.setattr(compute, "BARS_PER_PANEL", together)
    assert bits(compute_features(bars, SESSIONS)) == bits(whole)


@pytest.mark.parametrize("bars", [2, 3, 5, 14, 20, 60])
def test_a_window_is_what_numpy_makes_of_the_last_bars(bars: int) -> None:
    given = random_market(instruments=1, last=500)
    found = compute_formulas(given, SESSIONS, windows_of(bars))
    last = np.lib.stride_tricks.sliding_window_view(given["c"].to_numpy(), bars)
    expected = [last.mean(axis=1), last.std(axis=1, ddof=1), last.max(axis=1), last.min(axis=1)]
    for name, numbers in zip(("mean", "deviation", "highest", "lowest"), expected, strict=True):
        assert found[name].null_count() == bars - 1
        assert np.allclose(found[name].drop_nulls(), numbers, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("first", "last"), [(640, 640), (702, 705), (252, 503)])
def test_no_range_changes_a_bit_of_a_window_of_60_bars(first: int, last: int) -> None:
    bars = random_market(instruments=5)
    whole = compute_formulas(bars, SESSIONS, windows_of(60))
    some = compute_formulas(between_sessions(bars, first - LOOKBACK, last), SESSIONS, windows_of(60))
    assert between_sessions(some, first, last).equals(between_sessions(whole, first, last))


@pytest.mark.parametrize("bars", [3, 7, 20, 60])
def test_equal_values_do_not_deviate_at_all(bars: int) -> None:
    still = random_market(instruments=1).with_columns(c=pl.lit(0.1))
    last = compute_formulas(still, SESSIONS, windows_of(bars)).row(-1, named=True)
    assert (last["mean"], last["deviation"]) == (pytest.approx(0.1), 0)


def windows_of(bars: int) -> list[Formula]:
    """A formula for each kind of window of the last closes."""

    def mean(panel: Panel) -> Floats:
        return panel.mean(panel.close, bars)

    def deviation(panel: Panel) -> Floats:
        return panel.deviation(panel.close, bars)

    def highest(panel: Panel) -> Floats:
        return panel.highest(panel.close, bars)

    def lowest(panel: Panel) -> Floats:
        return panel.lowest(panel.close, bars)

    return [mean, deviation, highest, lowest]
