"""Activity: an instrument without bars for a month of sessions is inactive; it is never deleted.

What belongs here: `instruments.is_active`, derived from bars. Kept elsewhere: the other columns of an instrument,
which come from its source (`assets/instruments.py`), and what becomes of its recommendations (`expiry.py`).
"""

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.tables import expiry
from boursomatic_assets.tables.staging import advisory_lock

SESSIONS_UNTIL_INACTIVE = 20
"""Sessions of its market without a bar after which an instrument is inactive."""

_CHANGED_INSTRUMENTS = text(
    "WITH sessions AS (SELECT session FROM computed_sessions WHERE asset = 'price_bars' AND market = :market"
    "   ORDER BY session DESC LIMIT :session_count),"
    " last_bars AS (SELECT i.id, i.is_active, last.ts >= (SELECT min(session) FROM sessions) AS trades"
    "   FROM instruments i CROSS JOIN LATERAL (SELECT b.ts FROM price_bars b"
    "     WHERE b.instrument_id = i.id AND b.interval = 'daily' ORDER BY b.ts DESC LIMIT 1) last"
    "   WHERE i.exchange = ANY(:exchanges) AND (SELECT count(*) FROM sessions) = :session_count)"
    " SELECT id FROM last_bars WHERE is_active <> trades"
)


def update_activity(connection: Connection, market: Market) -> int:
    """Flag a market's instruments active if they have a bar in its last SESSIONS_UNTIL_INACTIVE loaded sessions.

    Runs in the transaction that writes bars, and ends with what follows for recommendations. One writer per market
    at a time, until its commit: it must see the sessions of those before it. An instrument that never had a bar
    stays as it is.

    Returns:
        How many instruments changed.
    """
    parameters = {
        "market": market.name,
        "session_count": SESSIONS_UNTIL_INACTIVE,
        "exchanges": list(market.exchanges),
    }
    advisory_lock(connection, f"instruments|{market.name}|active")
    changed = connection.scalars(_CHANGED_INSTRUMENTS, parameters).all()
    if changed:
        connection.execute(
            text("UPDATE instruments SET is_active = NOT is_active, updated_at = now() WHERE id = ANY(:ids)"),
            {"ids": changed},
        )
    expiry.update_active(connection, market)
    return len(changed)
