"""Asset checks of advice as a record: all of it is there, and none that nobody computed.

What belongs here: what is counted as a breach of "published advice is superseded, never lost or overwritten".
Kept elsewhere: what a single row must be (`checks.py`), how Dagster runs and shows a promise (`promises.py`).
"""

from dataclasses import replace

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks._counting import FEATURE_ROWS, RECOMMENDATION_ROWS
from boursomatic_assets.checks.invariant import Finding, invariant
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.schema.identifiers import PUBLISHED_COLUMNS, digests, holds_digest
from boursomatic_assets.tables import computations, staleness
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.staging import bounds
from boursomatic_assets.vocabulary import PROFILES

RECOMMENDATIONS_VERSUS_FEATURES = f"""
WITH held AS MATERIALIZED (
    SELECT instrument_id, ts, bool_or(profile IS NULL) AS has_features, count(profile) AS advised,
        cardinality(CAST(:profiles AS text[]))
            - count(DISTINCT profile) FILTER (WHERE profile = ANY(:profiles)) AS lacking
    FROM (
        SELECT t.instrument_id, t.ts, NULL AS profile FROM {FEATURE_ROWS}
        UNION ALL
        SELECT t.instrument_id, date_trunc('day', t.as_of), t.profile FROM {RECOMMENDATION_ROWS} AND t.superseded_at IS NULL
    ) AS rows WHERE ts <> ALL(:stale) GROUP BY instrument_id, ts
), unadvised AS MATERIALIZED (
    SELECT * FROM held WHERE has_features AND lacking > 0 AND ts = ANY(:computed)
        AND ts >= (SELECT date_trunc('day', min(as_of)) FROM model_versions)
)
SELECT
    (
        SELECT coalesce(sum(lacking), 0)::int FROM unadvised JOIN features USING (instrument_id, ts)
        WHERE EXISTS (
            SELECT FROM model_versions m, jsonb_each_text(additional_features::jsonb) AS e(name, value)
            WHERE date_trunc('day', m.as_of) <= ts AND e.value IS NOT NULL
                AND right(e.name, length(:rank)) = :rank AND (m.metrics_json->'features')::jsonb ? e.name
        )
    ) AS missing,
    (SELECT coalesce(sum(advised), 0)::int FROM held WHERE NOT has_features OR ts <> ALL(:computed)) AS surplus
"""
"""How much advice lacks to rows of features, and how much stands without any or without a run that computed it.

Both tables are counted together: joined, they are compared row by row as long as the tables have no statistics.
"""

ALL_RECOMMENDATIONS = replace(GRAINS["recommendations"], row_condition="id IS NOT NULL")
"""All advice, superseded too."""

SESSIONS_PER_READ = 60
"""Sessions of a market whose advice is read at once, with its snapshots."""


@invariant("recommendations")
def every_computed_session_has_its_advice(connection: Connection, part: Slice) -> Finding:
    """Of each session that was computed all advice stands: a row per profile for each row of features, no other.

    A row of features that no model knows anything of needs none. Sessions whose inputs changed since they were
    computed are left to `advice_follows_its_features`.
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
    """No row was changed after it was published: its id ends with a digest of what it said.

    A changed row is an error while it stands, a warning once it is superseded: that is how computing its session
    anew mends it. Rows without a digest, older ones and those written by hand, cannot be told.
    """
    rows = pl.concat(_compare_digests(piece) for piece in part.chunks(SESSIONS_PER_READ))
    changed = rows.filter(~pl.col("as_published"))["stands"]
    without = rows["as_published"].null_count()
    return Finding(int(changed.sum()), int((~changed).sum()), {"without_digest": without})


def _compare_digests(part: Slice) -> pl.DataFrame:
    """Whether each row stands, and is as it was published; null where its id does not say."""
    rows = read_slice(ALL_RECOMMENDATIONS, part, ("id", "superseded_at", *PUBLISHED_COLUMNS), ordered=False)
    unchanged = rows["id"].str.tail(12) == digests(rows)
    return rows.select(
        stands=pl.col("superseded_at").is_null(),
        as_published=pl.when(holds_digest(rows["id"])).then(unchanged),
    )
