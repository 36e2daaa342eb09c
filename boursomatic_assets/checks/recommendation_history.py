"""Asset checks of recommendations as a history: superseded, but never lost, overwritten or invented.

What belongs here: whether all published recommendations are there, unaltered, and no others.
Kept elsewhere: what a single row must be (`recommendations.py`), how rows are superseded (`tables/merging.py`).
"""

import datetime as dt
import itertools
from collections import Counter
from dataclasses import replace

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.counting import FEATURE_ROWS, RECOMMENDATION_ROWS
from boursomatic_assets.checks.invariant import Finding, invariant, on_sessions
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.schema.identifiers import PUBLISHED_COLUMNS, digests, holds_digest
from boursomatic_assets.tables import computations, staleness
from boursomatic_assets.tables.chains import heads, verification
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.staging import bounds
from boursomatic_assets.vocabulary import PROFILES

RECOMMENDATIONS_VERSUS_FEATURES = f"""
WITH by_instrument AS MATERIALIZED (
    SELECT instrument_id, ts, bool_or(profile IS NULL) AS has_features, count(profile) AS recommended,
        cardinality(CAST(:profiles AS text[]))
            - count(DISTINCT profile) FILTER (WHERE profile = ANY(:profiles)) AS lacking
    FROM (
        SELECT t.instrument_id, t.ts, NULL AS profile FROM {FEATURE_ROWS}
        UNION ALL
        SELECT t.instrument_id, date_trunc('day', t.as_of), t.profile FROM {RECOMMENDATION_ROWS}
            AND t.superseded_at IS NULL
    ) AS rows WHERE ts <> ALL(:stale) GROUP BY instrument_id, ts
), incomplete AS MATERIALIZED (
    SELECT * FROM by_instrument WHERE has_features AND lacking > 0 AND ts = ANY(:computed)
        AND ts >= (SELECT date_trunc('day', min(as_of)) FROM model_versions)
)
SELECT ts::date AS session, sum(missing)::int AS missing, sum(surplus)::int AS surplus FROM (
    SELECT ts, sum(lacking) AS missing, 0 AS surplus FROM incomplete JOIN features USING (instrument_id, ts)
        WHERE EXISTS (
            SELECT FROM model_versions m, jsonb_each_text(additional_features::jsonb) AS e(name, value)
            WHERE date_trunc('day', m.as_of) <= ts AND e.value IS NOT NULL
                AND right(e.name, length(:rank)) = :rank AND (m.metrics_json->'features')::jsonb ? e.name
        ) GROUP BY ts
    UNION ALL
    SELECT ts, 0, sum(recommended) FROM by_instrument WHERE NOT has_features OR ts <> ALL(:computed) GROUP BY ts
) AS counted GROUP BY 1
"""
"""By session, recommendations that rows of features lack, and surplus ones without features or without a run.

Both tables are aggregated together: a join compares them row by row as long as the tables have no statistics.
"""

ALL_RECOMMENDATIONS = replace(GRAINS["recommendations"], row_condition="id IS NOT NULL")
"""The rows of `recommendations`, superseded ones included."""

SESSIONS_PER_READ = 60
"""Sessions of a market whose recommendations are read at once, with their snapshots."""


@invariant("recommendations")
def every_computed_session_has_its_advice(connection: Connection, part: Slice) -> Finding:
    """Each computed session has a current row per profile for each row of features, and no other.

    A row of features without any value of a model's features needs none. Sessions whose inputs changed after
    their computation are left to `advice_follows_its_features`.
    """
    parameters = {
        **bounds(part),
        "stale": staleness.stale_sessions(connection, "recommendations", part),
        "computed": computations.computed_sessions(connection, "recommendations", part),
        "profiles": list(PROFILES),
        "rank": RANK_SUFFIX,
    }
    found = connection.execute(text(RECOMMENDATIONS_VERSUS_FEATURES), parameters).all()
    figures = {name: sum(getattr(row, name) for row in found) for name in ("missing", "surplus")}
    by_date = {row.session: row.missing + row.surplus for row in found}
    return on_sessions(part.market.name, errors=by_date, figures=figures)


@invariant("recommendations")
def advice_is_as_it_was_published(_connection: Connection, part: Slice) -> Finding:
    """No row was changed after publication: its id ends with a digest of the published columns.

    A changed row is an error while it is current, and a warning once a new computation of its session has
    superseded it. Rows without a digest (older ones, and those written by hand) cannot be verified.
    """
    rows = pl.concat(_compare_digests(chunk) for chunk in part.chunks(SESSIONS_PER_READ))
    changed = rows.filter(~pl.col("as_published"))
    current, superseded = (
        dict(changed.filter(is_current=current).group_by("date").len().iter_rows()) for current in (True, False)
    )
    figures = {"without_digest": rows["as_published"].null_count()}
    return on_sessions(part.market.name, errors=current, warnings=superseded, figures=figures)


def _compare_digests(part: Slice) -> pl.DataFrame:
    """date, is_current and as_published of each row; as_published is null where the id holds no digest."""
    rows = read_slice(ALL_RECOMMENDATIONS, part, ("id", "superseded_at", *PUBLISHED_COLUMNS), ordered=False)
    unchanged = rows["id"].str.tail(12) == digests(rows)
    return rows.select(
        date=pl.col("as_of").dt.date(),
        is_current=pl.col("superseded_at").is_null(),
        as_published=pl.when(holds_digest(rows["id"])).then(unchanged),
    )


@invariant("recommendations")
def history_is_as_the_chains_say(connection: Connection, part: Slice) -> Finding:
    """No recommendation of these sessions, no model version and no decision was altered, removed or added by hand.

    Each is compared with its digest, and the chains of digests with their heads, also those kept in files.
    """
    whole, of_sessions, rows = 0, Counter[dt.date | None](), []
    for one in itertools.chain(verification.verify(connection, part), heads.compare()):
        market = _market_of(connection, one)
        if market in (None, part.market.name):
            session = one.time.date() if market and one.time else None
            of_sessions[session] += bool(market)
            whole += not market
            rows.append({"market": market or "", "session": session or "", "difference": str(one)})
    found = on_sessions(part.market.name, errors=of_sessions, figures={"differences": rows})
    return found + Finding(errors=whole)


def _market_of(connection: Connection, difference: verification.Difference) -> str | None:
    """The market of a recommendation that differs; None for what belongs to no session, or to no known market."""
    if difference.table != "recommendations" or not difference.row_id:
        return None
    if difference.market:
        return difference.market
    query = text(
        "SELECT exchange FROM recommendations t JOIN instruments i ON i.id = t.instrument_id"
        " WHERE t.id = CAST(:id AS uuid)"
    )
    exchange = connection.scalar(query, {"id": difference.row_id})
    return next((name for name, market in MARKETS.items() if exchange in market.exchanges), None)
