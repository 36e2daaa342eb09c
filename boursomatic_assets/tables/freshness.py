"""Freshness: which of the newest closed sessions of a market are loaded, computed and advised.

What belongs here: the state of each due session, read from the tables alone, and how far a market is behind.
Kept elsewhere: when sessions are (`calendars/markets.py`), what is stale after a correction (`staleness.py`), who
asks for what is lacking (`automation/refill.py`).

The clock says which sessions are due, so nothing that is loaded or computed for earlier dates makes a market
fresh.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.quality.contract import INCOMPLETE_REASONS

State = Literal["complete", "incomplete", "provisional", "not loaded", "not computed", "not advised"]
"""Of a session. Incomplete: all was done with what came, but the source did not deliver some instruments."""

GRACE = dt.timedelta(hours=3)
"""After its load time, until when a session may be late without being behind."""

WINDOW = 60
"""The newest due sessions of a market that are looked at one by one: about a quarter of a year."""

MAX_NAMED = 5
"""Sessions that a sentence names; it counts all of them."""

_STATES = text("""
SELECT s.session::date AS session, CASE
    WHEN coalesce(d.kept, 0) = 0 THEN 'not loaded'
    WHEN d.provisional THEN 'provisional'
    WHEN f.computed_at IS NULL OR f.computed_at <= b.changed_at THEN 'not computed'
    WHEN r.computed_at IS NULL OR r.computed_at <= f.changed_at AND NOT EXISTS (
        SELECT FROM instruments i CROSS JOIN LATERAL (
            SELECT FROM recommendations p
            WHERE p.instrument_id = i.id AND p.profile = 'moderate' AND p.superseded_at IS NULL
                AND p.as_of >= s.session AND p.as_of < s.session + interval '1 day' LIMIT 1
        ) p WHERE i.exchange = ANY(:exchanges)
    ) THEN 'not advised'
    WHEN EXISTS (
        SELECT FROM rejected_bars x WHERE x.market = :market AND x.session = s.session AND x.interval = 'daily'
        AND x.reason = ANY(:incomplete)
    ) THEN 'incomplete'
    ELSE 'complete' END AS state
FROM unnest(CAST(:sessions AS timestamp[])) AS s(session)
LEFT JOIN delivered_sessions d ON d.market = :market AND d.interval = 'daily' AND d.session = s.session
LEFT JOIN computed_sessions b ON (b.asset, b.market, b.session) = ('price_bars', :market, s.session)
LEFT JOIN computed_sessions f ON (f.asset, f.market, f.session) = ('features', :market, s.session)
LEFT JOIN computed_sessions r ON (r.asset, r.market, r.session) = ('recommendations', :market, s.session)
ORDER BY 1
""")
"""Published advice stands when its features are computed again; what was computed from no bars at all is none.

LATERAL with LIMIT looks each instrument up in an index, whatever the statistics.
"""

_ENDS = text(
    "SELECT min(session)::date, max(session)::date FROM delivered_sessions"
    " WHERE market = :market AND interval = 'daily' AND kept > 0"
)


@dataclass(frozen=True)
class Freshness:
    """How far a market is with the sessions that are due.

    Attributes:
        market: The market.
        states: The state of each of the newest due sessions, in order, from the first that was ever loaded on.
        behind: Due sessions after the newest that is complete, or as complete as its source allows.
        newest: That session; None if it lies before `states`, or there is none.
        loaded_until: The newest session that is loaded at all; None if nothing is.
    """

    market: Market
    states: Mapping[dt.date, State]
    behind: int
    newest: dt.date | None
    loaded_until: dt.date | None

    @property
    def lacking(self) -> dict[dt.date, State]:
        """The sessions that are not done, gaps before the newest included, in order."""
        return {session: state for session, state in self.states.items() if not _is_done(state)}

    @property
    def fresh(self) -> bool:
        """Whether nothing that is due is lacking; a market of which nothing was ever loaded is not."""
        return self.loaded_until is not None and not self.behind and not self.lacking

    def __str__(self) -> str:
        name = self.market.name
        if self.loaded_until is None:
            return f"{name} has no loaded session yet"
        gaps = {session: state for session, state in self.lacking.items() if self.newest and session < self.newest}
        late = {session: state for session, state in self.lacking.items() if session not in gaps}
        if self.behind:
            sentence = f"{name} is {_count(self.behind)} behind: {_name(late, self.behind)}"
        else:
            sentence = f"{name} is up to date" + (f" with {self.newest}" if self.newest else "")
        return sentence + (f"; {_count(len(gaps), 'earlier ')} lacking: {_name(gaps, len(gaps))}" if gaps else "")


def read_freshness(
    connection: Connection, market: Market, now: dt.datetime, grace: dt.timedelta = GRACE
) -> Freshness:
    """How far a market is at a moment.

    Args:
        connection: An open connection.
        market: The market.
        now: The moment, naive UTC.
        grace: How long after its load time a session becomes due.
    """
    due = market.sessions_loaded_by(now - grace)
    first, last = connection.execute(_ENDS, {"market": market.name}).one()
    if first is None:
        return Freshness(market, {}, 0, None, None)
    states = _read_states(connection, market, [session for session in due[-WINDOW:] if session >= first])
    done = [session for session, state in states.items() if _is_done(state)]
    newest = done[-1] if done else None
    since = newest or min(last, max(first - dt.timedelta(1), due[-WINDOW - 1]))
    return Freshness(market, states, sum(session > since for session in due), newest, last)


def _read_states(connection: Connection, market: Market, sessions: Sequence[dt.date]) -> dict[dt.date, State]:
    given = {
        "market": market.name,
        "exchanges": list(market.exchanges),
        "incomplete": list(INCOMPLETE_REASONS),
        "sessions": list(sessions),
    }
    return {row.session: row.state for row in connection.execute(_STATES, given)}


def _is_done(state: State) -> bool:
    return state in ("complete", "incomplete")


def _count(number: int, kind: str = "") -> str:
    return f"{number:,} {kind}session{'' if number == 1 else 's'}"


def _name(sessions: Mapping[dt.date, State], count: int) -> str:
    """Such as `2024-02-28 not loaded, 2024-02-29 provisional`; of many the newest, and how many are older."""
    named = [f"{session} {state}" for session, state in list(sessions.items())[-MAX_NAMED:]]
    return ", ".join(named) + (f" and {count - len(named):,} older" if count > len(named) else "")
