"""Partitions: date x market, and the look-backs between assets."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.snap import PartitionsSnap
from dagster._serdes import deserialize_value, serialize_value
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.frames import day

from boursomatic_assets.calendars.markets import MARKETS, YEARS_AHEAD, Market, all_sessions, newest_closed_date
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.orchestration import partitions
from boursomatic_assets.orchestration.dagster_patches import partition_keys
from boursomatic_assets.orchestration.dagster_patches.lookback import LookBack
from boursomatic_assets.orchestration.partitions import (
    CLOSED_DATES_IN_LOOKBACK,
    EVERYTHING_BEFORE,
    MARKET_SESSIONS,
    SAME_MARKET_LOOKBACK,
    SESSION_DATES,
    START,
    partition_dates,
    partition_key,
    slices_of_keys,
)
from boursomatic_assets.orchestration.session_dates import closed_dates, is_of_session_dates, session_dates

NOW = dt.datetime(2024, 6, 12, tzinfo=dt.UTC)
TOY_DATES = session_dates(day("2024-05-20"), [day("2024-05-27")])
TOY = dg.MultiPartitionsDefinition(
    {"date": TOY_DATES, "market": dg.StaticPartitionsDefinition(["US", "EURONEXT"])}
)
TOY_KEYS = TOY.get_partition_keys(NOW)


def dimensions(first: int, last: int, market: dg.PartitionMapping) -> dict[str, dg.DimensionPartitionMapping]:
    window = dg.TimeWindowPartitionMapping(
        start_offset=first, end_offset=last, allow_nonexistent_upstream_partitions=True
    )
    return {
        "date": dg.DimensionPartitionMapping("date", window),
        "market": dg.DimensionPartitionMapping("market", market),
    }


def upstream(mapping: dg.PartitionMapping, keys: Iterable[str], definition: dg.PartitionsDefinition) -> set[str]:
    subset = definition.empty_subset().with_partition_keys(list(keys))
    result = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, definition, definition, NOW)
    assert not list(result.required_but_nonexistent_subset.get_partition_keys())
    return set(result.partitions_subset.get_partition_keys())


def downstream(mapping: dg.PartitionMapping, keys: Iterable[str], definition: dg.PartitionsDefinition) -> set[str]:
    subset = definition.empty_subset().with_partition_keys(list(keys))
    found = mapping.get_downstream_partitions_for_partitions(subset, definition, definition, NOW)
    return set(found.get_partition_keys())


def test_a_date_is_a_partition_when_either_market_trades() -> None:
    dates = SESSION_DATES.get_partition_keys()
    assert {"2025-01-09", "2025-07-04", "2025-04-21"} <= set(dates)  # one of the two is closed
    assert not {"2019-12-25", "2025-04-18", "2024-06-08", "2024-06-09"} & set(dates)


def deserialized(definition: dg.PartitionsDefinition) -> dg.PartitionsDefinition:
    """A definition as the daemon and the webserver have it: serialized and deserialized."""
    description = deserialize_value(serialize_value(PartitionsSnap.from_def(definition)), PartitionsSnap)
    return description.get_partitions_definition()


def recent_definition(now: dt.datetime) -> dg.TimeWindowPartitionsDefinition:
    """The definition, of the last weeks only: Dagster takes seconds to iterate over all years."""
    return session_dates(now.date() - dt.timedelta(weeks=9), closed_dates(SESSION_DATES))


@pytest.mark.calendar
def test_partitions_are_the_sessions_up_to_today() -> None:
    now = dt.datetime.now(dt.UTC)
    sessions = all_sessions()
    past = sessions[(sessions >= np.datetime64(START)) & (sessions <= np.datetime64(now.date()))]
    assert SESSION_DATES.get_partition_keys(now) == [str(date) for date in past]
    assert deserialized(SESSION_DATES).get_partition_keys(now) == [str(date) for date in past]


@pytest.mark.calendar
def test_the_last_partition_is_the_newest_date_that_is_not_in_the_future() -> None:
    """By every method: pages and windows are not looked up, but iterated over."""
    now = dt.datetime.now(dt.UTC)
    newest = str(all_sessions()[all_sessions() <= np.datetime64(now.date())][-1])
    for dates in (SESSION_DATES, deserialized(SESSION_DATES)):
        assert isinstance(dates, dg.TimeWindowPartitionsDefinition)
        with partition_loading_context(now) as context:
            assert dates.get_last_partition_key() == newest
            assert dates.get_next_partition_key(newest) is None
            assert dates.get_paginated_partition_keys(context, limit=1, ascending=False).results == [newest]


@pytest.mark.calendar
def test_todays_keys_equal_those_of_dagsters_own_iteration() -> None:
    now = dt.datetime.now(dt.UTC)
    assert recent_definition(now).get_partition_keys(now) == partition_keys._walked(recent_definition(now), now)


@pytest.mark.slow
def test_every_key_equals_that_of_dagsters_own_iteration() -> None:
    assert is_of_session_dates(SESSION_DATES)
    assert SESSION_DATES.get_partition_keys(NOW) == partition_keys._walked(SESSION_DATES, NOW)


@pytest.mark.parametrize("time", ["00:00:00", "00:00:59", "12:00:00", "23:59:59"])
def test_the_dates_of_any_day_are_those_that_dagster_walks_through(time: str) -> None:
    """These three weeks include weekends, Christmas and New Year."""
    for later in range(21):
        now = dt.datetime.fromisoformat(f"2024-12-15T{time}+00:00") + dt.timedelta(days=later)
        assert recent_definition(now).get_partition_keys(now) == partition_keys._walked(
            recent_definition(now), now
        )


@pytest.mark.slow
def test_a_long_running_process_finds_each_new_date_at_midnight_and_no_holiday() -> None:
    """The definition is made once, and neither the webserver nor a code server restarts each day."""
    for year in range(dt.datetime.now(dt.UTC).year, dt.datetime.now(dt.UTC).year + YEARS_AHEAD):
        new_year, christmas = dt.date(year + 1, 1, 1), dt.date(year, 12, 25)
        before = dt.datetime(year, 12, 24, 23, 59, 59, tzinfo=dt.UTC)
        known = set(SESSION_DATES.get_partition_keys(before + dt.timedelta(days=14)))
        assert not {str(new_year), str(christmas)} & known
        for date in (dt.date(year, 12, 25) + dt.timedelta(days=n) for n in range(14)):
            begins = dt.datetime.combine(date, dt.time(), dt.UTC)
            last = [SESSION_DATES.get_partition_keys(begins + dt.timedelta(seconds=n))[-1] for n in (-1, 0)]
            assert last[0] < str(date)
            assert (last[1] == str(date)) is any(market.is_session(date) for market in MARKETS.values())


@pytest.mark.parametrize(
    "other",
    [
        dg.DailyPartitionsDefinition(
            "2024-05-20", exclusions=["0 0 * * 6", dt.datetime(2024, 5, 27)], end_offset=1
        ),
        dg.DailyPartitionsDefinition("2024-05-20", end_date="2024-06-01"),
        dg.HourlyPartitionsDefinition("2024-06-10-00:00"),
    ],
)
def test_other_definitions_are_left_to_dagster(other: dg.TimeWindowPartitionsDefinition) -> None:
    assert not is_of_session_dates(other)
    assert other.get_partition_keys(NOW) == partition_keys._walked(other, NOW)


def test_each_date_has_a_partition_of_each_market() -> None:
    keys = set(MARKET_SESSIONS.get_partition_keys())
    assert {partition_key(day("2024-06-10"), market) for market in MARKETS} <= keys
    assert partition_key(day("2024-06-10"), "US") == "2024-06-10|US"


@pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)
def test_the_look_back_holds_enough_sessions_of_each_market_on_every_date(market: Market) -> None:
    """The window counts dates on which only the other market trades; the allowance covers them."""
    dates = all_sessions()
    own = np.isin(dates, market.sessions()).cumsum()
    reach = LOOKBACK + CLOSED_DATES_IN_LOOKBACK
    places = np.flatnonzero(dates >= np.datetime64(START))
    before = own[places - 1] - own[places - reach - 1]
    assert before.min() >= LOOKBACK


def test_the_look_back_of_a_session_includes_its_first_needed_session() -> None:
    needed = MARKETS["EURONEXT"].sessions()
    place = int(np.searchsorted(needed, np.datetime64("2024-06-10")))
    found = upstream(SAME_MARKET_LOOKBACK, ["2024-06-10|EURONEXT"], MARKET_SESSIONS)
    assert {f"{date}|EURONEXT" for date in needed[place - LOOKBACK : place + 1]} <= found
    assert max(found) == "2024-06-10|EURONEXT"
    assert {key.split("|")[1] for key in found} == {"EURONEXT"}
    assert len(found) == LOOKBACK + CLOSED_DATES_IN_LOOKBACK + 1


def test_the_first_partition_needs_only_itself() -> None:
    first = f"{START}|US"
    assert upstream(SAME_MARKET_LOOKBACK, [first], MARKET_SESSIONS) == {first}
    assert upstream(EVERYTHING_BEFORE, [first], MARKET_SESSIONS) == {first}


def test_everything_before_holds_earlier_dates_of_both_markets_and_the_session_itself() -> None:
    found = upstream(EVERYTHING_BEFORE, ["2024-06-10|US"], MARKET_SESSIONS)
    earlier = [date for date in SESSION_DATES.get_partition_keys() if date < "2024-06-10"]
    assert found == {"2024-06-10|US"} | {f"{date}|{market}" for date in earlier for market in MARKETS}


@pytest.mark.slow
@pytest.mark.parametrize("offsets", [(-3, 0), (-100, -1), (0, 0), (-4, -2)])
@pytest.mark.parametrize("market", [dg.IdentityPartitionMapping(), dg.AllPartitionMapping()])
@settings(max_examples=15, deadline=None)
@given(keys=st.sets(st.sampled_from(TOY_KEYS), max_size=6))
def test_a_look_back_waits_for_the_own_session_and_what_dagsters_own_mapping_needs(
    offsets: tuple[int, int], market: dg.PartitionMapping, keys: set[str]
) -> None:
    ours, theirs = (kind(dimensions(*offsets, market)) for kind in (LookBack, dg.MultiPartitionMapping))
    assert upstream(ours, keys, TOY) == upstream(theirs, keys, TOY) | keys


@pytest.mark.parametrize("mapping", [SAME_MARKET_LOOKBACK, EVERYTHING_BEFORE])
def test_no_session_of_a_backfill_runs_before_its_own_upstream_session(mapping: LookBack) -> None:
    """The daemon holds back partitions that wait for a requested session: of a range, that must be all of them."""
    asked = {f"{date}|{market}" for date in ("2024-06-10", "2024-06-11", "2024-06-12") for market in MARKETS}
    waited_for = upstream(mapping, asked, MARKET_SESSIONS) & asked
    assert downstream(mapping, waited_for, MARKET_SESSIONS) == asked


@pytest.mark.parametrize("mapping", [SAME_MARKET_LOOKBACK, EVERYTHING_BEFORE])
def test_a_backfill_is_not_widened_to_the_sessions_that_look_back_on_it(mapping: LookBack) -> None:
    keys = {"2004-06-10|US", "2004-06-11|EURONEXT"}
    assert downstream(mapping, keys, MARKET_SESSIONS) == keys


@pytest.mark.parametrize("mapping", [SAME_MARKET_LOOKBACK, EVERYTHING_BEFORE])
def test_a_look_back_is_serializable(mapping: LookBack) -> None:
    arrived = deserialize_value(serialize_value(mapping))
    assert isinstance(arrived, LookBack)
    assert arrived == mapping
    keys = ["2004-06-10|US"]
    assert upstream(arrived, keys, MARKET_SESSIONS) == upstream(mapping, keys, MARKET_SESSIONS)


def test_unordered_keys_become_slices_market_by_market() -> None:
    keys = ["2024-06-11|US", "2024-06-12|EURONEXT", "2024-06-10|US", "2024-06-14|US", "2024-06-11|EURONEXT"]
    assert [str(part) for part in slices_of_keys(keys)] == [
        "EURONEXT 2024-06-11 .. 2024-06-12",
        "US 2024-06-10 .. 2024-06-11",
        "US 2024-06-14",
    ]


def test_partition_dates_include_both_ends() -> None:
    found = partition_dates(day("2024-12-24"), day("2024-12-27"))
    assert found == [day("2024-12-24"), day("2024-12-26"), day("2024-12-27")]


@pytest.mark.calendar
@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        ("2024-06-11", "2024-06-10", "the range is empty: 2024-06-11 is after 2024-06-10"),
        ("1999-12-31", "2024-06-10", "1999-12-31 is before the first partition, 2000-01-03"),
        ("2024-06-10", "2999-01-01", "2999-01-01 is in the future: the last possible date is"),
        ("2024-06-08", "2024-06-09", "no market trades between 2024-06-08 and 2024-06-09"),
    ],
)
def test_an_invalid_range_is_explained(start: str, end: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        partition_dates(day(start), day(end))


def test_a_range_may_begin_on_the_weekend_before_the_first_partition() -> None:
    assert partition_dates(day("2000-01-01"), day("2000-01-04")) == [day("2000-01-03"), day("2000-01-04")]


@pytest.mark.calendar
def test_no_market_still_trades_on_the_newest_closed_date() -> None:
    newest = newest_closed_date()
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    later = [date for date in all_sessions().tolist() if newest < date <= now.date()]
    trading = [market for market in MARKETS.values() if market.is_session(newest)]
    assert all(market.close_time(newest) <= now for market in trading)
    assert all(any(m.is_session(d) and m.close_time(d) > now for m in MARKETS.values()) for d in later)


def test_a_range_with_the_tags_of_its_first_partition_raises_an_error() -> None:
    """Dagster leaves these tags on the runs of a job's backfill, and then computes the wrong partition."""
    tags = {
        "dagster/asset_partition_range_start": "2024-06-10|EURONEXT",
        "dagster/asset_partition_range_end": "2024-06-11|EURONEXT",
        "dagster/partition/date": "2024-06-10",
        "dagster/partition/market": "US",
    }
    context: Any = SimpleNamespace(run=SimpleNamespace(tags=tags), partition_keys=["2024-06-10|US"])
    with pytest.raises(dg.Failure, match="choose assets instead"):
        partitions.slices_of_run(context)
    del context.run.tags["dagster/partition/date"], context.run.tags["dagster/partition/market"]
    assert [str(part) for part in partitions.slices_of_run(context)] == ["US 2024-06-10"]


