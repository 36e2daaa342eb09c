"""Price basis: a split, a restatement and an error are suspected by their own session; a crash is not."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boursomatic_assets.features import price_basis
from boursomatic_assets.features.price_basis import LOOKBACK, find_changes, number_bases, on_first_basis

USUAL = 60
"""Sessions before the one that is judged."""


def usual(sessions: int = USUAL, seed: int = 1, name: str = "a") -> pl.DataFrame:
    """Bars around 100 with ranges of some 3 %, and a turnover of some million shares."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.015, sessions)))
    opens = np.append(close[:1], close[:-1]) * np.exp(generator.normal(0, 0.005, sessions))
    spread = np.exp(np.abs(generator.normal(0, 0.008, sessions)))
    days = [dt.datetime(2024, 1, 1) + dt.timedelta(days=7 * (n // 5) + n % 5) for n in range(sessions)]
    return pl.DataFrame(
        {
            "instrument_id": name,
            "ts": pl.Series(days, dtype=pl.Datetime("us")),
            "o": opens,
            "h": np.maximum(opens, close) * spread,
            "l": np.minimum(opens, close) / spread,
            "c": close,
            "v": 1e6 * np.exp(generator.normal(0, 0.4, sessions)),
        }
    )


def scaled(bars: pl.DataFrame, since: int, prices: float, volume: float, until: int | None = None) -> pl.DataFrame:
    """Bars of which some have other prices and volumes."""
    place = pl.int_range(pl.len())
    changed = (place >= since) & (place < (bars.height if until is None else until))
    factors = {**dict.fromkeys("ohlc", prices), "v": volume}
    return bars.with_columns(
        pl.when(changed).then(pl.col(name) * factor).otherwise(name) for name, factor in factors.items()
    )


def ended_by(**bar: float) -> pl.DataFrame:
    """Usual bars, and one more, given in multiples of the close and the volume before it."""
    bars = usual()
    last = bars.row(-1, named=True)
    after = {**last, "ts": last["ts"] + dt.timedelta(days=1)}
    after |= {name: last["v" if name == "v" else "c"] * factor for name, factor in bar.items()}
    return pl.concat([bars, pl.DataFrame([after], schema=bars.schema)])


def suspected(bars: pl.DataFrame) -> list[int]:
    return np.flatnonzero(find_changes(bars)).tolist()


@pytest.mark.parametrize("volume_is_scaled", [True, False])
@pytest.mark.parametrize("ratio", [1 / 2, 1 / 4, 2 / 3, 1 / 10, 1 / 20, 10, 20, 4])
def test_a_split_is_suspected_whether_or_not_its_volume_is_scaled(ratio: float, volume_is_scaled: bool) -> None:
    for seed in range(5):
        bars = scaled(usual(seed=seed), 40, ratio, 1 / ratio if volume_is_scaled else 1)
        assert suspected(bars) == [40], seed


def test_a_spin_off_is_suspected_though_its_ratio_is_no_splits() -> None:
    assert suspected(scaled(usual(), 40, 0.2216, 2)) == [40]


CRASHES: dict[str, dict[str, float]] = {
    "three quarters of the price, in a wide range": {"o": 0.4, "h": 0.45, "l": 0.2, "c": 0.25, "v": 30},
    "exactly three quarters, at the open": {"o": 0.25, "h": 0.27, "l": 0.24, "c": 0.25, "v": 25},
    "a bankruptcy": {"o": 0.05, "h": 0.08, "l": 0.01, "c": 0.02, "v": 300},
    "a half, as at the open of AAPL on 2000-09-29": {"o": 0.527, "h": 0.542, "l": 0.474, "c": 0.481, "v": 22},
    "a profit warning with a third of turnover more": {"o": 0.72, "h": 0.73, "l": 0.55, "c": 0.56, "v": 2},
    "a rise by half on a takeover": {"o": 1.48, "h": 1.52, "l": 1.47, "c": 1.5, "v": 25},
    "a warrant that rises 22-fold": {"o": 6.2, "h": 28, "l": 6, "c": 22, "v": 700},
}


@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_counts(crash: str) -> None:
    assert suspected(ended_by(**CRASHES[crash])) == []


def test_what_is_usual_for_an_instrument_is_no_change() -> None:
    """A fall by 38 % in a calm session, of one whose prices range over 20 % in each."""
    wild = ended_by(o=0.62, h=0.62, l=0.62, c=0.62, v=1).with_columns(pl.col("h") * 1.1, pl.col("l") / 1.1)
    assert suspected(wild) == []


def test_what_no_session_can_gain_is_an_error_and_so_is_its_way_back() -> None:
    """As ATO.PA, at 48.5, then for 18 sessions in the thousands, then at 26, in ranges as wide as a crash's."""
    bars = scaled(usual(), 20, 80, 0.001, until=38)
    wild = bars.with_columns(
        h=pl.when(pl.int_range(pl.len()).is_between(20, 40)).then(pl.col("h") * 1.7).otherwise("h"),
        v=pl.when(pl.int_range(pl.len()) == 38).then(pl.col("v") * 100).otherwise("v"),
    )
    assert suspected(wild) == [20, 38]


@pytest.mark.parametrize("lacking", [["v"], ["o", "h", "l", "v"]])
def test_without_volumes_or_ranges_a_price_near_a_splits_is_suspected(lacking: list[str]) -> None:
    """Cautiously: a crash by just as much cannot be told from it; one by another ratio counts."""
    split, crash = scaled(usual(), 40, 0.25, 1), scaled(usual(), 40, 0.29, 1)
    assert suspected(split.drop(lacking)) == [40]
    assert suspected(crash.drop(lacking)) == []
    no_volume: dict[str, Any] = {"v": 0.0}
    assert suspected(split.with_columns(**no_volume)) == [40]


def test_a_young_instrument_is_judged_by_the_ratio() -> None:
    assert suspected(scaled(usual(6), 3, 0.5, 2)) == [3]
    assert suspected(scaled(usual(6), 3, 0.44, 2)) == []


def test_two_instruments_that_meet_are_no_change() -> None:
    both = pl.concat([usual(), scaled(usual(name="b"), 0, 100, 0.01)])
    assert suspected(both) == []


@given(cut=st.integers(1, USUAL), seed=st.integers(0, 20))
def test_later_bars_change_no_verdict_nor_do_those_before_the_look_back(cut: int, seed: int) -> None:
    bars = scaled(scaled(usual(seed=seed), 50, 0.25, 4), 20, 60, 1, until=27)
    whole = find_changes(bars)
    assert find_changes(bars[:cut]).tolist() == whole[:cut].tolist()
    later = bars[max(cut - LOOKBACK - 1, 0) :]
    assert find_changes(later)[-(USUAL - cut) :].tolist() == whole[cut:].tolist() or cut == USUAL


def test_closes_on_the_first_basis_move_by_nothing_across_a_change_and_as_before_within() -> None:
    bars = pl.concat([usual(name="0"), scaled(usual(), 40, 0.25, 4)])
    rebased = on_first_basis(bars)
    returns, before = (frame["c"].pct_change().to_list() for frame in (rebased, bars))
    at = USUAL + 40
    assert returns[at] == pytest.approx(0)
    assert returns[USUAL + 1 : at] + returns[at + 1 :] == pytest.approx(before[USUAL + 1 : at] + before[at + 1 :])
    assert rebased["c"][:at].equals(bars["c"][:at])
    assert rebased["basis"].to_list() == number_bases(bars).tolist() == [0] * at + [1] * 20


def test_the_list_of_splits_is_symmetric() -> None:
    assert [1 / ratio for ratio in price_basis.SPLITS[::-1]] == pytest.approx(price_basis.SPLITS)
