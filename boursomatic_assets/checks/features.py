"""Asset checks of features.

What belongs here: what counts as a violation there, and which sessions are stale (`stale`), for other checks too.
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.bars import BARS, INSTRUMENT, MINE
from boursomatic_assets.checks.check import Finding, count, invariant, unique
from boursomatic_assets.features.indicators import LOOKBACK
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.staging import bounds

FEATURES = f"features t {INSTRUMENT} WHERE t.ts >= :start AND t.ts < :end AND {MINE}"


@invariant("features")
def one_feature_row_per_instrument_and_session(connection: Connection, part: Slice) -> Finding:
    """No instrument has two rows for one session, and a unique index guards it."""
    return unique(connection, "idx_features_instrument_ts", FEATURES, "t.instrument_id, t.ts", bounds(part))


@invariant("features")
def features_are_possible(connection: Connection, part: Slice) -> Finding:
    """Features are finite, RSI lies in 0..100, volatility and true range are not negative."""
    names = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore")
    infinite = " OR ".join(f"NOT (t.{name} > '-Infinity' AND t.{name} < 'Infinity')" for name in names)
    impossible = f"{infinite} OR t.rsi_14 NOT BETWEEN 0 AND 100 OR t.vol_20d < 0 OR t.atr_14 < 0"
    return count(connection, f"{FEATURES} AND ({impossible})", bounds(part))


@invariant("features")
def features_and_bars_match(connection: Connection, part: Slice) -> Finding:
    """Every row has its instrument and its daily bar, and every daily bar has its row."""
    same = "x.instrument_id = t.instrument_id AND x.ts = t.ts"
    bar, row = (
        f"SELECT FROM price_bars x WHERE {same} AND x.interval = 'daily'",
        f"SELECT FROM features x WHERE {same}",
    )
    orphans = count(connection, f"{FEATURES} AND (i.id IS NULL OR NOT EXISTS ({bar}))", bounds(part))
    return orphans + count(connection, f"{BARS} AND NOT EXISTS ({row})", bounds(part))


@invariant("features", blocking=False)
def features_follow_their_bars(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No bar changed after the features of its session, or of a later one that looks back on it, were computed."""
    return stale(connection, "features", parts)


def stale(connection: Connection, asset: str, parts: Sequence[Slice]) -> Finding:
    """A warning for each session that does not follow its inputs, as far on as a slice is looked back on."""
    found: set[tuple[str, dt.date]] = set()
    for part in parts:
        late = staleness.stale_sessions(connection, asset, part.looking_ahead(LOOKBACK))
        found |= {(part.market.name, session) for session in late}
    sessions = sorted(session for _, session in found)
    return Finding(warnings=len(found), figures={"sessions": f"{sessions[0]} .. {sessions[-1]}"} if found else {})
