"""How deliveries are reconciled with the tables, for bars of both intervals.

What belongs here: findings about the delivery log, about rejected rows, and about the lines of files.
Kept elsewhere: the checks that report them (`bars.py`, `bars_15m.py`), why a row is rejected
(`quality/contract.py`), how deliveries are logged (`tables/deliveries/`).
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.counting import count_violations
from boursomatic_assets.checks.findings.finding import MAX_NAMED, Finding, on_sessions
from boursomatic_assets.quality.contract import INCOMPLETE_REASONS
from boursomatic_assets.quality.delivery import ROW_COUNTS
from boursomatic_assets.tables.deliveries import files, rejected_rows
from boursomatic_assets.tables.staging import bounds

ASSET_BY_INTERVAL = {"daily": "price_bars", "15m": "price_bars_15m"}

REJECTED_ROWS = "rejected_bars r WHERE r.market = :market AND r.interval = :interval"

BARS_BY_SESSION = (
    f"(WITH named AS MATERIALIZED (SELECT r.session, r.raw->>'symbol' AS symbol FROM {REJECTED_ROWS}"
    " AND r.reason = ANY(:incomplete)), undelivered AS MATERIALIZED (TABLE named UNION"
    " SELECT n.session, i.symbol FROM named n JOIN instrument_aliases a USING (symbol)"
    " JOIN instruments i ON i.id = a.instrument_id)"
    " SELECT d.dates[width_bucket(b.ts, d.dates)] AS session, count(*) AS n,"
    " count(*) FILTER (WHERE EXISTS (SELECT FROM undelivered u"
    "   WHERE u.session IS NULL OR u.session <= b.ts AND coalesce(u.symbol, i.symbol) = i.symbol)) AS excused"
    " FROM (SELECT CAST(:dates AS timestamp[]) AS dates) d, price_bars b"
    " JOIN instruments i ON i.id = b.instrument_id WHERE b.interval = :interval"
    " AND b.ts >= :start AND b.ts < :end AND i.exchange = ANY(:exchanges) GROUP BY 1)"
)
"""The bars of each session (`n`), and how many of them the delivery may have left untouched (`excused`): those of
an instrument that was not delivered under one of its names, or all of them if a file could not be parsed."""

COUNTED_DELIVERIES = (
    f"delivered_sessions d LEFT JOIN {BARS_BY_SESSION} h ON h.session = d.session"
    f" LEFT JOIN (SELECT session, count(*) AS n FROM {REJECTED_ROWS} GROUP BY 1) r"
    "   ON r.session IS NOT DISTINCT FROM d.session"
    " LEFT JOIN unnest(CAST(:moved AS timestamp[]), CAST(:bars AS int[])) AS a(session, n)"
    "   ON a.session = d.session"
    " WHERE d.market = :market AND d.interval = :interval"
    " AND (d.session IS NULL OR d.session >= :start AND d.session < :end)"
)
"""The delivery of each session (d), with the bars (h), rejected rows (r) and archived bars (a) that exist."""

MISMATCH = (
    "d.delivered <> d.kept + d.merged + d.rejected OR d.rejected <> coalesce(r.n, 0) OR h.n < a.n"
    " OR d.kept > 0 AND (d.kept > coalesce(h.n, a.n, 0) OR a.n IS NULL AND d.kept < h.n - h.excused)"
)
"""Whether a delivery (d) differs from the bars (h), rejected rows (r) and archived bars (a) of its session."""


def count_rejected_rows(connection: Connection, interval: str, parts: Sequence[Slice]) -> Finding:
    """A finding with one warning for each rejected row of some slices, counts by reason, and the first rows."""
    slices = "unnest(CAST(:markets AS text[]), CAST(:starts AS timestamp[]), CAST(:ends AS timestamp[]))"
    in_slices = (
        f"r.interval = :interval AND EXISTS (SELECT FROM {slices} AS p(market, since, until)"
        " WHERE p.market = r.market AND (r.session IS NULL OR r.session >= p.since AND r.session < p.until))"
    )
    parameters = {
        "interval": interval,
        "markets": [part.market.name for part in parts],
        "starts": [part.start for part in parts],
        "ends": [part.end for part in parts],
    }
    by_reason = text(
        "SELECT reason, market, session::date, count(*)::int AS n FROM rejected_bars r"
        f" WHERE {in_slices} GROUP BY 1, 2, 3"
    )
    reasons, sessions = Counter[str](), defaultdict[str, Counter[dt.date | None]](Counter)
    for row in connection.execute(by_reason, parameters):
        reasons[row.reason] += row.n
        sessions[row.market][row.session] += row.n
    described = rejected_rows.describe(connection, in_slices, parameters, MAX_NAMED) if reasons else []
    counts = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    found = sum((on_sessions(market, warnings=dates) for market, dates in sorted(sessions.items())), Finding())
    return found + Finding(figures={**counts, "refused": described})


def count_unaccounted_files(connection: Connection) -> Finding:
    """A finding with one error for each file that was read and whose lines do not add up, and how many were read.

    A file with a problem is none of them: it has a rejected row that says so.
    """
    totals = files.totals(connection)
    figures = {name: totals[name] for name in ("read", "lines", "not_understood", "passed_over")}
    unbalanced = files.describe_unbalanced(connection, MAX_NAMED) if totals["unbalanced"] else []
    return Finding(errors=totals["unbalanced"], figures={**figures, "unaccounted": unbalanced})


def reconcile_deliveries(
    connection: Connection, interval: str, part: Slice, archived: Mapping[dt.date, int] | None = None
) -> Finding:
    """A finding with one error for each session whose delivery differs from the tables, and the row counts.

    Args:
        connection: An open connection.
        interval: `daily` or `15m`.
        part: The slice whose sessions are reconciled.
        archived: Archived bars by session. Such a session has no bars in the table, or all of them.
    """
    archived = archived or {}
    parameters = {
        **bounds(part),
        "market": part.market.name,
        "interval": interval,
        "asset": ASSET_BY_INTERVAL[interval],
        "dates": list(part.dates),
        "incomplete": list(INCOMPLETE_REASONS),
        "moved": list(archived),
        "bars": list(archived.values()),
    }
    sum_columns = ", ".join(f"coalesce(sum(d.{name}), 0)::int AS {name}" for name in ROW_COUNTS)
    figures = (
        connection.execute(text(f"SELECT {sum_columns} FROM {COUNTED_DELIVERIES}"), parameters).one()._asdict()
    )
    mismatches = count_violations(
        connection, f"{COUNTED_DELIVERIES} AND ({MISMATCH})", parameters, part, "d.session"
    )
    unlogged = count_violations(connection, _sessions_without_delivery(), parameters, part, "s.session")
    return mismatches + unlogged + Finding(figures=figures)


def _sessions_without_delivery() -> str:
    """A subquery: sessions with rejected rows, or with bars that a run wrote, without a logged delivery.

    Rows older than the delivery log are exempt: no run is recorded for them, or a migration rejected them.
    """
    written = (
        "SELECT FROM computed_sessions c WHERE c.asset = :asset AND c.market = :market AND c.session = h.session"
        " AND c.computed_at < c.changed_at"
    )
    rejected = (
        f"SELECT r.session FROM {REJECTED_ROWS} AND r.source NOT LIKE 'migration %'"
        " AND (r.session IS NULL OR r.session >= :start AND r.session < :end)"
    )
    delivered = (
        "SELECT FROM delivered_sessions d WHERE d.market = :market AND d.interval = :interval"
        " AND d.session IS NOT DISTINCT FROM s.session"
    )
    sessions = f"SELECT h.session FROM {BARS_BY_SESSION} h WHERE EXISTS ({written}) UNION {rejected}"
    return f"({sessions}) s WHERE NOT EXISTS ({delivered})"
