"""Asset checks of 15m bars and of their archive.

What belongs here: what counts as a violation in 15m bars, their agreement with daily bars, what is archived.
Kept elsewhere: how deliveries are reconciled (`deliveries.py`), which values no bar may have (`bars.py`), the
archive itself (`tables/archive/`).
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.checks.bars import count_impossible_bars
from boursomatic_assets.checks.deliveries import count_rejected_rows, reconcile_deliveries
from boursomatic_assets.checks.findings.counting import BARS_15M, count_duplicates, count_violations
from boursomatic_assets.checks.invariant import Finding, invariant, on_sessions
from boursomatic_assets.tables.archive import moving, reading
from boursomatic_assets.tables.staging import bounds

RELATIVE_TOLERANCE = 0.01
"""By how much a day's 15m bars may differ from its daily bar: vendors leave auctions out of one of them."""

SESSION_HOURS = """
    hours AS (
        SELECT * FROM unnest(CAST(:opens AS timestamp[]), CAST(:closes AS timestamp[])) AS h(opens, closes)
    )
"""

COMPLETENESS = f"""
WITH {SESSION_HOURS}, bars AS (
    SELECT h.opens, t.ts, t.instrument_id FROM hours h
    JOIN price_bars t ON t.ts >= h.opens AND t.ts < h.closes AND t.interval = '15m'
    JOIN instruments i ON i.id = t.instrument_id AND i.exchange = ANY(:exchanges)
), quarters AS (
    SELECT h.opens, q.ts FROM hours h CROSS JOIN LATERAL
        generate_series(h.opens, h.closes - interval '1 second', interval '15 minutes') AS q(ts)
), expected AS (
    SELECT opens, count(*) AS n FROM quarters GROUP BY opens
), present AS (
    SELECT opens, count(*) AS n FROM bars GROUP BY opens, instrument_id
), instruments_traded AS (
    SELECT opens, count(*) AS n FROM present GROUP BY opens
), bars_at AS (
    SELECT opens, ts, count(*) AS n FROM bars GROUP BY opens, ts
)
SELECT opens::date AS session, incomplete, missing, outages FROM (
    SELECT opens, count(*) FILTER (WHERE p.n < e.n)::int AS incomplete, sum(e.n - p.n)::int AS missing
    FROM present p JOIN expected e USING (opens) GROUP BY opens
) AS series FULL JOIN (
    SELECT opens, array_agg(ts ORDER BY ts) AS outages FROM quarters LEFT JOIN bars_at b USING (opens, ts)
    JOIN instruments_traded t USING (opens) WHERE coalesce(b.n, 0) * 2 < t.n GROUP BY opens
) AS of_vendor USING (opens) ORDER BY opens
"""
"""By session: incomplete series of an instrument, missing bars, and the times of the vendor's outages."""

DISAGREEMENTS = f"""
WITH {SESSION_HOURS}, days AS (
    SELECT h.opens, t.instrument_id, max(t.h) AS h, min(t.l) AS l,
        (array_agg(t.o ORDER BY t.ts))[1] AS o, (array_agg(t.c ORDER BY t.ts DESC))[1] AS c
    FROM hours h JOIN price_bars t ON t.ts >= h.opens AND t.ts < h.closes AND t.interval = '15m'
    JOIN instruments i ON i.id = t.instrument_id AND i.exchange = ANY(:exchanges)
    GROUP BY h.opens, h.closes, t.instrument_id
    HAVING count(*) = ceil(extract(epoch FROM h.closes - h.opens) / 900)
)
SELECT q.opens::date AS session, count(*)::int AS compared, count(*) FILTER (
    WHERE greatest(abs(q.o / d.o - 1), abs(q.h / d.h - 1), abs(q.l / d.l - 1), abs(q.c / d.c - 1)) > :tolerance
)::int AS apart
FROM days q JOIN price_bars d
    ON d.instrument_id = q.instrument_id AND d.interval = 'daily' AND d.ts = date_trunc('day', q.opens)
GROUP BY 1
"""
"""By session, how many days of 15m bars are compared with their daily bar, and how many differ by too much."""


