"""Asset checks of recommendations, row by row.

What belongs here: what counts as a violation in a row of `recommendations`, and which rows are current and active.
Kept elsewhere: recommendations as a history that is complete and unaltered (`recommendation_history.py`), their
scores (`track_record.py`).
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.advice.snapshots import parse_snapshot
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.counting import (
    RECOMMENDATION_ROWS,
    WITHOUT_INSTRUMENT,
    count_duplicates,
    count_stale_sessions,
    count_violations,
)
from boursomatic_assets.checks.invariant import Finding, invariant, on_sessions
from boursomatic_assets.tables import expiry
from boursomatic_assets.tables.aliases.names import MERGED_IDS
from boursomatic_assets.tables.revisions import known_from
from boursomatic_assets.tables.staging import bounds
from boursomatic_assets.vocabulary import LABELS, PROFILES


@invariant("recommendations")
def one_current_row_per_session_and_profile(connection: Connection, part: Slice) -> Finding:
    """Each instrument, profile and session has one current row, and a unique index enforces it."""
    columns = "t.instrument_id, t.profile, t.as_of"
    current = f"{RECOMMENDATION_ROWS} AND t.superseded_at IS NULL"
    return count_duplicates(connection, "uq_recommendations_current", current, columns, part, "t.as_of")


@invariant("recommendations")
def advice_is_valid(connection: Connection, part: Slice) -> Finding:
    """Profile, label and confidence are valid; the stop is below the target of a BUY, above that of a SELL."""
    valid = (
        "t.profile = ANY(:profiles) AND t.label = ANY(:labels) AND t.confidence BETWEEN 0 AND 1"
        " AND CASE t.label WHEN 'BUY' THEN coalesce(t.stop_loss < t.take_profit, true)"
        " WHEN 'SELL' THEN coalesce(t.stop_loss > t.take_profit, true) ELSE true END"
    )
    parameters = {**bounds(part), "profiles": list(PROFILES), "labels": list(LABELS)}
    return count_violations(connection, f"{RECOMMENDATION_ROWS} AND NOT ({valid})", parameters, part, "t.as_of")


@invariant("recommendations")
def advice_has_its_instrument_and_model(connection: Connection, part: Slice) -> Finding:
    """Every row belongs to an instrument and a model version that exist."""
    model = "SELECT FROM model_versions m WHERE m.id = t.model_version_id"
    wrong = f"{RECOMMENDATION_ROWS} AND ({WITHOUT_INSTRUMENT} OR NOT EXISTS ({model}))"
    return count_violations(connection, wrong, bounds(part), part, "t.as_of")


@invariant("recommendations")
def newest_advice_is_active(connection: Connection, part: Slice) -> Finding:
    """For each instrument and profile the current row of the newest session is active until it expires, no other.

    It expires at its horizon, or when its instrument is inactive, judged by the newest loaded session of its
    market. An instrument that was merged into another has no active row.
    """
    newest = expiry.read_newest(connection, part.market)
    unknown = (
        "(t.profile <> ALL(:profiles)"
        " OR t.instrument_id NOT IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges)))"
    )
    wrong = (
        "t.is_active <> (t.id = ANY(CAST(:active AS uuid[])))"
        f" OR t.superseded_at IS NULL AND {unknown} AND t.instrument_id NOT IN ({MERGED_IDS})"
    )
    active = newest.filter(pl.col("reason").is_null())["id"].to_list()
    parameters = {**bounds(part), "profiles": list(PROFILES), "active": active}
    return count_violations(connection, f"{RECOMMENDATION_ROWS} AND ({wrong})", parameters, part, "t.as_of")


@invariant("recommendations")
def expired_advice_says_why(connection: Connection, part: Slice) -> Finding:
    """The log of expiries says of each newest row that has expired why, and of no other that it has."""
    newest = expiry.read_newest(connection, part.market)
    in_part = pl.col("as_of").is_between(part.start.date(), part.end.date(), closed="left")
    unlogged = newest.filter(in_part, expiry.unlogged())
    expired = newest.filter(in_part, pl.col("reason").is_not_null())
    by_date = dict(unlogged.group_by("as_of").len().iter_rows())
    return on_sessions(part.market.name, errors=by_date, figures={"expired": expired.height})


@invariant("recommendations")
def snapshots_are_valid(connection: Connection, part: Slice) -> Finding:
    """Every active row's snapshot equals its row of features, and holds all features of its model.

    A row of features that was corrected after publication makes the recommendation stale: a warning.
    """
    rows = connection.execute(
        text(
            "SELECT t.as_of::date AS session, t.features_snapshot::text AS snapshot, t.generated_at, m.version,"
            f" m.metrics_json->'features' AS model_features, f.ts, {known_from('f')} AS known_at, to_jsonb(f)"
            " || coalesce(f.additional_features::jsonb, '{}') AS features"
            " FROM recommendations t JOIN instruments i ON i.id = t.instrument_id"
            " LEFT JOIN model_versions m ON m.id = t.model_version_id"
            " LEFT JOIN features f ON f.instrument_id = t.instrument_id AND f.ts = date_trunc('day', t.as_of)"
            " WHERE t.is_active AND i.exchange = ANY(:exchanges)"
        ),
        bounds(part),
    )
    verdicts = [(row.session, _judge_snapshot(row)) for row in rows]
    broken, stale = (Counter(day for day, found in verdicts if found == kind) for kind in ("broken", "stale"))
    return on_sessions(part.market.name, errors=broken, warnings=stale, figures={"active": len(verdicts)})


def _judge_snapshot(row: Any) -> str:
    """Whether one active row's snapshot is `sound`, `stale` or `broken`."""
    try:
        snapshot = parse_snapshot(row.snapshot)
        values = [value for value in snapshot.features.values() if value is not None]
        refers_to_row = (snapshot.ts, snapshot.model_version) == (row.ts, row.version)
        complete = set(row.model_features or ()) <= snapshot.features.keys()
        if not refers_to_row or not complete or not all(map(math.isfinite, values)):
            return "broken"
    except (ValueError, TypeError):  # counted by the check
        return "broken"
    if all(row.features.get(name, math.nan) == value for name, value in snapshot.features.items()):
        return "sound"
    return "stale" if row.known_at > row.generated_at else "broken"


@invariant("recommendations", blocking=False)
def advice_follows_its_features(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No feature, bar or model changed after the recommendations of its session were published.

    Stale recommendations stay; a new computation of their session supersedes them.
    """
    return count_stale_sessions(connection, "recommendations", parts)
