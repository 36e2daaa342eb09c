"""Asset checks of advice as a record: all of it is there, and none that nobody computed.

What belongs here: what is counted as a breach of "published advice is superseded, never lost or overwritten".
Kept elsewhere: what a single row must be (`checks.py`), how Dagster runs and shows a promise (`promises.py`).
"""

from dataclasses import replace

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import computed
from boursomatic_assets.checks import ADVICE
from boursomatic_assets.identifiers import PUBLISHED, digests, holds_digest
from boursomatic_assets.models import PROFILES
from boursomatic_assets.promises import Finding, count, promise
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import bounds
from boursomatic_assets.tables import GRAINS, read
from boursomatic_assets.words import RANK

COMPUTED = "computed_sessions c WHERE c.asset = 'recommendations' AND c.market = :market"
STANDING = f"{ADVICE} AND t.superseded_at IS NULL AND date_trunc('day', t.as_of) <> ALL(:stale)"

WHOLE_RECORD = replace(GRAINS["recommendations"], own="id IS NOT NULL")
"""All advice, superseded too."""

SESSIONS_AT_ONCE = 60


@promise("recommendations")
def every_computed_session_has_its_advice(connection: Connection, part: Slice) -> Finding:
    """Of each session that was computed all advice stands: a row per profile for each row of features, no other.

    A row of features that no model knows anything of needs none. Sessions whose inputs changed since they were
    computed are left to `advice_follows_its_features`.
    """
    stale = computed.stale_sessions(connection, "recommendations", part)
    given = {**bounds(part), "market": part.market.name, "stale": stale, "profiles": list(PROFILES), "rank": RANK}
    missing = connection.scalar(text(f"SELECT coalesce(sum(n), 0)::int FROM {_unadvised()}"), given)
    of_features = (
        "SELECT FROM features f WHERE f.instrument_id = t.instrument_id AND f.ts = date_trunc('day', t.as_of)"
    )
    of_a_run = f"SELECT FROM {COMPUTED} AND c.session = date_trunc('day', t.as_of)"
    surplus = count(connection, f"{STANDING} AND NOT (EXISTS ({of_features}) AND EXISTS ({of_a_run}))", given)
    return Finding(errors=missing or 0, figures={"missing": missing, "surplus": surplus.errors}) + surplus


@promise("recommendations")
def advice_is_as_it_was_published(_connection: Connection, part: Slice) -> Finding:
    """No row was changed after it was published: its id ends with a digest of what it said.

    A changed row is an error while it stands, a warning once it is superseded: that is how computing its session
    anew mends it. Rows without a digest, older ones and those written by hand, cannot be told.
    """
    found = pl.concat(_told_by_digest(piece) for piece in part.pieces(SESSIONS_AT_ONCE))
    changed = found.filter(~pl.col("as_published"))["stands"]
    without = found["as_published"].null_count()
    return Finding(int(changed.sum()), int((~changed).sum()), {"without_digest": without})


def _told_by_digest(part: Slice) -> pl.DataFrame:
    """Whether each row stands, and is as it was published; null where its id does not say."""
    rows = read(WHOLE_RECORD, part, ("id", "superseded_at", *PUBLISHED))
    alike = rows["id"].str.tail(12) == digests(rows)
    return rows.select(
        stands=pl.col("superseded_at").is_null(),
        as_published=pl.when(holds_digest(rows["id"])).then(alike),
    )


def _unadvised() -> str:
    """The rows of features that lack advice, and how many pieces of it (`n`), as a subquery."""
    advised = (
        "SELECT t.instrument_id, date_trunc('day', t.as_of) AS ts, count(DISTINCT t.profile) AS n"
        f" FROM {STANDING} AND t.profile = ANY(:profiles) GROUP BY 1, 2"
    )
    # Fenced by its OFFSET, so that the JSON of few rows is read.
    lacking = (
        "SELECT f.ts, f.additional_features, cardinality(:profiles) - coalesce(a.n, 0) AS n FROM features f"
        " JOIN instruments i ON i.id = f.instrument_id AND i.exchange = ANY(:exchanges)"
        f" LEFT JOIN ({advised}) a ON a.instrument_id = f.instrument_id AND a.ts = f.ts"
        " WHERE f.ts >= :start AND f.ts < :end AND f.ts <> ALL(:stale)"
        " AND coalesce(a.n, 0) < cardinality(:profiles)"
        f" AND EXISTS (SELECT FROM {COMPUTED} AND c.session = f.ts) OFFSET 0"
    )
    known = (
        "SELECT FROM model_versions m, jsonb_each_text(f.additional_features::jsonb) AS e(name, value)"
        " WHERE date_trunc('day', m.as_of) <= f.ts AND e.value IS NOT NULL"
        " AND right(e.name, length(:rank)) = :rank AND (m.metrics_json->'features')::jsonb ? e.name"
    )
    return f"({lacking}) f WHERE EXISTS ({known})"
