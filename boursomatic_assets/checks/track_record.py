"""Asset checks of the track record: recommendations are scored once, when due, and in agreement with the bars.

What belongs here: what counts as a violation in `track_record`, computed in SQL, independently of
`advice/outcomes.py`.
Kept elsewhere: how a recommendation is scored (`advice/outcomes.py`).
"""

import datetime as dt
from collections.abc import Sequence

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.arrays import KEY
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.counting import (
    DAILY_BARS,
    IN_MARKET,
    OF_SLICE,
    count_duplicates,
    count_stale_sessions,
    count_violations,
    counts_of,
)
from boursomatic_assets.checks.invariant import Finding, invariant, on_sessions
from boursomatic_assets.features.price_basis import LOOKBACK, find_changes
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.staging import bounds

TRACK_RECORD_ROWS = f"track_record t WHERE {OF_SLICE}"

SESSIONS = "CAST(:sessions AS timestamp[])"
PLACE = f"width_bucket(date_trunc('day', r.as_of), {SESSIONS})"
DUE_BESIDE_SCORED = f"""
WITH rows AS (
    SELECT r.id, ({SESSIONS})[{PLACE} + r.horizon_days] AS ts, true AS due, false AS in_market
    FROM recommendations r
    WHERE r.superseded_at IS NULL AND r.as_of >= :first AND ({SESSIONS})[{PLACE}] = date_trunc('day', r.as_of)
        AND (r.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE
    UNION ALL
    SELECT t.recommendation_id, t.ts, false, {IN_MARKET} FROM track_record t WHERE t.ts >= :start AND t.ts < :end
), keys AS (
    SELECT ts, bool_or(due) AS due, count(*) FILTER (WHERE NOT due) AS scores,
        count(*) FILTER (WHERE in_market) AS scores_in_market
    FROM rows WHERE ts >= :start AND ts <> ALL(:stale) GROUP BY id, ts
)
SELECT ts::date, sum(CASE WHEN due THEN (scores = 0)::int ELSE scores_in_market END)::int FROM keys GROUP BY 1
"""
"""By session, how many recommendations are due and have no score, plus how many scores are of none that is due.

Both tables are counted together: joined, they are compared row by row if the statistics are wrong. IS TRUE keeps
PostgreSQL from making a join of the instruments.
"""

CLOSE = "SELECT x.c FROM price_bars x WHERE x.instrument_id = t.instrument_id AND x.interval = 'daily' AND x.ts"
DAY = "date_trunc('day', t.as_of)"
UNLIKE_THE_BARS = f"""
WITH bars AS MATERIALIZED (
    SELECT t.instrument_id, array_agg(t.ts ORDER BY t.ts) AS times, array_agg(t.c ORDER BY t.ts) AS closes
    FROM {DAILY_BARS.replace(":start", ":first")} GROUP BY t.instrument_id
), changes AS MATERIALIZED (
    SELECT instrument_id, array_agg(ts) AS times
    FROM unnest(CAST(:changed AS uuid[]), CAST(:changed_on AS timestamp[])) AS changed(instrument_id, ts)
    GROUP BY instrument_id
), merged AS MATERIALIZED (
    SELECT i.id, a.instrument_id AS target FROM instruments i JOIN instrument_aliases a USING (symbol, exchange)
), scored AS MATERIALIZED (
    SELECT t.ts, t.as_of, t.realised_return_pct, coalesce(m.target, t.instrument_id) AS instrument_id
    FROM track_record t LEFT JOIN merged m ON m.id = t.instrument_id
    WHERE {OF_SLICE} AND t.ts <> ALL(:stale)
), scores AS MATERIALIZED (
    SELECT t.ts, t.realised_return_pct AS stored,
        coalesce(
            CASE WHEN b.times[width_bucket({DAY}, b.times)] = {DAY}
                THEN b.closes[width_bucket({DAY}, b.times)] END,
            ({CLOSE} = {DAY} LIMIT 1)
        ) AS first_close,
        coalesce(
            b.closes[width_bucket(t.ts, b.times)], ({CLOSE} <= t.ts ORDER BY x.ts DESC LIMIT 1)
        ) AS last_close,
        coalesce(
            b.times[width_bucket(t.ts, b.times)],
            ({CLOSE.replace("x.c", "x.ts", 1)} <= t.ts ORDER BY x.ts DESC LIMIT 1)
        ) <= {DAY} AS halted,
        EXISTS (SELECT FROM changes, unnest(changes.times) AS change WHERE changes.instrument_id = t.instrument_id
            AND change > t.as_of AND change <= t.ts) AS changed
    FROM scored t LEFT JOIN bars b ON b.instrument_id = t.instrument_id
)
SELECT ts::date, count(*)::int FROM scores
WHERE abs(stored - (last_close / first_close - 1) * 100) > 1e-9
    OR (stored IS NULL) <> (first_close IS NULL OR changed OR halted IS TRUE)
GROUP BY 1
"""
"""By session, how many realised returns differ from those of the bars.

The closes are arrays in order of time, one row per instrument, and the place of a session is searched in them: a
join with every bar is as slow as its plan. What lies before the look-back is looked up in the table. What was
published of an instrument that was merged into another is compared with the bars of the other.
"""


