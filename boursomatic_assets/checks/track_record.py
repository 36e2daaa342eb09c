"""Asset checks of the track record: recommendations are scored once, when due, and in agreement with the bars.

What belongs here: what counts as a violation in `track_record`, computed in SQL, independently of
`advice/outcomes.py`.
Kept elsewhere: how a recommendation is scored (`advice/outcomes.py`).
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection

from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks._counting import (
    JOIN_INSTRUMENTS,
    OF_SLICE,
    count_duplicates,
    count_stale_sessions,
    count_violations,
)
from boursomatic_assets.checks.invariant import Finding, invariant
from boursomatic_assets.learning.labels import PRICE_BREAK
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.staging import bounds

TRACK_RECORD_ROWS = f"track_record t {JOIN_INSTRUMENTS} WHERE {OF_SLICE}"

NUMBERED_SESSIONS = "unnest(CAST(:sessions AS timestamp[])) WITH ORDINALITY"
DUE_RECOMMENDATIONS = (
    "recommendations r JOIN instruments i ON i.id = r.instrument_id AND i.exchange = ANY(:exchanges)"
    f" JOIN {NUMBERED_SESSIONS} AS b(session, place) ON b.session = date_trunc('day', r.as_of)"
    f" JOIN {NUMBERED_SESSIONS} AS e(session, place) ON e.place = b.place + r.horizon_days"
    " WHERE r.superseded_at IS NULL AND r.as_of >= :first AND e.session >= :start AND e.session <> ALL(:stale)"
)
"""Current recommendations (r) whose horizon begins (b) and ends (e) in `:sessions`, and ends in the slice."""

DAILY_BAR = "LEFT JOIN price_bars {0} ON {0}.instrument_id = t.instrument_id AND {0}.interval = 'daily' AND {0}.ts"
LAST_CLOSE = (
    "coalesce(ended.c, (SELECT x.c FROM price_bars x WHERE x.instrument_id = t.instrument_id"
    " AND x.interval = 'daily' AND x.ts < t.ts ORDER BY x.ts DESC LIMIT 1))"
)
PRICE_BREAKS = (
    "SELECT instrument_id, array_agg(ts) AS at FROM (SELECT instrument_id, ts,"
    " c / lag(c) OVER (PARTITION BY instrument_id ORDER BY ts) AS ratio"
    " FROM price_bars WHERE interval = 'daily' AND ts >= :first AND ts < :end) r"
    " WHERE ratio >= :break OR ratio <= 1 / :break GROUP BY instrument_id"
)
SCORES_WITH_BARS = (
    f"track_record t {JOIN_INSTRUMENTS} {DAILY_BAR.format('began')} = date_trunc('day', t.as_of)"
    f" {DAILY_BAR.format('ended')} = t.ts"
    f" LEFT JOIN ({PRICE_BREAKS}) broken ON broken.instrument_id = t.instrument_id WHERE {OF_SLICE}"
)
"""Scores (t) with the bars on which their horizon began and ended, and the instrument's price breaks (broken)."""


@invariant("track_record")
def all_due_advice_is_scored_once(connection: Connection, part: Slice) -> Finding:
    """Every current recommendation has one row on the session that ends its horizon, and no other has a row.

    Sessions whose recommendations or bars changed later, perhaps by a concurrent run, are left to
    `scores_follow_their_advice`.
    """
    sessions = list(part.looking_back(LONGEST_HORIZON).sessions)
    stale = _stale_sessions(connection, part)
    parameters = {**bounds(part), "sessions": sessions, "first": sessions[0], "stale": stale}
    same = "t.recommendation_id = r.id AND t.ts = e.session"
    unscored = f"{DUE_RECOMMENDATIONS} AND NOT EXISTS (SELECT FROM track_record t WHERE {same})"
    due = f"EXISTS (SELECT FROM {DUE_RECOMMENDATIONS} AND {same})"
    not_due = f"{TRACK_RECORD_ROWS} AND t.ts <> ALL(:stale) AND NOT {due}"
    return (
        count_violations(connection, unscored, parameters)
        + count_violations(connection, not_due, parameters)
        + count_duplicates(connection, "pk_track_record", TRACK_RECORD_ROWS, "t.recommendation_id", bounds(part))
    )


@invariant("track_record")
def scores_agree_with_the_bars(connection: Connection, part: Slice) -> Finding:
    """The realised return is that from the recommendation's close to the last close within the horizon.

    It is missing if a price break lies in between. Sessions whose recommendations or bars changed later are left
    to `scores_follow_their_advice`.
    """
    differs = f"abs(t.realised_return_pct - ({LAST_CLOSE} / began.c - 1) * 100) > 1e-9"
    breaks = "EXISTS (SELECT FROM unnest(broken.at) AS at WHERE at > t.as_of AND at <= t.ts)"
    one_sided = f"(t.realised_return_pct IS NULL) <> (began.c IS NULL OR {breaks})"
    first, stale = part.looking_back(LONGEST_HORIZON).start, _stale_sessions(connection, part)
    parameters = {**bounds(part), "first": first, "break": PRICE_BREAK, "stale": stale}
    violations = f"{SCORES_WITH_BARS} AND t.ts <> ALL(:stale) AND ({differs} OR {one_sided})"
    return count_violations(connection, violations, parameters)


@invariant("track_record")
def hits_are_what_was_advised(connection: Connection, part: Slice) -> Finding:
    """A hit is a label that equals the outcome; a stop or target is touched within the horizon, on BUY or SELL."""
    inconsistent = (
        "t.hit IS DISTINCT FROM (t.label = t.outcome) OR t.label = 'HOLD' AND t.first_touched IS NOT NULL"
        " OR NOT (t.touched_on > t.as_of AND t.touched_on <= t.ts)"
    )
    return count_violations(connection, f"{TRACK_RECORD_ROWS} AND ({inconsistent})", bounds(part))


@invariant("track_record", blocking=False)
def scores_follow_their_advice(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No recommendation or bar changed after the sessions that score it were computed."""
    return count_stale_sessions(connection, "track_record", parts)


def _stale_sessions(connection: Connection, part: Slice) -> list[dt.date]:
    """The sessions of a slice whose recommendations or bars changed after they were scored."""
    return staleness.stale_sessions(connection, "track_record", part)