DATES = {"2024-06-10", "2024-06-08", "2019-12-25", "1999-12-31", "2999-01-04", "2024-6-10", "tomorrow"}


@pytest.mark.calendar
def test_only_sessions_until_today_are_valid_keys() -> None:
    assert SESSION_DATES.filter_valid_partition_keys(DATES) == {"2024-06-10"}
    assert {date for date in DATES if SESSION_DATES.has_partition_key(date)} == {"2024-06-10"}
    keys = {"2024-06-10|US", "2024-06-08|US", "2024-06-10|MARS", "2024-06-10"}
    assert MARKET_SESSIONS.filter_valid_partition_keys(keys) == {"2024-06-10|US"}


def test_a_partition_exists_from_its_own_date_on() -> None:
    for moment, known in (("2024-06-10T23:59", False), ("2024-06-11T00:00", True)):
        with partition_loading_context(dt.datetime.fromisoformat(f"{moment}+00:00")):
            assert SESSION_DATES.has_partition_key("2024-06-11") is known


def test_many_keys_are_validated_without_iterating_over_the_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster validates ten years of a check's keys one by one, whenever its page is opened."""
    walks = Counter[str]()
    original = dg.TimeWindowPartitionsDefinition._iterate_time_windows

    def count_walks(self: Any, *args: Any, **kwargs: Any) -> Any:
        walks["calendar"] += 1
        return original(self, *args, **kwargs)

    monkeypatch.setattr(dg.TimeWindowPartitionsDefinition, "_iterate_time_windows", count_walks)
    with partition_loading_context(dt.datetime(2024, 6, 10, tzinfo=dt.UTC)):
        assert all(MARKET_SESSIONS.has_partition_key(f"{date}|US") for date in ["2024-06-07", "2024-06-10"] * 1000)
    assert walks["calendar"] < 5