@invariant("track_record")
def all_due_advice_is_scored_once(connection: Connection, part: Slice) -> Finding:
    """Every current recommendation has one row on the session that ends its horizon, and no other has a row.

    Sessions whose recommendations or bars changed later, perhaps by a concurrent run, are left to
    `scores_follow_their_advice`.
    """
    sessions = list(part.looking_back(LONGEST_HORIZON).sessions)
    stale = _stale_sessions(connection, part)
    parameters = {**bounds(part), "sessions": sessions, "first": sessions[0], "stale": stale}
    repeated = count_duplicates(connection, "pk_track_record", TRACK_RECORD_ROWS, "t.recommendation_id", part)
    wrong = counts_of(connection.execute(text(DUE_BESIDE_SCORED), parameters))
    return repeated + on_sessions(part.market.name, errors=wrong)


@invariant("track_record")
def scores_agree_with_the_bars(connection: Connection, part: Slice) -> Finding:
    """The realised return is that from the recommendation's close to the last close within the horizon.

    It is missing if no bar followed, or a change of basis is suspected in between (`features/price_basis.py`).
    Sessions whose recommendations or bars changed later are left to `scores_follow_their_advice`.
    """
    horizons, stale = part.looking_back(LONGEST_HORIZON), _stale_sessions(connection, part)
    bars = read_slice(GRAINS["price_bars"], horizons.looking_back(LOOKBACK), (*KEY, *"ohlcv"))
    changed = bars.filter(pl.Series(find_changes(bars)))
    parameters = {
        **bounds(part),
        "first": horizons.start,
        "stale": stale,
        "changed": changed["instrument_id"].to_list(),
        "changed_on": changed["ts"].to_list(),
    }
    wrong = counts_of(connection.execute(text(UNLIKE_THE_BARS), parameters))
    return on_sessions(part.market.name, errors=wrong)


@invariant("track_record")
def hits_are_what_was_advised(connection: Connection, part: Slice) -> Finding:
    """A hit is a label that equals the outcome; a stop or target is touched within the horizon, on BUY or SELL.

    Where no view was given there is no hit. A score without a return says why.
    """
    inconsistent = (
        "t.hit IS DISTINCT FROM CASE WHEN coalesce(t.view, 'given') = 'given' THEN t.label = t.outcome END"
        " OR t.label = 'HOLD' AND t.first_touched IS NOT NULL"
        " OR NOT (t.touched_on > t.as_of AND t.touched_on <= t.ts)"
        " OR (t.unscored IS NULL) <> (t.realised_return_pct IS NOT NULL)"
    )
    return count_violations(connection, f"{TRACK_RECORD_ROWS} AND ({inconsistent})", bounds(part), part)


@invariant("track_record", blocking=False)
def scores_follow_their_advice(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No recommendation or bar changed after the sessions that score it were computed."""
    return count_stale_sessions(connection, "track_record", parts)


def _stale_sessions(connection: Connection, part: Slice) -> list[dt.date]:
    """The sessions of a slice whose recommendations or bars changed after they were scored."""
    return staleness.stale_sessions(connection, "track_record", part)