@invariant("price_bars_15m")
def one_bar_per_instrument_and_quarter(connection: Connection, part: Slice) -> Finding:
    """No instrument has two 15m bars at one time, and a unique index enforces it."""
    index = "idx_price_bars_instrument_ts_interval"
    return count_duplicates(connection, index, BARS_15M, "t.instrument_id, t.ts, t.interval", part)


@invariant("price_bars_15m")
def prices_of_quarters_are_sane(connection: Connection, part: Slice) -> Finding:
    """Prices are positive and finite, high is the highest, low the lowest, and volume is not negative."""
    return count_impossible_bars(connection, BARS_15M, part)


@invariant("price_bars_15m")
def every_delivered_quarter_is_accounted_for(connection: Connection, part: Slice) -> Finding:
    """Delivered rows = kept + merged + rejected, and the tables hold as many bars and rejected rows as logged.

    Bars of an archived session are in the archive, and none or all of them are in the table as well:
    `boursomatic archive restore` completes a session of which only some are.
    """
    return reconcile_deliveries(connection, "15m", part, reading.bar_counts(part))


@invariant("price_bars_15m", blocking=False)
def no_quarter_was_refused(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No 15m row delivered for these sessions was rejected, and every delivered file could be parsed.

    Rejected rows are counted by reason, and the first 20 are listed, where rows of one file and reason stand
    behind the first of them; `rejected_bars` has all of them.
    """
    return count_rejected_rows(connection, "15m", parts)


@invariant("price_bars_15m", blocking=False)
def quarters_are_complete(connection: Connection, part: Slice) -> Finding:
    """Every instrument with a 15m bar in a session has all 15m bars of that session.

    A time at which fewer than half of the session's instruments have a bar is counted as an outage of the vendor.
    """
    found = connection.execute(text(COMPLETENESS), bounds(part) | _session_hours(part)).all()
    market = part.market.name
    at = [
        {"market": market, "session": row.session, "time": f"{time:%Y-%m-%d %H:%M}"}
        for row in found
        for time in row.outages or ()
    ]
    figures = {"missing": sum(row.missing or 0 for row in found), "outages": len(at), "at": at}
    return on_sessions(market, warnings={row.session: row.incomplete or 0 for row in found}, figures=figures)


@invariant("price_bars_15m", blocking=False)
def daily_and_15m_bars_agree(connection: Connection, part: Slice) -> Finding:
    """A session's 15m bars have the open, high, low and close of its daily bar, within one percent.

    Only sessions with all of their 15m bars are compared.
    """
    parameters = bounds(part) | _session_hours(part) | {"tolerance": RELATIVE_TOLERANCE}
    found = connection.execute(text(DISAGREEMENTS), parameters).all()
    figures = {"compared": sum(row.compared for row in found)}
    return on_sessions(part.market.name, warnings={row.session: row.apart for row in found}, figures=figures)


@invariant("archive_15m")
def nothing_is_kept_longer(connection: Connection) -> Finding:
    """No 15m bar in the table is overdue for archiving."""
    until = moving.first_allowed_date(dt.datetime.now(dt.UTC))
    return count_violations(connection, "price_bars WHERE interval = '15m' AND ts < :until", {"until": until})


@invariant("archive_15m")
def no_session_is_lost(connection: Connection) -> Finding:
    """Every session with delivered 15m bars has them in the table or in the archive."""
    findings = [
        reconcile_deliveries(connection, "15m", part, reading.bar_counts(part))
        for market in MARKETS.values()
        for part in slices_of(market, _sessions_with_deliveries(connection, market))
    ]
    total = sum(findings, Finding())
    return Finding(total.errors, by_session=total.by_session)


def _sessions_with_deliveries(connection: Connection, market: Market) -> list[dt.date]:
    """Sessions of a market for which a delivery of 15m bars was kept."""
    query = "SELECT session FROM delivered_sessions WHERE interval = '15m' AND market = :market AND kept > 0"
    return [session.date() for session in connection.scalars(text(query), {"market": market.name})]


def _session_hours(part: Slice) -> dict[str, object]:
    """When the sessions of a slice open and close, as bound parameters."""
    hours = [part.market.trading_hours(session) for session in part.sessions]
    return {"opens": [opens for opens, _ in hours], "closes": [closes for _, closes in hours]}
