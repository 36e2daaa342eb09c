"""Times as vendors write them, in the one format that all rows of a file show."""

import datetime as dt

import polars as pl
import pytest

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.notation.times import Clock, parse_times

DATE = dt.datetime(2024, 6, 13)


def parse(*cells: str, **clock: str) -> pl.DataFrame:
    return parse_times(pl.Series(cells, dtype=pl.String), Clock(**clock), "KO.csv")


def sessions(*cells: str, **clock: str) -> list[dt.datetime | None]:
    return parse(*cells, **clock)["session"].to_list()


def instants(*cells: str, **clock: str) -> list[str]:
    return parse(*cells, **clock)["instant"].dt.to_string("%Y-%m-%d %H:%M").to_list()


@pytest.mark.parametrize(
    "cell",
    [
        *("2024-06-13", "2024/6/13", "2024.06.13", "20240613", "20240613.0", "  2024-06-13 "),
        *("13.06.2024", "13.06.24", "06/13/2024", "6/13/24", "13/06/2024", "13-06-2024"),
        *("13-Jun-2024", "13-JUN-24", "13 June 2024", "June 13, 2024", "Jun. 13, 2024", "2024-Jun-13"),
        *("13 juin 2024", "13. Juni 2024", "Thu, 13 Jun 2024", "Thursday, June 13, 2024"),
        *("2024-06-13T00:00:00", "2024-06-13T00:00:00.000Z", "2024-06-13 00:00:00-04:00", "20240613 000000"),
        *("6/13/2024 16:00:00", "6/13/2024 4:00:00 PM", "13/06/2024 17:35", "6/13/2024 12:00 AM"),
        *("202406131600", "20240613160000", "20240613T200000Z"),
        *("1718236800", "1718236800000", "1718236800000000", "1718236800000000000", "1718236800.0"),
    ],
)
def test_a_date_is_read_however_it_is_written(cell: str) -> None:
    assert sessions(cell) == [DATE]


@pytest.mark.parametrize("month", ["8-Dec-17", "8 déc. 2017", "8-dez-17", "08/12/2017", "20171208"])
def test_months_have_names_in_several_languages(month: str) -> None:
    assert sessions(month, order="dmy") == [dt.datetime(2017, 12, 8)]


@pytest.mark.parametrize(
    "cell",
    [
        *("2024-06-31", "31/06/2024", "2024-13-06", "6/2024", "2024", "today", "Q2 2024", "2024-W24", "45456"),
        *(
            "6/13/2024 16:00 PM",
            "6/13/2024 13:00 AM",
            "2024-06-13 25:00",
            "2024-06-13 16:00 EST",
            "240613",
            "-024-06-13",
        ),
    ],
)
def test_any_other_time_is_null_and_not_guessed(cell: str) -> None:
    assert sessions(cell) == [None]


