"""Asset checks of 15m bars: the promises that daily bars keep too, and that both tell the same.

What belongs here: what is counted as a breach. Kept elsewhere: what both intervals share (`checks_of_bars.py`).
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.checks.bars import QUARTERS, accounted_for, refused, sane
from boursomatic_assets.checks.check import Finding, count, invariant, unique
from boursomatic_assets.stores import archive_files
from boursomatic_assets.tables import archive
from boursomatic_assets.tables.staging import bounds

TOLERANCE = 0.01
"""By how much a day's 15m bars may differ from its daily bar: vendors leave auctions out of one of them."""


@invariant("price_bars_15m")
def one_bar_per_instrument_and_quarter(connection: Connection, part: Slice) -> Finding:
    """No instrument has two 15m bars at one time, and a unique index guards it."""
    index = "idx_price_bars_instrument_ts_interval"
    return unique(connection, index, QUARTERS, "t.instrument_id, t.ts, t.interval", bounds(part))


@invariant("price_bars_15m")
def prices_of_quarters_are_sane(connection: Connection, part: Slice) -> Finding:
    """Prices are positive and finite, high is the highest, low the lowest, and volume is not negative."""
    return sane(connection, QUARTERS, part)


@invariant("price_bars_15m")
def every_delivered_quarter_is_accounted_for(connection: Connection, part: Slice) -> Finding:
    """Rows that came = kept + merged + rejected, and the tables hold as many bars and refusals as were counted.

    What was archived is in the archive, and none of it is in the table, or all of it: `boursomatic restore`
    completes it.
    """
    return accounted_for(connection, "15m", part, archive_files.counts(part))


@invariant("price_bars_15m", blocking=False)
def no_quarter_was_refused(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No 15m row that came for these sessions broke a rule, no file is left that cannot be understood.

    Counted by the rule, the first 20 by name; `rejected_bars` has all of them.
    """
    return refused(connection, "15m", parts)


@invariant("price_bars_15m", blocking=False)
def quarters_are_complete(connection: Connection, part: Slice) -> Finding:
    """Every instrument with a 15m bar in a session has one for each of its quarters of an hour.

    A quarter for which less than half of a session's instruments have a bar is an outage of the vendor.
    """
    found = connection.execute(
        text(
            "WITH hours AS (SELECT * FROM unnest(CAST(:opens AS timestamp[]), CAST(:closes AS timestamp[]))"
            "   AS h(opens, closes)),"
            " bars AS (SELECT h.opens, t.ts, t.instrument_id FROM hours h"
            "   JOIN price_bars t ON t.ts >= h.opens AND t.ts < h.closes AND t.interval = '15m'"
            "   JOIN instruments i ON i.id = t.instrument_id AND i.exchange = ANY(:exchanges)),"
            " quarters AS (SELECT h.opens, q.ts FROM hours h CROSS JOIN LATERAL"
            "   generate_series(h.opens, h.closes - interval '1 second', interval '15 minutes') AS q(ts)),"
            " wanted AS (SELECT opens, count(*) AS n FROM quarters GROUP BY opens),"
            " held AS (SELECT opens, count(*) AS n FROM bars GROUP BY opens, instrument_id),"
            " traded AS (SELECT opens, count(*) AS n FROM held GROUP BY opens),"
            " seen AS (SELECT opens, ts, count(*) AS n FROM bars GROUP BY opens, ts)"
            " SELECT (SELECT count(*) FROM held JOIN wanted USING (opens) WHERE held.n < wanted.n) AS incomplete,"
            " (SELECT coalesce(sum(wanted.n - held.n), 0)::int FROM held JOIN wanted USING (opens)) AS missing,"
            " (SELECT array_agg(ts ORDER BY ts) FROM quarters LEFT JOIN seen USING (opens, ts)"
            "   JOIN traded USING (opens) WHERE coalesce(seen.n, 0) * 2 < traded.n) AS out"
        ),
        bounds(part) | _hours(part),
    ).one()
    out = found.out or []
    at = [f"{time:%Y-%m-%d %H:%M}" for time in out]
    figures = {"missing": found.missing, "outages": len(out), "at": at}
    return Finding(warnings=found.incomplete, figures=figures)


@invariant("price_bars_15m", blocking=False)
def daily_and_15m_bars_agree(connection: Connection, part: Slice) -> Finding:
    """The first open, highest high, lowest low and last close of a session's 15m bars are its daily bar's.

    Within a hundredth; only sessions with all of their 15m bars are compared.
    """
    found = connection.execute(
        text(
            "WITH hours AS (SELECT * FROM unnest(CAST(:opens AS timestamp[]), CAST(:closes AS timestamp[]))"
            "   AS h(opens, closes)),"
            " days AS (SELECT h.opens, t.instrument_id, max(t.h) AS h, min(t.l) AS l,"
            "   (array_agg(t.o ORDER BY t.ts))[1] AS o, (array_agg(t.c ORDER BY t.ts DESC))[1] AS c"
            "   FROM hours h JOIN price_bars t ON t.ts >= h.opens AND t.ts < h.closes AND t.interval = '15m'"
            "   JOIN instruments i ON i.id = t.instrument_id AND i.exchange = ANY(:exchanges)"
            "   GROUP BY h.opens, h.closes, t.instrument_id"
            "   HAVING count(*) = ceil(extract(epoch FROM h.closes - h.opens) / 900))"
            " SELECT count(*) AS compared, count(*) FILTER (WHERE greatest("
            "   abs(q.o / d.o - 1), abs(q.h / d.h - 1), abs(q.l / d.l - 1), abs(q.c / d.c - 1)) > :tolerance)"
            "   AS apart"
            " FROM days q JOIN price_bars d ON d.instrument_id = q.instrument_id AND d.interval = 'daily'"
            "   AND d.ts = date_trunc('day', q.opens)"
        ),
        bounds(part) | _hours(part) | {"tolerance": TOLERANCE},
    ).one()
    return Finding(warnings=found.apart, figures={"compared": found.compared})


@invariant("archive_15m")
def nothing_is_kept_longer(connection: Connection) -> Finding:
    """No 15m bar is left in the table that should have been archived by now."""
    until = archive.overdue(dt.datetime.now(dt.UTC))
    return count(connection, "price_bars WHERE interval = '15m' AND ts < :until", {"until": until})


@invariant("archive_15m")
def no_session_is_lost(connection: Connection) -> Finding:
    """Every session of which 15m bars were ever kept has them in the table or in the archive."""
    kept = text("SELECT session FROM delivered_sessions WHERE interval = '15m' AND market = :market AND kept > 0")
    parts = [
        part
        for market in MARKETS.values()
        for part in slices_of(market, map(dt.datetime.date, connection.scalars(kept, {"market": market.name})))
    ]
    lost = [accounted_for(connection, "15m", part, archive_files.counts(part)).errors for part in parts]
    return Finding(errors=sum(lost))


def _hours(part: Slice) -> dict[str, object]:
    """When the sessions of a slice open and close, as bound parameters."""
    hours = [part.market.hours(session) for session in part.sessions]
    return {"opens": [opens for opens, _ in hours], "closes": [closes for _, closes in hours]}
