"""Markets: when each one trades, opens and closes, in naive UTC."""

import datetime as dt
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pytest
from worlds.frames import day

from boursomatic_assets.calendars import markets
from boursomatic_assets.calendars.markets import EPOCH, MARKETS, all_sessions, first_open, market_named

US, EURONEXT = MARKETS["US"], MARKETS["EURONEXT"]


def close(market: markets.Market, session: str) -> str:
    return f"{market.close_time(day(session)):%H:%M}"


def test_an_early_close_is_known() -> None:
    assert (close(US, "2024-12-24"), close(EURONEXT, "2024-12-24")) == ("18:00", "13:05")
    assert (close(US, "2025-07-03"), close(EURONEXT, "2025-07-03")) == ("17:00", "15:30")


def test_an_early_close_does_not_move_the_open() -> None:
    assert US.open_time(day("2025-07-03")) == dt.datetime(2025, 7, 3, 13, 30)
    assert EURONEXT.open_time(day("2024-12-24")) == dt.datetime(2024, 12, 24, 8)


@pytest.mark.parametrize(
    "date",
    [
        "2001-09-11",  # the attacks
        "2012-10-30",  # a hurricane
        "2025-01-09",  # a day of mourning
    ],
)
def test_a_one_off_closure_closes_one_market_only(date: str) -> None:
    assert not US.is_session(day(date))
    assert EURONEXT.is_session(day(date))


def test_nobody_trades_at_christmas() -> None:
    assert not any(market.is_session(day("2019-12-25")) for market in MARKETS.values())
    assert np.datetime64("2019-12-25") not in all_sessions()


@pytest.mark.parametrize(
    ("session", "us", "euronext"),
    [
        ("2025-03-07", "21:00", "16:30"),  # both on winter time
        ("2025-03-17", "20:00", "16:30"),  # only New York has changed its clocks
        ("2025-03-28", "20:00", "16:30"),
        ("2025-03-31", "20:00", "15:30"),  # both on summer time
        ("2025-10-24", "20:00", "15:30"),
        ("2025-10-27", "20:00", "16:30"),  # only Paris has changed its clocks
        ("2025-10-31", "20:00", "16:30"),
        ("2025-11-03", "21:00", "16:30"),  # both on winter time
    ],
)
def test_closes_follow_each_markets_own_clock(session: str, us: str, euronext: str) -> None:
    assert (close(US, session), close(EURONEXT, session)) == (us, euronext)


@pytest.mark.parametrize(
    ("market", "session", "settles"),
    [
        (US, "2024-06-10", "2024-06-10 21:00"),
        (US, "2024-12-24", "2024-12-24 19:00"),  # an early close
        (EURONEXT, "2024-06-10", "2024-06-10 16:30"),
    ],
)
def test_a_sessions_bars_are_final_an_hour_after_its_close(
    market: markets.Market, session: str, settles: str
) -> None:
    assert market.settle_time(day(session)) == dt.datetime.fromisoformat(settles)


@pytest.mark.parametrize(
    ("date", "opens"),
    [
        ("2025-03-17", "2025-03-17 08:00"),  # Paris before New York
        ("2025-10-27", "2025-10-27 08:00"),
        ("2025-07-04", "2025-07-04 07:00"),  # Independence Day: Paris alone
        ("2025-04-21", "2025-04-21 13:30"),  # Easter Monday: New York alone
    ],
)
def test_the_first_open_is_that_of_the_markets_that_trade(date: str, opens: str) -> None:
    assert first_open(day(date)) == dt.datetime.fromisoformat(opens)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("market", "opens", "closes"),
    [(US, "09:30", {"16:00", "13:00"}), (EURONEXT, "09:00", {"17:30", "14:05"})],
)
def test_every_session_keeps_the_wall_clock_of_its_exchange(
    market: markets.Market, opens: str, closes: set[str]
) -> None:
    """Through 25 springs and autumns, though in UTC the Monday after is an hour off."""
    zone = ZoneInfo(market.timezone)

    def on_the_wall(utc: dt.datetime) -> str:
        return f"{utc.replace(tzinfo=dt.UTC).astimezone(zone):%Y-%m-%d %H:%M}"

    sessions = [session for session in market.sessions().tolist() if 2002 <= session.year <= 2026]
    assert len(sessions) > 25 * 250
    for session in sessions:
        assert on_the_wall(market.open_time(session)) == f"{session} {opens}"
        assert on_the_wall(market.close_time(session)) in {f"{session} {hour}" for hour in closes}


def test_nobody_trades_on_the_sundays_on_which_clocks_change() -> None:
    for sunday in ("2025-03-09", "2025-03-30", "2025-10-26", "2025-11-02"):
        assert np.datetime64(sunday) not in all_sessions()


def test_instants_carry_no_time_zone() -> None:
    assert US.open_time(day("2024-06-10")).tzinfo is US.close_time(day("2024-06-10")).tzinfo is None


@pytest.mark.slow
@pytest.mark.parametrize(("market", "in_2024"), [(US, 252), (EURONEXT, 256)])
def test_sessions_are_the_same_whatever_was_loaded_before(market: markets.Market, in_2024: int) -> None:
    before = market.sessions()
    for cached in (markets._calendar, markets._sessions):
        cached.cache_clear()
    exchange_calendars.get_calendar(market.calendar, start="2015-01-01", end="2016-01-01")
    after = market.sessions()
    assert np.array_equal(before, after)
    assert after[0] == np.datetime64(EPOCH)
    assert (after.astype("datetime64[Y]") == np.datetime64("2024")).sum() == in_2024


@pytest.mark.calendar
def test_a_process_that_lives_on_does_not_run_out_of_sessions() -> None:
    """Calendars are made once in a process."""
    now = dt.datetime.now(dt.UTC)
    for market in MARKETS.values():
        newest: dt.date = market.sessions()[-1].item()
        assert newest >= dt.date(now.year + markets.YEARS_AHEAD, 12, 29)
        assert market.open_time(newest) < market.close_time(newest)


def test_sessions_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        US.sessions()[0] = np.datetime64("2000-01-01")


def test_all_sessions_are_those_of_either_market_once() -> None:
    dates = all_sessions()
    assert (np.diff(dates).astype(int) > 0).all()
    assert set(dates.tolist()) == set(US.sessions().tolist()) | set(EURONEXT.sessions().tolist())


def test_an_unknown_market_is_answered_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"there is no market 'us': choose one of US, EURONEXT"):
        market_named("us")