@pytest.mark.parametrize(
    ("cells", "day", "month"),
    [
        (["02/07/2015", "13/07/2015"], 2, 7),
        (["02/07/2015", "02/13/2015"], 7, 2),
        (["02-07-15", "13-07-15"], 2, 7),
        (["15-07-02", "15-07-03", "15-07-06", "15-07-07"], 2, 7),
        (["02.07.2015", "13.07.2015"], 2, 7),
        (["15/07/14", "15/07/15"], 14, 7),  # two days in a row, or two years
    ],
)
def test_all_rows_of_a_file_decide_the_order(cells: list[str], day: int, month: int) -> None:
    (first, *_) = sessions(*cells)
    assert first is not None
    assert (first.day, first.month) == (day, month)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (
            ["02/07/2015", "03/07/2015"],
            "day and month cannot be told apart: 2 dates such as 02/07/2015 fit both ways",
        ),
        (["13/07/2015", "07/13/2015"], "1 dates can only be day/month and 1 only month/day"),
        (["10-11-12"], "day and year cannot be told apart: 1 dates such as 10-11-12 fit both ways"),
    ],
)
def test_what_rows_do_not_decide_is_asked(cells: list[str], why: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse(*cells)
    assert str(raised.value).startswith(f"KO.csv: {why}: state `dates: dmy`")


def test_the_order_may_be_stated() -> None:
    assert sessions("06/07/2024", order="dmy") == [dt.datetime(2024, 7, 6)]
    assert sessions("06/07/2024", order="mdy") == [dt.datetime(2024, 6, 7)]
    assert sessions("24/06/07", order="ymd") == [dt.datetime(2024, 6, 7)]
    with pytest.raises(SourceError, match="dates are stated as ymd, and 06/07/2024 does not fit that"):
        parse("06/07/2024", order="ymd")


def test_a_single_error_among_dates_does_not_decide_them() -> None:
    dates = [f"2024-06-{day:02}" for day in range(1, 31)]
    assert sessions("06/07/2024", *dates)[:2] == [None, dt.datetime(2024, 6, 1)]


@pytest.mark.parametrize(
    ("cells", "interval"),
    [
        (["2024-06-13", "2024-06-14"], "daily"),
        (["2024-06-13 16:00", "2024-06-14 16:00"], "daily"),
        (["2024-07-03 13:00", "2024-07-05 16:00"], "daily"),  # a half session
        (["2024-06-13 13:30Z", "2024-06-13 13:45Z", "2024-06-13 14:15Z"], "15m"),
        (["2024-06-13 13:30Z", "2024-06-13 13:35Z"], "5m"),
        (["2024-06-13 13:30Z", "2024-06-13 14:30Z"], "60m"),
        (["1718285400", "1718286300"], "15m"),
    ],
)
def test_the_least_step_within_a_date_is_the_interval(cells: list[str], interval: str) -> None:
    assert parse(*cells)["interval"].unique().to_list() == [interval]


def test_wall_times_become_instants_by_their_offset_or_by_the_stated_zone() -> None:
    assert instants("2024-06-13 09:30-04:00", "2024-06-13 09:45-04:00") == ["2024-06-13 13:30", "2024-06-13 13:45"]
    wall = ["2024-01-11 9:30 AM", "2024-01-11 12:45 PM", "2024-06-13 9:30 AM"]
    assert instants(*wall, zone="America/New_York") == ["2024-01-11 14:30", "2024-01-11 17:45", "2024-06-13 13:30"]


@pytest.mark.parametrize("first", ["2024-06-13 09:30", "2024-06-13 09:30-04:00"])
def test_a_zone_that_nothing_says_is_asked(first: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse(first, "2024-06-13 09:45")
    assert "have no offset from UTC: state `zone:` for it in columns.yaml, such as" in str(raised.value)


def test_an_hour_that_a_clock_shows_twice_or_never_is_no_instant() -> None:
    wall = ["2024-03-10 02:30", "2024-03-10 02:45", "2024-11-03 01:30"]
    assert instants(*wall, zone="America/New_York") == [None] * 3


@pytest.mark.parametrize(
    ("cell", "date"),
    [
        ("2024-06-13 00:00:00+02:00", "2024-06-13"),  # its own date
        ("2024-06-12 22:00:00+00:00", "2024-06-13"),  # midnight in Paris
        ("2024-01-12 23:00:00Z", "2024-01-13"),  # midnight in Paris, in winter
        ("2024-06-13 04:00:00+00:00", "2024-06-13"),  # midnight in New York
        ("2024-06-12 20:00:00-04:00", "2024-06-13"),  # midnight of UTC, as New York's clock shows it
        ("2024-01-12 22:00:00Z", None),  # this date, or the next one in Paris
    ],
)
def test_a_daily_bar_has_the_date_that_was_meant(cell: str, date: str | None) -> None:
    assert sessions(cell) == [date and dt.datetime.fromisoformat(date)]


def test_a_midnight_of_paris_is_marked_as_other_markets_have_other_midnights() -> None:
    assert parse("2024-06-12 22:00:00Z")["paris"].to_list() == [True]
    assert parse("2024-06-12 20:00:00Z")["paris"].to_list() == [False]


def test_a_late_clock_without_a_zone_is_asked_about() -> None:
    with pytest.raises(SourceError, match="times such as 2024-06-12 22:00:00 have no offset from UTC"):
        parse("2024-06-12 22:00:00")


def test_epochs_have_one_unit() -> None:
    with pytest.raises(SourceError, match="count from 1970 in several units"):
        parse("1718236800", "1718323200000")
    assert sessions("1718236800", "1718323200", "20240615")[2] is None
