"""Markets: when each one trades, opens and closes, in naive UTC."""

import datetime as dt

import exchange_calendars
import numpy as np
import pytest
from frames_of import day

from boursomatic_assets import markets
from boursomatic_assets.markets import EPOCH, MARKETS, all_sessions, first_open, market_named

US, EURONEXT = MARKETS["US"], MARKETS["EURONEXT"]


def close(market: markets.Market, session: str) -> str:
    return f"{market.closes(day(session)):%H:%M}"


def test_an_early_close_is_known() -> None:
    assert (close(US, "2024-12-24"), close(EURONEXT, "2024-12-24")) == ("18:00", "13:05")
    assert (close(US, "2025-07-03"), close(EURONEXT, "2025-07-03")) == ("17:00", "15:30")


def test_a_day_of_mourning_closes_one_market_only() -> None:
    assert not US.is_session(day("2025-01-09"))
    assert EURONEXT.is_session(day("2025-01-09"))


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
    ],
)
def test_closes_follow_each_markets_own_clock(session: str, us: str, euronext: str) -> None:
    assert (close(US, session), close(EURONEXT, session)) == (us, euronext)


@pytest.mark.parametrize(
    ("date", "opens"),
    [
        ("2025-03-17", "2025-03-17 08:00"),  # Paris before New York
        ("2025-07-04", "2025-07-04 07:00"),  # Independence Day: Paris alone
        ("2025-04-21", "2025-04-21 13:30"),  # Easter Monday: New York alone
    ],
)
def test_the_first_open_is_that_of_the_markets_that_trade(date: str, opens: str) -> None:
    assert first_open(day(date)) == dt.datetime.fromisoformat(opens)


def test_instants_carry_no_time_zone() -> None:
    assert US.opens(day("2024-06-10")).tzinfo is US.closes(day("2024-06-10")).tzinfo is None


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
