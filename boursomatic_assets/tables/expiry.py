"""Expiry: which recommendations are active, and why a newest one is not.

What belongs here: `recommendations.is_active`, and its log `recommendation_expiries`.
Kept elsewhere: how rows are written and superseded (`merging.py`), which instruments trade (`activity.py`).

Of each instrument and profile the current row of the newest session is active until it expires: when its horizon
has ended, or its instrument is inactive. Both are judged by the market's newest loaded session, the newest one
that has bars; so a backfill of the past is judged by what is loaded now, and any order of loading ends in the same
active rows. Rows of merged instruments are never active.
"""

import datetime as dt

import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import Market
from boursomatic_assets.tables.aliases.names import MERGED_IDS
from boursomatic_assets.tables.staging import advisory_lock
from boursomatic_assets.vocabulary import PROFILES

# Each newest row is found by its index: with wrong statistics a join looks for the newest session once per row.
_NEWEST = text(
    "SELECT r.id::text, r.as_of::date, r.horizon_days, r.is_active, i.is_active AS trades, logged.reason AS logged"
    " FROM instruments i CROSS JOIN unnest(CAST(:profiles AS text[])) AS p(profile)"
    " CROSS JOIN LATERAL (SELECT n.id, n.as_of, n.horizon_days, n.is_active FROM recommendations n"
    "   WHERE n.instrument_id = i.id AND n.profile = p.profile AND n.superseded_at IS NULL"
    "   ORDER BY n.as_of DESC LIMIT 1) r"
    " LEFT JOIN LATERAL (SELECT e.reason FROM recommendation_expiries e WHERE e.recommendation_id = r.id"
    "   ORDER BY e.decided_at DESC LIMIT 1) logged ON true"
    f" WHERE i.exchange = ANY(:exchanges) AND i.id NOT IN ({MERGED_IDS})"
)
_NEWEST_COLUMNS = {
    "id": pl.String,
    "as_of": pl.Date,
    "horizon_days": pl.Int32,
    "is_active": pl.Boolean,
    "trades": pl.Boolean,
    "logged": pl.String,
}
_NEWEST_LOADED = text(
    "SELECT max(session)::date FROM computed_sessions WHERE asset = 'price_bars' AND market = :market"
)
_DEACTIVATE = text(
    "UPDATE recommendations t SET is_active = false WHERE t.is_active AND t.id <> ALL(CAST(:ids AS uuid[]))"
    " AND t.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))"
)
_ACTIVATE = text("UPDATE recommendations SET is_active = true WHERE id = ANY(CAST(:ids AS uuid[]))")
_LOG = text(
    "INSERT INTO recommendation_expiries (id, recommendation_id, session, reason)"
    " SELECT gen_random_uuid(), changed.id, :session, changed.reason"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS changed(id, reason)"
)


def lock_active(connection: Connection, market: Market) -> None:
    """Let one writer at a time decide which rows of a market are active, until its commit."""
    advisory_lock(connection, f"recommendations|{market.name}|active")


def update_active(connection: Connection, market: Market) -> None:
    """Make the newest rows of a market active that have not expired, and no others; log what expired and why.

    Runs in each transaction that writes bars or recommendations. What is right already is not touched.
    """
    lock_active(connection, market)
    newest = read_newest(connection, market)
    active = newest.filter(pl.col("reason").is_null())
    parameters = {"ids": active["id"].to_list(), "exchanges": list(market.exchanges)}
    connection.execute(_DEACTIVATE, parameters)
    if activated := active.filter(~pl.col("is_active"))["id"].to_list():
        connection.execute(_ACTIVATE, {"ids": activated})
    changed = newest.filter(unlogged())
    if changed.height:
        reasons = changed["reason"].fill_null("renewed")
        connection.execute(
            _LOG,
            {
                "session": newest_loaded_session(connection, market),
                "ids": changed["id"].to_list(),
                "reasons": reasons.to_list(),
            },
        )


def read_newest(connection: Connection, market: Market) -> pl.DataFrame:
    """The current row of the newest session of each instrument and profile of a market.

    Returns:
        id (text), as_of (date), horizon_days, is_active, trades (whether the instrument is active), logged (the
        last reason in the log, null without one), reason (why it has expired, null while it has not).
    """
    parameters = {"profiles": list(PROFILES), "exchanges": list(market.exchanges)}
    rows = pl.DataFrame(connection.execute(_NEWEST, parameters).all(), _NEWEST_COLUMNS, orient="row")
    loaded = newest_loaded_session(connection, market)
    if loaded is None:
        return rows.with_columns(reason=pl.lit(None, pl.String))
    sessions = market.sessions()
    begun = np.searchsorted(sessions, rows["as_of"].to_numpy(), side="right")
    elapsed = np.searchsorted(sessions, np.datetime64(loaded), side="right") - begun
    has_ended = pl.Series(elapsed) >= rows["horizon_days"]
    return rows.with_columns(
        reason=pl.when(has_ended).then(pl.lit("horizon")).when(~pl.col("trades")).then(pl.lit("inactive"))
    )


def newest_loaded_session(connection: Connection, market: Market) -> dt.date | None:
    """The newest session of a market that has daily bars, by the log of computations; None before the first."""
    loaded: dt.date | None = connection.scalar(_NEWEST_LOADED, {"market": market.name})
    return loaded


def unlogged() -> pl.Expr:
    """Whether the log does not say of a newest row what holds: that it has expired, or that it has not."""
    in_force = pl.col("logged").is_not_null() & (pl.col("logged") != "renewed").fill_null(False)
    return pl.col("reason").is_not_null() != in_force
