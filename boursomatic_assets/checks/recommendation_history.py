"""Asset checks of recommendations as a history: superseded, but never lost, overwritten or invented.

What belongs here: whether all published recommendations are there, unaltered, and no others.
Kept elsewhere: what a single row must be (`recommendations.py`), how rows are superseded (`tables/merging.py`).
"""

import itertools
from dataclasses import replace

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks._counting import FEATURE_ROWS, RECOMMENDATION_ROWS
from boursomatic_assets.checks.invariant import Finding, invariant
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
SELECT
    (
        SELECT coalesce(sum(lacking), 0)::int FROM incomplete JOIN features USING (instrument_id, ts)
        WHERE EXISTS (
            SELECT FROM model_versions m, jsonb_each_text(additional_features::jsonb) AS e(name, value)
            WHERE date_trunc('day', m.as_of) <= ts AND e.value IS NOT NULL
                AND right(e.name, length(:rank)) = :rank AND (m.metrics_json->'features')::jsonb ? e.name
        )
    ) AS missing,
    (
        SELECT coalesce(sum(recommended), 0)::int FROM by_instrument
        WHERE NOT has_features OR ts <> ALL(:computed)
    ) AS surplus
"""
"""Recommendations that are missing for rows of features, and surplus ones without features or without a run.

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
    figures = connection.execute(text(RECOMMENDATIONS_VERSUS_FEATURES), parameters).one()._asdict()
    return Finding(errors=sum(figures.values()), figures=figures)


@invariant("recommendations")
def advice_is_as_it_was_published(_connection: Connection, part: Slice) -> Finding:
    """No row was changed after publication: its id ends with a digest of the published columns.

    A changed row is an error while it is current, and a warning once a new computation of its session has
    superseded it. Rows without a digest (older ones, and those written by hand) cannot be verified.
    """
    rows = pl.concat(_compare_digests(chunk) for chunk in part.chunks(SESSIONS_PER_READ))
    changed = rows.filter(~pl.col("as_published"))["is_current"]
    without = rows["as_published"].null_count()
    return Finding(int(changed.sum()), int((~changed).sum()), {"without_digest": without})


def _compare_digests(part: Slice) -> pl.DataFrame:
    """is_current and as_published of each row; as_published is null where the id holds no digest."""
    rows = read_slice(ALL_RECOMMENDATIONS, part, ("id", "superseded_at", *PUBLISHED_COLUMNS), ordered=False)
    unchanged = rows["id"].str.tail(12) == digests(rows)
    return rows.select(
        is_current=pl.col("superseded_at").is_null(),
        as_published=pl.when(holds_digest(rows["id"])).then(unchanged),
    )


@invariant("recommendations")
def history_is_as_the_chains_say(connection: Connection, part: Slice) -> Finding:
    """No recommendation of these sessions, no model version and no decision was altered, removed or added by hand.

    Each is compared with its digest, and the chains of digests with their heads, also those kept in files.
    """
    found = [*map(str, itertools.chain(verification.verify(connection, part), heads.compare()))]
    return Finding(errors=len(found), figures={"differences": found})
