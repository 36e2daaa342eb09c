"""Asset checks of the track record: past advice is scored, once, and as the bars say.

What belongs here: what is counted as a breach there, worked out in SQL apart from `outcomes.py`.
Kept elsewhere: how Dagster runs and shows a promise (`promises.py`).
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, text

from boursomatic_assets import computed
from boursomatic_assets.checks import stale
from boursomatic_assets.checks_of_bars import BARS, MINE
from boursomatic_assets.learning.labels import BREAK
from boursomatic_assets.outcomes import LONGEST_HORIZON
from boursomatic_assets.promises import Finding, count, promise, unique
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import bounds

OF_SLICE = f"t.ts >= :start AND t.ts < :end AND {MINE}"
SCORES = f"track_record t WHERE {OF_SLICE}"

SESSIONS = "CAST(:sessions AS timestamp[])"
PLACE = f"width_bucket(date_trunc('day', r.as_of), {SESSIONS})"
DUE_BESIDE_SCORED = f"""
WITH rows AS (
    SELECT r.id, ({SESSIONS})[{PLACE} + r.horizon_days] AS ts, true AS due, false AS mine
    FROM recommendations r
    WHERE r.superseded_at IS NULL AND r.as_of >= :first AND ({SESSIONS})[{PLACE}] = date_trunc('day', r.as_of)
        AND (r.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE
    UNION ALL
    SELECT t.recommendation_id, t.ts, false, {MINE} FROM track_record t WHERE t.ts >= :start AND t.ts < :end
), keys AS (
    SELECT bool_or(due) AS due, count(*) FILTER (WHERE NOT due) AS scores, count(*) FILTER (WHERE mine) AS mine
    FROM rows WHERE ts >= :start AND ts <> ALL(:stale) GROUP BY id, ts
)
SELECT coalesce(sum(CASE WHEN due THEN (scores = 0)::int ELSE mine END), 0)::int FROM keys
"""
"""How much advice is due and has no score, and how many scores no advice is due for.

Both tables are counted together, as joined they are compared row by row if the statistics are wrong; IS TRUE keeps
PostgreSQL from making a join of the instruments.
"""

CLOSE = "SELECT x.c FROM price_bars x WHERE x.instrument_id = t.instrument_id AND x.interval = 'daily' AND x.ts"
DAY = "date_trunc('day', t.as_of)"
UNLIKE_THE_BARS = f"""
WITH bars AS MATERIALIZED (
    SELECT instrument_id, array_agg(ts ORDER BY ts) AS at, array_agg(c ORDER BY ts) AS closes,
        array_agg(ts) FILTER (WHERE ratio >= :break OR ratio <= 1 / :break) AS breaks
    FROM (
        SELECT instrument_id, ts, c, c / lag(c) OVER (PARTITION BY instrument_id ORDER BY ts) AS ratio
        FROM {BARS.replace(":start", ":first")}
    ) AS bars GROUP BY instrument_id
), scores AS MATERIALIZED (
    SELECT t.realised_return_pct AS said,
        coalesce(
            CASE WHEN b.at[width_bucket({DAY}, b.at)] = {DAY} THEN b.closes[width_bucket({DAY}, b.at)] END,
            ({CLOSE} = {DAY} LIMIT 1)
        ) AS began,
        coalesce(
            b.closes[width_bucket(t.ts, b.at)], ({CLOSE} <= t.ts ORDER BY x.ts DESC LIMIT 1)
        ) AS last,
        EXISTS (SELECT FROM unnest(b.breaks) AS at WHERE at > t.as_of AND at <= t.ts) AS broken
    FROM track_record t LEFT JOIN bars b ON b.instrument_id = t.instrument_id
    WHERE {OF_SLICE} AND t.ts <> ALL(:stale)
)
SELECT count(*) FROM scores
WHERE abs(said - (last / began - 1) * 100) > 1e-9 OR (said IS NULL) <> (began IS NULL OR broken)
"""
"""How many returns differ from those of the bars.

The closes are arrays in order of time, one row per instrument, and the place of a session is searched in them: a
join to every bar is as slow as its plan. What lies before the look-back is looked up in the table.
"""


@promise("track_record")
def all_due_advice_is_scored_once(connection: Connection, part: Slice) -> Finding:
    """Every advice that stands has one row on the session that ends its horizon, and no other advice has one.

    Sessions whose advice or bars changed since, by a run beside this one perhaps, are left to
    `scores_follow_their_advice`.
    """
    seen = list(part.looking_back(LONGEST_HORIZON).sessions)
    given = {**bounds(part), "sessions": seen, "first": seen[0], "stale": _stale(connection, part)}
    repeated = unique(connection, "pk_track_record", SCORES, "t.recommendation_id", bounds(part))
    return repeated + Finding(connection.execute(text(DUE_BESIDE_SCORED), given).scalar_one())


@promise("track_record")
def scores_agree_with_the_bars(connection: Connection, part: Slice) -> Finding:
    """The realised return runs from the close advised on to the last close within the horizon, if none breaks.

    Sessions whose advice or bars changed since are left to `scores_follow_their_advice`.
    """
    first = part.looking_back(LONGEST_HORIZON).start
    given = {**bounds(part), "first": first, "break": BREAK, "stale": _stale(connection, part)}
    return Finding(connection.execute(text(UNLIKE_THE_BARS), given).scalar_one())


@promise("track_record")
def hits_are_what_was_advised(connection: Connection, part: Slice) -> Finding:
    """A hit is a label that happened; a stop or target is touched after the advice and within its horizon."""
    wrong = (
        "t.hit IS DISTINCT FROM (t.label = t.outcome) OR t.label = 'HOLD' AND t.first_touched IS NOT NULL"
        " OR NOT (t.touched_on > t.as_of AND t.touched_on <= t.ts)"
    )
    return count(connection, f"{SCORES} AND ({wrong})", bounds(part))


@promise("track_record", blocking=False)
def scores_follow_their_advice(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No advice or bar changed after the sessions that it is scored on, or may be, were computed."""
    return stale(connection, "track_record", parts)


def _stale(connection: Connection, part: Slice) -> list[dt.date]:
    """The sessions of a slice that do not follow what they were scored from."""
    return computed.stale_sessions(connection, "track_record", part)
