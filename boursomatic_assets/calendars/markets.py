"""Markets: the two markets, their sessions and their clocks.

What belongs here: which exchanges a market has, when its sessions are, when they open and close.
Kept elsewhere: Dagster's view of the same dates (`orchestration/partitions.py`).

All instants are naive UTC; a session is named by its date.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np

from boursomatic_assets.arrays import Times
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.settings import EPOCH as EPOCH

YEARS_AHEAD = 5
"""Calendars reach at least so far beyond this year, so that no process that lives on runs out of one."""

SETTLEMENT_DELAY = dt.timedelta(hours=1)
"""After the close, until when vendors still change a session's bars: auctions, late trades, their own delay."""


@dataclass(frozen=True)
class Market:
    """One market: a set of exchanges that share a calendar and a clock."""

    name: str
    calendar: str
    timezone: str
    exchanges: tuple[str, ...]
    load_clock: dt.time
    """When a session is loaded, on the exchange's clock: 90 minutes after a regular close."""
    extended_hours: tuple[dt.time, dt.time] | None = None
    """From when to when is traded before the open and after the close, on the exchange's clock."""

    def sessions(self) -> Times:
        """All sessions from EPOCH to at least YEARS_AHEAD years from now, as sorted datetime64[D]."""
        return _sessions(self.calendar)

    def is_session(self, date: dt.date) -> bool:
        """Whether the market trades on this date."""
        return date in _session_dates(self.calendar)

    def open_time(self, session: dt.date) -> dt.datetime:
        """When the session opens, naive UTC."""
        return _to_naive_utc(_calendar(self.calendar).session_open(session.isoformat()))

    def close_time(self, session: dt.date) -> dt.datetime:
        """When the session closes, naive UTC; early closes included."""
        return _to_naive_utc(_calendar(self.calendar).session_close(session.isoformat()))

    def settle_time(self, session: dt.date) -> dt.datetime:
        """When the session's bars are final, naive UTC."""
        return self.close_time(session) + SETTLEMENT_DELAY

    def load_time(self, session: dt.date) -> dt.datetime:
        """When the session is loaded, naive UTC: after an early close at the same hour as on any day."""
        return self._at(session, self.load_clock)

    def sessions_loaded_by(self, moment: dt.datetime) -> list[dt.date]:
        """The sessions whose load time has come by a moment in naive UTC, in order."""
        sessions: list[dt.date] = self.sessions()[self.sessions() <= np.datetime64(moment, "D")].tolist()
        while sessions and self.load_time(sessions[-1]) > moment:
            sessions.pop()
        return sessions

    def trading_hours(self, session: dt.date, *, extended: bool = False) -> tuple[dt.datetime, dt.datetime]:
        """When trading begins and ends, naive UTC; with what is before the open and after the close, if asked."""
        if not (extended and self.extended_hours):
            return self.open_time(session), self.close_time(session)
        begin, end = self.extended_hours
        return self._at(session, begin), self._at(session, end)

    def _at(self, session: dt.date, clock: dt.time) -> dt.datetime:
        """An hour of the exchange's clock on a date, naive UTC."""
        return dt.datetime.combine(session, clock, ZoneInfo(self.timezone)).astimezone(dt.UTC).replace(tzinfo=None)


MARKETS = {
    market.name: market
    for market in (
        Market(
            "US",
            "XNYS",
            "America/New_York",
            ("NYSE", "NASDAQ", "NYSEMKT", "US"),
            dt.time(17, 30),
            extended_hours=(dt.time(4), dt.time(20)),
        ),
        Market("EURONEXT", "XPAR", "Europe/Paris", ("EURONEXT",), dt.time(19)),
    )
}


def market_named(name: str) -> Market:
    """The market of this name.

    Raises:
        ValueError: naming the markets that exist.
    """
    if name not in MARKETS:
        raise ValueError(f"there is no market {name!r}: choose one of {', '.join(MARKETS)}")
    return MARKETS[name]


@cache
def all_sessions() -> Times:
    """Dates on which at least one market trades, sorted datetime64[D]."""
    sessions: Times = np.unique(np.concatenate([market.sessions() for market in MARKETS.values()]))
    sessions.setflags(write=False)
    return sessions


def first_open(date: dt.date) -> dt.datetime:
    """The earliest open of any market on this date, naive UTC; the date must be a session of one."""
    return min(market.open_time(date) for market in MARKETS.values() if market.is_session(date))


def newest_closed_date() -> dt.date:
    """The newest date on which every market with a session has closed."""
    now = utc_now()
    past: list[dt.date] = all_sessions()[all_sessions() <= np.datetime64(now, "D")].tolist()
    return next(
        date
        for date in reversed(past)
        if all(market.close_time(date) <= now for market in MARKETS.values() if market.is_session(date))
    )


@cache
def _calendar(name: str) -> Any:
    """The exchange's calendar; its end stays the same for YEARS_AHEAD years, so processes see the same dates."""
    year = dt.datetime.now(dt.UTC).year
    end = dt.date(year - year % YEARS_AHEAD + 2 * YEARS_AHEAD - 1, 12, 31)
    return exchange_calendars.get_calendar(name, start=EPOCH.isoformat(), end=end.isoformat())


@cache
def _session_dates(name: str) -> frozenset[dt.date]:
    return frozenset(_sessions(name).tolist())


@cache
def _sessions(name: str) -> Times:
    sessions: Times = _calendar(name).sessions.values.astype("datetime64[D]")
    sessions.setflags(write=False)
    return sessions


def _to_naive_utc(instant: Any) -> dt.datetime:
    naive: dt.datetime = instant.tz_convert("UTC").tz_localize(None).to_pydatetime()
    return naive
