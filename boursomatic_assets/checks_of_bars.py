"""Asset checks of what is delivered: instruments and bars.

What belongs here: what is counted as a breach there. Kept elsewhere: promises about what is computed from them
(`checks.py`), how Dagster runs and shows a promise (`promises.py`), why a row is refused (`contracts.py`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from boursomatic_assets import rejections
from boursomatic_assets.contracts import INCOMPLETE
from boursomatic_assets.delivered import OUTCOMES
from boursomatic_assets.markets import MARKETS
from boursomatic_assets.promises import SHOWN, Finding, count, promise, unique
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import bounds

ORPHANED = "t.instrument_id NOT IN (SELECT id FROM instruments)"
MINE = "t.instrument_id NOT IN (SELECT id FROM instruments WHERE exchange <> ALL(:exchanges))"
"""Rows of a market, and rows of no instrument: PostgreSQL hashes the ids once, and looks each row up.

A join is as slow as its plan: if the statistics say that a market has one instrument, it compares row by row.
"""

BARS = f"price_bars t WHERE t.interval = 'daily' AND t.ts >= :start AND t.ts < :end AND {MINE}"
QUARTERS = BARS.replace("'daily'", "'15m'")


# --- instruments


@promise("instruments")
def one_row_per_symbol_and_exchange(connection: Connection) -> Finding:
    """No symbol is listed twice on an exchange, and a unique index guards it."""
    return unique(connection, "uq_instruments_symbol_exchange", "instruments", "symbol, exchange")


@promise("instruments")
def exchanges_are_known(connection: Connection) -> Finding:
    """Every instrument's exchange belongs to one of the two markets."""
    known = [exchange for market in MARKETS.values() for exchange in market.exchanges]
    return count(connection, "instruments WHERE exchange <> ALL(:known)", {"known": known})


# --- price_bars


@promise("price_bars")
def one_bar_per_instrument_and_session(connection: Connection, part: Slice) -> Finding:
    """No instrument has two bars of one interval at one time, and a unique index guards it."""
    index = "idx_price_bars_instrument_ts_interval"
    return unique(connection, index, BARS, "t.instrument_id, t.ts, t.interval", bounds(part))


@promise("price_bars")
def prices_are_sane(connection: Connection, part: Slice) -> Finding:
    """Prices are positive and finite, high is the highest, low the lowest, and volume is not negative."""
    return sane(connection, BARS, part)


def sane(connection: Connection, bars: str, part: Slice) -> Finding:
    """A finding with one error for each of some bars that cannot be."""
    positive = " AND ".join(f"t.{price} > 0 AND t.{price} < 'Infinity'" for price in "ohlc")
    ordered = "t.h >= greatest(t.o, t.c, t.l) AND t.l <= least(t.o, t.c)"
    possible = f"{positive} AND {ordered} AND t.v >= 0 AND t.v < 'Infinity'"
    return count(connection, f"{bars} AND NOT ({possible})", bounds(part))


@promise("price_bars")
def bars_have_their_instrument(connection: Connection, part: Slice) -> Finding:
    """Every bar belongs to an instrument that exists."""
    return count(connection, f"{BARS} AND {ORPHANED}", bounds(part))


@promise("price_bars")
def bars_are_on_sessions(connection: Connection, part: Slice) -> Finding:
    """Every bar stands at 00:00 of a date on which its market traded."""
    return count(
        connection, f"{BARS} AND t.ts <> ALL(:sessions)", {**bounds(part), "sessions": list(part.sessions)}
    )


@promise("price_bars", blocking=False)
def every_tracked_instrument_has_its_bar(connection: Connection, part: Slice) -> Finding:
    """Every instrument that is tracked, and was listed by then, has a bar for each session."""
    expected, present, missing = connection.execute(
        text(
            "SELECT count(*), count(t.id), (array_agg(i.symbol || ' ' || s.ts::date ORDER BY s.ts, i.symbol)"
            f"   FILTER (WHERE t.id IS NULL))[1:{SHOWN}]"
            " FROM unnest(CAST(:sessions AS timestamp[])) AS s(ts)"
            " JOIN instruments i ON i.exchange = ANY(:exchanges)"
            " JOIN LATERAL (SELECT min(ts) AS first, max(ts) AS last FROM price_bars b"
            "   WHERE b.instrument_id = i.id AND b.interval = 'daily') life"
            "   ON life.first <= s.ts AND (i.is_active OR life.last >= s.ts)"
            " LEFT JOIN price_bars t ON t.instrument_id = i.id AND t.ts = s.ts AND t.interval = 'daily'"
        ),
        {**bounds(part), "sessions": list(part.sessions)},
    ).one()
    figures = {"expected": expected, "present": present, "missing": missing or []}
    return Finding(warnings=expected - present, figures=figures)


@promise("price_bars")
def every_delivered_row_is_accounted_for(connection: Connection, part: Slice) -> Finding:
    """Rows that came = kept + merged + rejected, and the tables hold as many bars and refusals as were counted.

    A delivery of which nothing was kept left the bars that were there as they were. One that was known to be
    incomplete left those of the instruments that did not come, and all if a file could not be understood.
    """
    return accounted_for(connection, "daily", part)


