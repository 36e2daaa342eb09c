"""Asset checks of features.

What belongs here: what counts as a violation in `features`.
Kept elsewhere: drift against a model's training data (`drift.py`).
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.counting import (
    DAILY_BARS,
    FEATURE_ROWS,
    WITHOUT_INSTRUMENT,
    count_duplicates,
    count_stale_sessions,
    count_violations,
)
from boursomatic_assets.checks.invariant import Finding, invariant
from boursomatic_assets.tables.staging import bounds


@invariant("features")
def one_feature_row_per_instrument_and_session(connection: Connection, part: Slice) -> Finding:
    """No instrument has two rows for one session, and a unique index enforces it."""
    return count_duplicates(connection, "idx_features_instrument_ts", FEATURE_ROWS, "t.instrument_id, t.ts", part)


@invariant("features")
def features_are_possible(connection: Connection, part: Slice) -> Finding:
    """Features are finite, RSI lies in 0..100, volatility and true range are not negative."""
    names = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore")
    infinite = " OR ".join(f"NOT (t.{name} > '-Infinity' AND t.{name} < 'Infinity')" for name in names)
    impossible = f"{infinite} OR t.rsi_14 NOT BETWEEN 0 AND 100 OR t.vol_20d < 0 OR t.atr_14 < 0"
    return count_violations(connection, f"{FEATURE_ROWS} AND ({impossible})", bounds(part), part)


@invariant("features")
def features_and_bars_match(connection: Connection, part: Slice) -> Finding:
    """Every row has its instrument and its daily bar, and every daily bar has its row."""
    same_key = "x.instrument_id = t.instrument_id AND x.ts = t.ts"
    bar, row = (
        f"SELECT FROM price_bars x WHERE {same_key} AND x.interval = 'daily'",
        f"SELECT FROM features x WHERE {same_key}",
    )
    orphans = count_violations(
        connection, f"{FEATURE_ROWS} AND ({WITHOUT_INSTRUMENT} OR NOT EXISTS ({bar}))", bounds(part), part
    )
    return orphans + count_violations(connection, f"{DAILY_BARS} AND NOT EXISTS ({row})", bounds(part), part)


@invariant("features", blocking=False)
def features_follow_their_bars(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No bar changed after the features of its session, or of a later one that looks back on it, were computed."""
    return count_stale_sessions(connection, "features", parts)
