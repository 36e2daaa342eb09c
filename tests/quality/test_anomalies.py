"""Oddities: what is strange about good bars, told from the past alone; nothing is removed."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds.walks import DAYS, LENGTH, SESSIONS, is_bar, is_since, quiet_market, scale_prices

from boursomatic_assets.quality.anomalies import FINDINGS, KINDS, LOOKBACK, count_by_kind, find_anomalies
from boursomatic_assets.quality.price_jumps import MAX_SESSIONS_APART, MIN_PEERS, MIN_RETURNS, WINDOW

END = DAYS[-1] + dt.timedelta(days=1)
FLAT = dict.fromkeys("ohlc", pl.col("c"))


def odd(bars: pl.DataFrame, start: dt.datetime = DAYS[0], end: dt.datetime = END) -> pl.DataFrame:
    return find_anomalies(bars, SESSIONS, start, end)


def told(bars: pl.DataFrame) -> list[tuple[str, str | None, int, float | None]]:
    """Each finding: kind, instrument, day, figure."""
    rows = odd(bars).select("kind", "instrument_id", "ts", "figure").rows()
    return [(kind, name, DAYS.index(ts), figure) for kind, name, ts, figure in rows]


def changed(bars: pl.DataFrame, where: pl.Expr, **values: Any) -> pl.DataFrame:
    return bars.with_columns(
        pl.when(where).then(value).otherwise(name).alias(name) for name, value in values.items()
    )


def without(bars: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
    return bars.filter(~where)


def test_of_a_quiet_market_there_is_nothing_to_tell() -> None:
    findings = odd(quiet_market())
    assert findings.is_empty()
    assert findings.schema == FINDINGS
    assert count_by_kind(findings) == dict.fromkeys(KINDS, 0)


def test_no_bars_are_no_findings() -> None:
    assert odd(quiet_market().clear()).is_empty()


def test_a_flat_bar_without_volume_is_a_filler() -> None:
    assert told(changed(quiet_market(), is_bar("B", 50), **FLAT, v=0.0)) == [("filler", "B", 50, None)]


def test_a_bar_that_moved_without_volume_is_told_apart() -> None:
    assert told(changed(quiet_market(), is_bar("B", 50), v=0.0)) == [("zero volume", "B", 50, None)]


def test_a_repeated_bar_is_stale() -> None:
    before = quiet_market().filter(is_bar("B", 49)).row(0, named=True)
    repeated = changed(quiet_market(), is_bar("B", 50), **{name: before[name] for name in "ohlcv"})
    assert told(repeated) == [("stale", "B", 50, before["v"])]
    assert told(changed(repeated, is_bar("B", 50), v=before["v"] + 1)) == []


def test_fillers_in_a_row_are_fillers_and_not_stale() -> None:
    filled = changed(quiet_market(), is_bar("B", 50) | is_bar("B", 51), **dict.fromkeys("ohlc", 100.0), v=0.0)
    assert [kind for kind, *_ in told(filled)] == ["filler", "filler"]


def test_a_split_is_a_jump_with_its_ratio() -> None:
    (finding,) = odd(scale_prices(quiet_market(), 0.5, is_since("B", 100))).rows(named=True)
    assert (finding["kind"], finding["instrument_id"], finding["ts"]) == ("jump", "B", DAYS[100])
    assert finding["ratio"] == 0.5


def test_a_gap_is_told_when_it_ends() -> None:
    away = (pl.col("instrument_id") == "B") & pl.col("ts").is_in(DAYS[50:53])
    assert told(without(quiet_market(), away)) == [("gap", "B", 53, 3.0)]
    assert told(without(quiet_market(), is_since("B", 50))) == []


@pytest.mark.parametrize(("missing", "gaps"), [(MAX_SESSIONS_APART - 1, 1), (MAX_SESSIONS_APART, 0)])
def test_who_was_away_for_longer_than_reach_is_a_newcomer(missing: int, gaps: int) -> None:
    away = (pl.col("instrument_id") == "B") & pl.col("ts").is_in(DAYS[50 : 50 + missing])
    assert len(told(without(quiet_market(), away))) == gaps


def test_a_session_that_most_bars_lack_is_an_outage_and_no_gap() -> None:
    lost = pl.col("instrument_id").is_in([*"ABCDEF"]) & (pl.col("ts") == DAYS[50])
    assert told(without(quiet_market(), lost)) == [("outage", None, 50, 0.4)]


def test_a_session_without_any_bar_is_an_outage() -> None:
    assert told(without(quiet_market(), pl.col("ts") == DAYS[50])) == [("outage", None, 50, 0.0)]


def test_a_session_of_fillers_is_an_outage() -> None:
    lost = pl.col("instrument_id").is_in([*"ABCDEF"]) & (pl.col("ts") == DAYS[50])
    findings = odd(changed(quiet_market(), lost, **FLAT, v=0.0))
    assert count_by_kind(findings) == {**dict.fromkeys(KINDS, 0), "filler": 6, "outage": 1}


def test_what_is_usual_is_told_by_the_sessions_before() -> None:
    lost = pl.col("instrument_id").is_in([*"ABCDEF"]) & pl.col("ts").is_in(DAYS[50:60])
    lost = lost | pl.col("instrument_id").is_in([*"ABCDEFG"]) & (pl.col("ts") == DAYS[60])
    assert ("outage", None, 60, 3 / 7) in told(without(quiet_market(), lost))


def test_half_a_market_is_no_outage() -> None:
    lost = pl.col("instrument_id").is_in([*"ABCDE"]) & (pl.col("ts") == DAYS[50])
    assert {kind for kind, *_ in told(without(quiet_market(), lost))} == {"gap"}


def test_few_instruments_have_no_outage() -> None:
    assert {kind for kind, *_ in told(without(quiet_market(MIN_PEERS - 1), pl.col("ts") == DAYS[50]))} == {"gap"}


def test_only_what_was_asked_for_is_told() -> None:
    bars = changed(quiet_market(), pl.col("instrument_id") == "B", v=0.0)
    assert odd(bars, DAYS[50], DAYS[52])["ts"].to_list() == DAYS[50:52]


def test_the_oldest_session_of_the_look_back_counts() -> None:
    day = 150
    bars = scale_prices(quiet_market(1), 0.5, is_since("A", day))
    kept = [day - LOOKBACK, *range(day - WINDOW, day - WINDOW + MIN_RETURNS), day]
    few = bars.filter(pl.col("ts").is_in([DAYS[k] for k in kept]))
    assert "jump" in odd(few, DAYS[day])["kind"]
    assert "jump" not in odd(few.filter(pl.col("ts") > DAYS[day - LOOKBACK]), DAYS[day])["kind"]


def test_order_and_other_columns_do_not_matter() -> None:
    bars = scale_prices(quiet_market(), 0.5, is_since("B", 100))
    mixed = bars.sample(fraction=1, shuffle=True, seed=1).with_columns(interval=pl.lit("daily"))
    assert_frame_equal(odd(mixed), odd(bars), check_exact=True)


NAMES = st.sampled_from("ABCDEFGH")
EDITS = {
    "fill": lambda bars, where: changed(bars, where, **FLAT, v=0.0),
    "silence": lambda bars, where: changed(bars, where, v=0.0),
    "repeat": lambda bars, where: changed(bars, where, **dict.fromkeys("ohlc", 100.0), v=5.0),
    "halve": lambda bars, where: scale_prices(bars, 0.5, where),
    "lose": without,
}
STRANGE = st.lists(
    st.tuples(
        st.sampled_from([*EDITS]), st.sets(NAMES, min_size=1), st.integers(0, LENGTH - 1), st.integers(1, 30)
    ),
    min_size=1,
    max_size=6,
)


def strange(edits: list[tuple[str, set[str], int, int]], size: int = 8) -> pl.DataFrame:
    """A market some of whose instruments are strange on some days in a row."""
    bars = quiet_market(size)
    for edit, names, first, days in edits:
        where = pl.col("instrument_id").is_in([*names]) & pl.col("ts").is_in(DAYS[first : first + days])
        bars = EDITS[edit](bars, where)
    return bars


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(edits=STRANGE, cut=st.integers(1, LENGTH - 1))
def test_no_finding_depends_on_later_bars(edits: list[tuple[str, set[str], int, int]], cut: int) -> None:
    bars, moment = strange(edits), DAYS[cut]
    past = odd(bars.filter(pl.col("ts") < moment), end=moment)
    assert_frame_equal(odd(bars).filter(pl.col("ts") < moment), past, check_exact=True)
    assert_frame_equal(odd(bars, end=moment), past, check_exact=True)


@settings(max_examples=15, deadline=None)
@given(edits=STRANGE, first=st.integers(LOOKBACK, LENGTH - 1))
def test_a_session_needs_its_look_back_and_no_more(
    edits: list[tuple[str, set[str], int, int]], first: int
) -> None:
    bars, start = strange(edits), DAYS[first]
    seen = bars.filter(pl.col("ts") >= DAYS[first - LOOKBACK])
    assert_frame_equal(odd(seen, start), odd(bars).filter(pl.col("ts") >= start), check_exact=True)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(edits=STRANGE)
def test_each_of_few_instruments_is_judged_by_itself(edits: list[tuple[str, set[str], int, int]]) -> None:
    bars = strange(edits, MIN_PEERS - 1)
    alone = [odd(bars.filter(pl.col("instrument_id") == name)) for name in "ABCD"]
    assert_frame_equal(odd(bars), pl.concat(alone).sort("ts", "kind", "instrument_id"), check_exact=True)


@settings(max_examples=15, deadline=None)
@given(edits=STRANGE)
def test_nothing_that_is_told_is_about_a_bar_that_is_not_there(
    edits: list[tuple[str, set[str], int, int]],
) -> None:
    bars = strange(edits)
    findings = odd(bars)
    of_bars = findings.filter(pl.col("kind") != "outage")
    assert of_bars.join(bars, on=["instrument_id", "ts"], how="anti").is_empty()
    assert not findings.select("kind", "instrument_id", "ts").is_duplicated().any()
    assert sum(count_by_kind(findings).values()) == findings.height
