"""Asset checks: one function per promise about a table, and by how much it is kept.

What belongs here: what is counted as a breach in what was computed. Kept elsewhere: promises about what was
delivered (`checks_of_bars.py`), about models (`checks_of_models.py`) and about advice as a record
(`checks_of_advice.py`), how Dagster runs and shows a promise (`promises.py`), and what stops a bad frame before it
is written (`frames.py`, the tables' constraints).

A check looks at what is in the table, however it got there, so it also guards against rows written by hand.
"""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from boursomatic_assets import computed
from boursomatic_assets.checks_of_bars import BARS, MINE, ORPHANED
from boursomatic_assets.indicators import LOOKBACK
from boursomatic_assets.models import LABELS, PROFILES
from boursomatic_assets.promises import Finding, count, promise, unique
from boursomatic_assets.signals import parse_snapshot
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import bounds

FEATURES = f"features t WHERE t.ts >= :start AND t.ts < :end AND {MINE}"
ADVICE = f"recommendations t WHERE t.as_of >= :start AND t.as_of < :end AND {MINE}"


# --- features


@promise("features")
def one_feature_row_per_instrument_and_session(connection: Connection, part: Slice) -> Finding:
    """No instrument has two rows for one session, and a unique index guards it."""
    return unique(connection, "idx_features_instrument_ts", FEATURES, "t.instrument_id, t.ts", bounds(part))


@promise("features")
def features_are_possible(connection: Connection, part: Slice) -> Finding:
    """Features are finite, RSI lies in 0..100, volatility and true range are not negative."""
    names = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore")
    infinite = " OR ".join(f"NOT (t.{name} > '-Infinity' AND t.{name} < 'Infinity')" for name in names)
    impossible = f"{infinite} OR t.rsi_14 NOT BETWEEN 0 AND 100 OR t.vol_20d < 0 OR t.atr_14 < 0"
    return count(connection, f"{FEATURES} AND ({impossible})", bounds(part))


@promise("features")
def features_and_bars_match(connection: Connection, part: Slice) -> Finding:
    """Every row has its instrument and its daily bar, and every daily bar has its row."""
    same = "x.instrument_id = t.instrument_id AND x.ts = t.ts"
    bar, row = (
        f"SELECT FROM price_bars x WHERE {same} AND x.interval = 'daily'",
        f"SELECT FROM features x WHERE {same}",
    )
    orphans = count(connection, f"{FEATURES} AND ({ORPHANED} OR NOT EXISTS ({bar}))", bounds(part))
    return orphans + count(connection, f"{BARS} AND NOT EXISTS ({row})", bounds(part))


