"""Asset checks of daily bars.

What belongs here: what counts as a violation in a single bar, or in the bars of a session.
Kept elsewhere: how deliveries are reconciled (`deliveries.py`), bars as time series (`series.py`), 15m bars
(`bars_15m.py`), why a row is rejected (`quality/contract.py`).
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.deliveries import (
    count_rejected_rows,
    count_unaccounted_files,
    reconcile_deliveries,
)
from boursomatic_assets.checks.findings.counting import (
    DAILY_BARS,
    WITHOUT_INSTRUMENT,
    count_duplicates,
    count_violations,
)
from boursomatic_assets.checks.invariant import MAX_NAMED, Finding, invariant, on_sessions
from boursomatic_assets.tables.staging import bounds


@invariant("price_bars")
def one_bar_per_instrument_and_session(connection: Connection, part: Slice) -> Finding:
    """No instrument has two bars of one interval at one time, and a unique index enforces it."""
    index = "idx_price_bars_instrument_ts_interval"
    return count_duplicates(connection, index, DAILY_BARS, "t.instrument_id, t.ts, t.interval", part)


@invariant("price_bars")
def prices_are_sane(connection: Connection, part: Slice) -> Finding:
    """Prices are positive and finite, high is the highest, low the lowest, and volume is not negative."""
    return count_impossible_bars(connection, DAILY_BARS, part)


def count_impossible_bars(connection: Connection, bars: str, part: Slice) -> Finding:
    """A finding with one error for each bar, of those that a `FROM` clause selects, with impossible values."""
    prices_positive = " AND ".join(f"t.{price} > 0 AND t.{price} < 'Infinity'" for price in "ohlc")
    prices_ordered = "t.h >= greatest(t.o, t.c, t.l) AND t.l <= least(t.o, t.c)"
    possible = f"{prices_positive} AND {prices_ordered} AND t.v >= 0 AND t.v < 'Infinity'"
    return count_violations(connection, f"{bars} AND NOT ({possible})", bounds(part), part)


@invariant("price_bars")
def bars_have_their_instrument(connection: Connection, part: Slice) -> Finding:
    """Every bar belongs to an instrument that exists."""
    return count_violations(connection, f"{DAILY_BARS} AND {WITHOUT_INSTRUMENT}", bounds(part), part)


@invariant("price_bars")
def bars_are_on_sessions(connection: Connection, part: Slice) -> Finding:
    """Every bar has the time 00:00 of a date on which its market traded."""
    parameters = {**bounds(part), "sessions": list(part.sessions)}
    return count_violations(connection, f"{DAILY_BARS} AND t.ts <> ALL(:sessions)", parameters, part)


@invariant("price_bars", blocking=False)
def every_tracked_instrument_has_its_bar(connection: Connection, part: Slice) -> Finding:
    """Every tracked instrument has a bar for each session since its first bar."""
    by_session = connection.execute(
        text(
            "SELECT s.ts::date AS session, count(*)::int AS expected, count(t.id)::int AS present,"
            f" (array_agg(i.symbol ORDER BY i.symbol) FILTER (WHERE t.id IS NULL))[1:{MAX_NAMED}] AS missing"
            " FROM unnest(CAST(:sessions AS timestamp[])) AS s(ts)"
            " JOIN instruments i ON i.exchange = ANY(:exchanges)"
            " JOIN LATERAL (SELECT min(ts) AS first, max(ts) AS last FROM price_bars b"
            "   WHERE b.instrument_id = i.id AND b.interval = 'daily') life"
            "   ON life.first <= s.ts AND (i.is_active OR life.last >= s.ts)"
            " LEFT JOIN price_bars t ON t.instrument_id = i.id AND t.ts = s.ts AND t.interval = 'daily'"
            " GROUP BY 1 ORDER BY 1"
        ),
        {**bounds(part), "sessions": list(part.sessions)},
    ).all()
    market = part.market.name
    missing = [
        {"market": market, "session": row.session, "symbol": symbol}
        for row in by_session
        for symbol in row.missing or ()
    ]
    figures = {
        "expected": sum(row.expected for row in by_session),
        "present": sum(row.present for row in by_session),
        "missing": missing,
    }
    absent = {row.session: row.expected - row.present for row in by_session}
    return on_sessions(market, warnings=absent, figures=figures)


@invariant("price_bars")
def every_delivered_row_is_accounted_for(connection: Connection, part: Slice) -> Finding:
    """Delivered rows = kept + merged + rejected, and the tables hold as many bars and rejected rows as logged.

    A delivery without any kept row leaves the existing bars untouched. A delivery that is known to be incomplete
    leaves the bars of the missing instruments untouched, and all bars if a file could not be parsed.
    """
    return reconcile_deliveries(connection, "daily", part)


@invariant("price_bars")
def every_line_of_a_file_is_accounted_for(connection: Connection) -> Finding:
    """Lines of a file = delivered + header + blank + comments + footer, for every file that was read.

    A file that was passed over, or that has a problem, was not read; it is counted.
    """
    return count_unaccounted_files(connection)


@invariant("price_bars", blocking=False)
def no_row_was_refused(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No row delivered for these sessions was rejected, and every delivered file could be parsed.

    Rejected rows are counted by reason, and the first 20 are listed, where rows of one file and reason stand
    behind the first of them; `rejected_bars` has all of them. A row without a readable time counts for each
    session. The check passes again after a valid delivery.
    """
    return count_rejected_rows(connection, "daily", parts)
