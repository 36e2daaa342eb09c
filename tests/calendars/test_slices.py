"""Slices: one market over consecutive partition dates."""

import datetime as dt
import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds.frames import day, midnight, slice_of

from boursomatic_assets.calendars import slices
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice, require_closed, rows_outside, slices_of

US = MARKETS["US"]
IN_2024 = [date for date in all_sessions().tolist() if date.year == 2024]


def test_dates_over_a_weekend_are_one_slice() -> None:
    part = slice_of("US", "2024-06-07", "2024-06-10", "2024-06-06")
    assert part.dates == (day("2024-06-06"), day("2024-06-07"), day("2024-06-10"))
    assert str(part) == "US 2024-06-06 .. 2024-06-10"


def test_scattered_dates_are_several_slices_in_order() -> None:
    parts = slices_of(US, map(day, ["2024-06-14", "2024-06-10", "2024-06-11", "2024-06-10"]))
    assert [str(part) for part in parts] == ["US 2024-06-10 .. 2024-06-11", "US 2024-06-14"]


def test_no_dates_are_no_slices() -> None:
    assert slices_of(US, []) == []


@given(st.sets(st.sampled_from(IN_2024), min_size=1))
def test_slices_hold_the_dates_that_were_asked_for_and_never_touch(dates: set[dt.date]) -> None:
    parts = slices_of(US, dates)
    assert [date for part in parts for date in part.dates] == sorted(dates)
    assert all(one.end < other.start for one, other in itertools.pairwise(parts))


@given(st.integers(0, len(IN_2024) - 2))
def test_neighbouring_slices_leave_no_gap(place: int) -> None:
    one, other = (Slice(US, (IN_2024[place + step],)) for step in (0, 1))
    assert one.end == other.start


def test_a_slice_owns_the_holiday_after_it() -> None:
    """2025-04-18 and 21: Good Friday is nobody's session, Easter Monday is one in New York only."""
    assert slice_of("US", "2025-04-17").end == midnight("2025-04-21")
    assert slice_of("US", "2024-12-24").end == midnight("2024-12-26")


@pytest.mark.calendar
def test_the_last_date_that_the_calendars_know_ends_with_its_own_midnight() -> None:
    last: dt.date = all_sessions()[-1].item()
    assert Slice(US, (last,)).end == dt.datetime.combine(last + dt.timedelta(days=1), dt.time())
    assert Slice(US, (all_sessions()[-2].item(), last)).looking_ahead(9).dates[-1] == last


def test_a_date_on_which_its_market_is_closed_has_no_session() -> None:
    part = slice_of("US", "2025-01-08", "2025-01-09", "2025-01-10")
    assert part.sessions == (day("2025-01-08"), day("2025-01-10"))
    assert slice_of("US", "2025-01-09").sessions == ()


@pytest.mark.parametrize(("now", "closed"), [("2024-06-10 19:59", False), ("2024-06-10 20:00", True)])
def test_a_session_is_final_from_its_close_on(now: str, closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "utc_now", lambda: midnight(now))
    part = slice_of("US", "2024-06-07", "2024-06-10")
    if closed:
        assert require_closed(part) is part
    else:
        with pytest.raises(
            ValueError, match="the US session 2024-06-10 closes at 2024-06-10 20:00 UTC: ask for it"
        ):
            require_closed(part)


def test_a_closed_market_can_be_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "utc_now", lambda: midnight("2025-01-09"))
    part = slice_of("US", "2025-01-09")
    assert require_closed(part) is part


def test_a_slice_is_cut_into_consecutive_pieces() -> None:
    (part,) = slices_of(MARKETS["US"], [dt.date(2024, 6, number) for number in (10, 11, 12, 13, 14)])
    pieces = list(part.chunks(2))
    assert [len(piece.dates) for piece in pieces] == [2, 2, 1]
    assert tuple(date for piece in pieces for date in piece.dates) == part.dates
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(pieces))


def test_looking_back_counts_the_sessions_of_the_own_market() -> None:
    """New York is closed on Memorial Day, 2024-05-27, which is a partition date all the same."""
    (part,) = slices_of(MARKETS["US"], [dt.date(2024, 5, 28), dt.date(2024, 5, 29)])
    assert part.looking_back(1).dates[:2] == (dt.date(2024, 5, 24), dt.date(2024, 5, 27))
    assert part.looking_back(1).end == part.end
    assert len(part.looking_back(313).sessions) == 315
    assert part.looking_back(0) == part


def test_looking_ahead_counts_the_sessions_of_the_own_market() -> None:
    """New York is closed on Memorial Day, 2024-05-27, which is a partition date all the same."""
    part = slice_of("US", "2024-05-23", "2024-05-24")
    assert part.looking_ahead(1).dates == (*part.dates, dt.date(2024, 5, 27), dt.date(2024, 5, 28))
    assert len(part.looking_ahead(40).sessions) == 42
    assert part.looking_ahead(0) == part


def test_no_slice_looks_back_beyond_the_calendar() -> None:
    first = MARKETS["US"].sessions()[0].item()
    (part,) = slices_of(MARKETS["US"], [first])
    assert part.looking_back(10).sessions[0] == first


def test_rows_outside_of_some_slices_are_those_of_none_of_them_and_those_without_a_time() -> None:
    times = [midnight("2024-06-10"), midnight("2024-06-11"), midnight("2024-06-12"), None]
    rows = pl.DataFrame({"ts": times}, schema={"ts": pl.Datetime("us")})
    parts = [slice_of("US", "2024-06-10"), slice_of("US", "2024-06-12")]
    assert rows_outside(rows, "ts", parts)["ts"].to_list() == [times[1], None]


def test_a_large_frame_lies_outside_of_no_slices() -> None:
    """Cut for several threads, it was refused by polars: `ShapeError: filter predicate length of 2`."""
    rows = pl.DataFrame({"ts": [midnight("2024-06-10")] * 20_000})
    assert rows_outside(rows, "ts", []).equals(rows)