@promise("features", blocking=False)
def features_follow_their_bars(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No bar changed after the features of its session, or of a later one that looks back on it, were computed."""
    return stale(connection, "features", parts)


# --- recommendations


@promise("recommendations")
def one_current_row_per_session_and_profile(connection: Connection, part: Slice) -> Finding:
    """Of each instrument, profile and session one row stands, and a unique index guards it."""
    columns = "t.instrument_id, t.profile, t.as_of"
    current = f"{ADVICE} AND t.superseded_at IS NULL"
    return unique(connection, "uq_recommendations_current", current, columns, bounds(part))


@promise("recommendations")
def advice_is_valid(connection: Connection, part: Slice) -> Finding:
    """Profile, label and confidence are valid; a BUY's stop lies below its target, a SELL's above."""
    valid = (
        "t.profile = ANY(:profiles) AND t.label = ANY(:labels) AND t.confidence BETWEEN 0 AND 1"
        " AND CASE t.label WHEN 'BUY' THEN coalesce(t.stop_loss < t.take_profit, true)"
        " WHEN 'SELL' THEN coalesce(t.stop_loss > t.take_profit, true) ELSE true END"
    )
    given = {**bounds(part), "profiles": list(PROFILES), "labels": list(LABELS)}
    return count(connection, f"{ADVICE} AND NOT ({valid})", given)


@promise("recommendations")
def advice_has_its_instrument_and_model(connection: Connection, part: Slice) -> Finding:
    """Every row belongs to an instrument and a model version that exist."""
    model = "SELECT FROM model_versions m WHERE m.id = t.model_version_id"
    return count(connection, f"{ADVICE} AND ({ORPHANED} OR NOT EXISTS ({model}))", bounds(part))


@promise("recommendations")
def newest_advice_is_active(connection: Connection, part: Slice) -> Finding:
    """Of each instrument and profile the current row of the newest session is active, and no other."""
    # Looked up in a hash: with wrong statistics a join looks for the newest session once per row.
    newest = (
        "SELECT i.id, p.profile, r.as_of"
        " FROM instruments i CROSS JOIN unnest(CAST(:profiles AS text[])) AS p(profile)"
        " CROSS JOIN LATERAL (SELECT r.as_of FROM recommendations r WHERE r.instrument_id = i.id"
        "   AND r.profile = p.profile AND r.superseded_at IS NULL ORDER BY r.as_of DESC LIMIT 1) r"
        " WHERE i.exchange = ANY(:exchanges)"
    )
    is_newest = "(t.instrument_id, t.profile, t.as_of) IN (TABLE newest)"
    unknown = "(t.instrument_id, t.profile) NOT IN (SELECT id, profile FROM newest)"
    active = f"t.superseded_at IS NULL AND {is_newest}"
    wrong = f"t.is_active <> ({active}) OR t.superseded_at IS NULL AND {unknown}"
    given = {**bounds(part), "profiles": list(PROFILES)}
    rows = f"(WITH newest AS MATERIALIZED ({newest}) SELECT FROM {ADVICE} AND ({wrong})) wrong"
    return count(connection, rows, given)


@promise("recommendations")
def snapshots_are_valid(connection: Connection, part: Slice) -> Finding:
    """Every active row's snapshot equals the features row that it names and holds all that its model saw.

    A features row that was corrected after the advice was published makes the advice stale: a warning.
    """
    rows = connection.execute(
        text(
            "SELECT t.features_snapshot::text AS snapshot, t.generated_at, m.version,"
            " m.metrics_json->'features' AS seen, f.ts, f.created_at AS known_at, to_jsonb(f)"
            " || coalesce(f.additional_features::jsonb, '{}') AS features"
            " FROM recommendations t JOIN instruments i ON i.id = t.instrument_id"
            " LEFT JOIN model_versions m ON m.id = t.model_version_id"
            " LEFT JOIN features f ON f.instrument_id = t.instrument_id AND f.ts = date_trunc('day', t.as_of)"
            " WHERE t.is_active AND i.exchange = ANY(:exchanges)"
        ),
        bounds(part),
    )
    verdicts = [_snapshot(row) for row in rows]
    return Finding(verdicts.count("broken"), verdicts.count("stale"), {"active": len(verdicts)})


def _snapshot(row: Any) -> str:
    """Whether one active row's snapshot is `sound`, `stale` or `broken`."""
    try:
        snapshot = parse_snapshot(row.snapshot)
        numbers = [value for value in snapshot.features.values() if value is not None]
        named = (snapshot.ts, snapshot.model_version) == (row.ts, row.version)
        complete = set(row.seen or ()) <= snapshot.features.keys()
        if not named or not complete or not all(math.isfinite(number) for number in numbers):
            return "broken"
    except (ValueError, TypeError):
        return "broken"
    if all(row.features.get(name, math.nan) == value for name, value in snapshot.features.items()):
        return "sound"
    return "stale" if row.known_at > row.generated_at else "broken"


@promise("recommendations", blocking=False)
def advice_follows_its_features(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No feature, bar or model changed after the advice of its session was published.

    What was published stays; computed anew, it is superseded.
    """
    return stale(connection, "recommendations", parts)


# --- users


@promise("users")
def one_account_per_email(connection: Connection) -> Finding:
    """No e-mail address has two accounts, and a unique index guards it."""
    return unique(connection, "uq_users_email", "users", "email")


def stale(connection: Connection, asset: str, parts: Sequence[Slice]) -> Finding:
    """A warning for each session that does not follow its inputs, as far on as a slice is looked back on."""
    found: set[tuple[str, dt.date]] = set()
    for part in parts:
        late = computed.stale_sessions(connection, asset, part.looking_ahead(LOOKBACK))
        found |= {(part.market.name, session) for session in late}
    sessions = sorted(session for _, session in found)
    return Finding(warnings=len(found), figures={"sessions": f"{sessions[0]} .. {sessions[-1]}"} if found else {})
