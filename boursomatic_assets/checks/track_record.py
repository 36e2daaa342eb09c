"""Asset checks of the track record: past advice is scored, once, and as the bars say.

What belongs here: what is counted as a breach there, worked out in SQL apart from `outcomes.py`.
Kept elsewhere: how Dagster runs and shows a promise (`promises.py`).
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection

from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks._counting import JOIN_INSTRUMENTS, IN_MARKET, count_violations, count_stale_sessions, count_duplicates
from boursomatic_assets.checks.invariant import Finding, invariant
from boursomatic_assets.learning.labels import PRICE_BREAK
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.staging import bounds

IN_SLICE = f"t.ts >= :start AND t.ts < :end AND {IN_MARKET}"
TRACK_RECORD_ROWS = f"track_record t {JOIN_INSTRUMENTS} WHERE {IN_SLICE}"


@invariant("track_record")
def all_due_advice_is_scored_once(connection: Connection, part: Slice) -> Finding:
    """Every advice that stands has one row on the session that ends its horizon, and no other advice has one.

    Sessions whose advice or bars changed since, by a run beside this one perhaps, are left to
    `scores_follow_their_advice`.
    """
    sessions = "unnest(CAST(:sessions AS timestamp[])) WITH ORDINALITY"
    due = (
        f"recommendations r JOIN instruments i ON i.id = r.instrument_id AND i.exchange = ANY(:exchanges)"
        f" JOIN {sessions} AS b(session, place) ON b.session = date_trunc('day', r.as_of)"
        f" JOIN {sessions} AS e(session, place) ON e.place = b.place + r.horizon_days"
        " WHERE r.superseded_at IS NULL AND r.as_of >= :first AND e.session >= :start"
        " AND e.session <> ALL(:stale)"
    )
    sessions_read = list(part.looking_back(LONGEST_HORIZON).sessions)
    parameters = {**bounds(part), "sessions": sessions_read, "first": sessions_read[0], "stale": _stale_sessions(connection, part)}
    scores_recommendation = "t.recommendation_id = r.id AND t.ts = e.session"
    unscored = f"{due} AND NOT EXISTS (SELECT FROM track_record t WHERE {scores_recommendation})"
    not_due = f"{TRACK_RECORD_ROWS} AND t.ts <> ALL(:stale) AND NOT EXISTS (SELECT FROM {due} AND {scores_recommendation})"
    return (
        count_violations(connection, unscored, parameters)
        + count_violations(connection, not_due, parameters)
        + count_duplicates(connection, "pk_track_record", TRACK_RECORD_ROWS, "t.recommendation_id", bounds(part))
    )


@invariant("track_record")
def scores_agree_with_the_bars(connection: Connection, part: Slice) -> Finding:
    """The realised return runs from the close advised on to the last close within the horizon, if none breaks.

    Sessions whose advice or bars changed since are left to `scores_follow_their_advice`.
    """
    bar = "LEFT JOIN price_bars {0} ON {0}.instrument_id = t.instrument_id AND {0}.interval = 'daily' AND {0}.ts"
    joined = f"{bar.format('began')} = date_trunc('day', t.as_of) {bar.format('ended')} = t.ts"
    earlier_bar = "x.instrument_id = t.instrument_id AND x.interval = 'daily' AND x.ts < t.ts"
    last_close = f"coalesce(ended.c, (SELECT x.c FROM price_bars x WHERE {earlier_bar} ORDER BY x.ts DESC LIMIT 1))"
    differs = f"abs(t.realised_return_pct - ({last_close} / began.c - 1) * 100) > 1e-9"
    ratios = (
        "SELECT instrument_id, ts, c / lag(c) OVER (PARTITION BY instrument_id ORDER BY ts) AS ratio"
        " FROM price_bars WHERE interval = 'daily' AND ts >= :first AND ts < :end"
    )
    broken = (
        f"LEFT JOIN (SELECT instrument_id, array_agg(ts) AS at FROM ({ratios}) r"
        " WHERE ratio >= :break OR ratio <= 1 / :break GROUP BY instrument_id) broken"
        " ON broken.instrument_id = t.instrument_id"
    )
    breaks = "EXISTS (SELECT FROM unnest(broken.at) AS at WHERE at > t.as_of AND at <= t.ts)"
    one_sided = f"(t.realised_return_pct IS NULL) <> (began.c IS NULL OR {breaks})"
    scores = f"track_record t {JOIN_INSTRUMENTS} {joined} {broken} WHERE {IN_SLICE}"
    first = part.looking_back(LONGEST_HORIZON).start
    parameters = {**bounds(part), "first": first, "break": PRICE_BREAK, "stale": _stale_sessions(connection, part)}
    return count_violations(connection, f"{scores} AND t.ts <> ALL(:stale) AND ({differs} OR {one_sided})", parameters)


@invariant("track_record")
def hits_are_what_was_advised(connection: Connection, part: Slice) -> Finding:
    """A hit is a label that happened; a stop or target is touched after the advice and within its horizon."""
    inconsistent = (
        "t.hit IS DISTINCT FROM (t.label = t.outcome) OR t.label = 'HOLD' AND t.first_touched IS NOT NULL"
        " OR NOT (t.touched_on > t.as_of AND t.touched_on <= t.ts)"
    )
    return count_violations(connection, f"{TRACK_RECORD_ROWS} AND ({inconsistent})", bounds(part))


@invariant("track_record", blocking=False)
def scores_follow_their_advice(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No advice or bar changed after the sessions that it is scored on, or may be, were computed."""
    return count_stale_sessions(connection, "track_record", parts)


def _stale_sessions(connection: Connection, part: Slice) -> list[dt.date]:
    """The sessions of a slice that do not follow what they were scored from."""
    return staleness.stale_sessions(connection, "track_record", part)