@promise("price_bars", blocking=False)
def no_row_was_refused(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No row that came for these sessions broke a rule, no file is left that cannot be understood.

    Counted by the rule, the first 20 by name; `rejected_bars` has all of them. What has no readable time belongs
    to each session. It passes again when the same is delivered in order.
    """
    return refused(connection, "daily", parts)


def refused(connection: Connection, interval: str, parts: Sequence[Slice]) -> Finding:
    """A finding with one warning for each refused row of some slices, their reasons, and the first names."""
    slices = "unnest(CAST(:markets AS text[]), CAST(:starts AS timestamp[]), CAST(:ends AS timestamp[]))"
    mine = (
        f"r.interval = :interval AND EXISTS (SELECT FROM {slices} AS p(market, since, until)"
        " WHERE p.market = r.market AND (r.session IS NULL OR r.session >= p.since AND r.session < p.until))"
    )
    given = {
        "interval": interval,
        "markets": [part.market.name for part in parts],
        "starts": [part.start for part in parts],
        "ends": [part.end for part in parts],
    }
    by_reason = text(
        f"SELECT reason, count(*) AS n FROM rejected_bars r WHERE {mine} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    reasons: dict[str, int] = {row.reason: row.n for row in connection.execute(by_reason, given)}
    names = rejections.named(connection, mine, given, SHOWN) if reasons else []
    return Finding(warnings=sum(reasons.values()), figures={**reasons, "refused": names})


ASSETS = {"daily": "price_bars", "15m": "price_bars_15m"}
REFUSALS = "rejected_bars r WHERE r.market = :market AND r.interval = :interval"
HELD = (
    f"(WITH undelivered AS MATERIALIZED (SELECT r.session, r.raw->>'symbol' AS symbol FROM {REFUSALS}"
    " AND r.reason = ANY(:incomplete)) SELECT d.dates[width_bucket(b.ts, d.dates)] AS session, count(*) AS n,"
    " count(*) FILTER (WHERE EXISTS (SELECT FROM undelivered u"
    "   WHERE u.session IS NULL OR u.session <= b.ts AND coalesce(u.symbol, i.symbol) = i.symbol)) AS excused"
    " FROM (SELECT CAST(:dates AS timestamp[]) AS dates) d, price_bars b"
    " JOIN instruments i ON i.id = b.instrument_id WHERE b.interval = :interval"
    " AND b.ts >= :start AND b.ts < :end AND i.exchange = ANY(:exchanges) GROUP BY 1)"
)
"""The bars of each session, and how many of them a delivery left as they were: those of an instrument that did not
come, or any if a file could not be understood."""

COUNTED = (
    f"delivered_sessions d LEFT JOIN {HELD} h ON h.session = d.session"
    f" LEFT JOIN (SELECT session, count(*) AS n FROM {REFUSALS} GROUP BY 1) r"
    "   ON r.session IS NOT DISTINCT FROM d.session"
    " LEFT JOIN unnest(CAST(:moved AS timestamp[]), CAST(:bars AS int[])) AS a(session, n)"
    "   ON a.session = d.session"
    " WHERE d.market = :market AND d.interval = :interval"
    " AND (d.session IS NULL OR d.session >= :start AND d.session < :end)"
)
"""What came of each session, with the bars (h), refusals (r) and archived bars (a) that there are."""


def accounted_for(
    connection: Connection, interval: str, part: Slice, archived: Mapping[dt.date, int] | None = None
) -> Finding:
    """A finding with one error for each session whose delivery is not what the tables hold, and the sums.

    A session of which so many bars are `archived` may have none in the table; if it has some, it has all.
    """
    archived = archived or {}
    given = {
        **bounds(part),
        "market": part.market.name,
        "interval": interval,
        "asset": ASSETS[interval],
        "dates": list(part.dates),
        "incomplete": list(INCOMPLETE),
        "moved": list(archived),
        "bars": list(archived.values()),
    }
    sums = ", ".join(f"coalesce(sum(d.{name}), 0)::int AS {name}" for name in OUTCOMES)
    figures = connection.execute(text(f"SELECT {sums} FROM {COUNTED}"), given).one()._asdict()
    wrong = (
        "d.delivered <> d.kept + d.merged + d.rejected OR d.rejected <> coalesce(r.n, 0) OR h.n < a.n"
        " OR d.kept > 0 AND (d.kept > coalesce(h.n, a.n, 0) OR a.n IS NULL AND d.kept < h.n - h.excused)"
    )
    breaches = count(connection, f"{COUNTED} AND ({wrong})", given) + count(connection, _uncounted(), given)
    return breaches + Finding(figures=figures)


def _uncounted() -> str:
    """The sessions with bars that a run wrote, or with refusals, of which no delivery is counted, as a subquery.

    What was there before deliveries were counted was written by no run that is known, or refused by a migration.
    """
    written = (
        "SELECT FROM computed_sessions c WHERE c.asset = :asset AND c.market = :market AND c.session = h.session"
        " AND c.computed_at < c.changed_at"
    )
    refused = (
        f"SELECT r.session FROM {REFUSALS} AND r.source NOT LIKE 'migration %'"
        " AND (r.session IS NULL OR r.session >= :start AND r.session < :end)"
    )
    delivered = (
        "SELECT FROM delivered_sessions d WHERE d.market = :market AND d.interval = :interval"
        " AND d.session IS NOT DISTINCT FROM s.session"
    )
    sessions = f"SELECT h.session FROM {HELD} h WHERE EXISTS ({written}) UNION {refused}"
    return f"({sessions}) s WHERE NOT EXISTS ({delivered})"
