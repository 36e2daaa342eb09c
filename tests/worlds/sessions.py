"""Sessions of a market as the tables know them, without bars: what was delivered, computed and advised."""

import datetime as dt

from sqlalchemy import Engine, text

STEPS = ("price_bars", "features", "recommendations")

_DELIVER = text(
    "INSERT INTO delivered_sessions"
    " (id, market, session, interval, source, delivered, kept, merged, rejected, repaired, provisional)"
    " VALUES (gen_random_uuid(), :market, :session, 'daily', 'test', :rows, :rows, 0, 0, 0, :provisional)"
    " ON CONFLICT (market, session, interval) DO UPDATE SET delivered = :rows, kept = :rows,"
    " provisional = :provisional"
)
_COMPUTE = text(
    "INSERT INTO computed_sessions (id, asset, market, session, computed_at, changed_at)"
    " VALUES (gen_random_uuid(), :asset, :market, :session, clock_timestamp(), clock_timestamp())"
    " ON CONFLICT (asset, market, session) DO UPDATE SET computed_at = excluded.computed_at,"
    " changed_at = excluded.changed_at"
)


def load(engine: Engine, market: str, *sessions: str, provisional: bool = False, rows: int = 12) -> None:
    """Deliver sessions; nothing is computed from them yet."""
    compute(engine, market, *sessions, steps=STEPS[:1])
    with engine.begin() as connection:
        for session in sessions:
            given = {"market": market, "session": dt.date.fromisoformat(session)}
            connection.execute(_DELIVER, given | {"rows": rows, "provisional": provisional})


def compute(engine: Engine, market: str, *sessions: str, steps: tuple[str, ...] = STEPS[1:]) -> None:
    """Compute sessions, step by step."""
    with engine.begin() as connection:
        for asset in steps:
            for session in sessions:
                given = {"asset": asset, "market": market, "session": dt.date.fromisoformat(session)}
                connection.execute(_COMPUTE, given)


def finish(engine: Engine, market: str, *sessions: str) -> None:
    """Deliver sessions, compute and advise."""
    load(engine, market, *sessions)
    compute(engine, market, *sessions)
