"""Finding: which recommendation a symbol, a profile and a date mean, or why there is none.

What belongs here: the search, and the reason for a date without one.
Kept elsewhere: what is told of it (`story.py`).
"""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import select

from boursomatic_assets import database
from boursomatic_assets.audit.provenance import rejected_rows
from boursomatic_assets.audit.stored import RECOMMENDATIONS, PublishedSession, session_of
from boursomatic_assets.tables.aliases.names import symbols_of
from boursomatic_assets.tables.grains import INSTRUMENTS
from boursomatic_assets.tables.revisions import read_bars


def find_recommendation(symbol: str, profile: str, date: dt.date | None) -> tuple[PublishedSession, str]:
    """The session and the id of an instrument's current recommendation, the newest or that of a date.

    An id in place of the symbol means that row, superseded or not.

    Raises:
        ValueError: As `tell`.
    """
    if identifier := _as_id(symbol):
        return session_of(identifier), str(identifier)
    ids = _instrument_ids(symbol)
    r = RECOMMENDATIONS.c
    query = select(r.id).where(r.instrument_id.in_(ids), r.profile == profile, r.superseded_at.is_(None))
    if date:
        day = dt.datetime.combine(date, dt.time())
        query = query.where(r.as_of >= day, r.as_of < day + dt.timedelta(days=1))
    with database.engine().connect() as connection:
        found = connection.scalar(query.order_by(r.as_of.desc()).limit(1))
    if found is None:
        raise ValueError(_explain_none(symbol, ids, date))
    return session_of(found), str(found)


def find_earlier(session: PublishedSession, identifier: str) -> tuple[PublishedSession, str]:
    """The session and the id of the current recommendation before another one, of its instrument and profile.

    Raises:
        ValueError: There is none.
    """
    r, own = RECOMMENDATIONS.c, RECOMMENDATIONS.alias("own").c
    query = select(r.id).where(
        own.id == identifier, r.instrument_id == own.instrument_id, r.profile == own.profile,
        r.superseded_at.is_(None), r.as_of < session.as_of,
    )  # fmt: skip
    with database.engine().connect() as connection:
        found = connection.scalar(query.order_by(r.as_of.desc()).limit(1))
    if found is None:
        raise ValueError(f"there is no recommendation before that of {session}: name a later session with --to")
    return session_of(found), str(found)


def _as_id(symbol: str) -> UUID | None:
    try:
        return UUID(symbol)
    except ValueError:  # it is a symbol
        return None


def _instrument_ids(symbol: str) -> list[Any]:
    """The ids of the instrument that a symbol names, now or before a merge.

    Raises:
        ValueError: It names none, or several.
    """
    name, _, exchange = symbol.rpartition("@") if "@" in symbol else (symbol, "", "")
    i = INSTRUMENTS.c
    query = select(i.id, i.symbol, i.exchange).where(i.symbol.in_(symbols_of(name)))
    with database.engine().connect() as connection:
        found = connection.execute(query.where(i.exchange == exchange) if exchange else query).all()
    own = [f"{row.symbol}@{row.exchange}" for row in found if row.symbol == name]
    if not found:
        raise ValueError(f"there is no instrument {symbol!r}: `boursomatic instruments list` lists them")
    if len(own) > 1:
        raise ValueError(f"{name} is listed more than once: name one of {', '.join(sorted(own))}")
    return [row.id for row in found]


def _explain_none(symbol: str, ids: list[Any], date: dt.date | None) -> str:
    """Why an instrument has no recommendation of a date."""
    r, i = RECOMMENDATIONS.c, INSTRUMENTS.c
    standing = select(r.id).where(r.instrument_id.in_(ids), r.superseded_at.is_(None))
    with database.engine().connect() as connection:
        newest = connection.scalar(standing.order_by(r.as_of.desc()).limit(1))
        listed = connection.execute(select(i.symbol, i.exchange).where(i.id.in_(ids))).all()
    if newest is None or date is None:
        return f"{symbol} has no recommendation yet: `boursomatic backfill` makes recommendations"
    last = session_of(newest)
    last_date = last.as_of.date()
    if not last.market.is_session(date):
        return f"{date} is no session of {last.market.name}: the last recommendation of {symbol} is of {last_date}"
    asked = PublishedSession(last.market, last.market.close_time(date))
    bars = read_bars(asked.part)
    if bars.is_empty():
        return f"no bars of {asked} are stored: `boursomatic backfill` loads bars"
    if any(row in {tuple(name) for name in listed} for row in bars.select("symbol", "exchange").iter_rows()):
        return (
            f"{symbol} has a bar of {asked} and no recommendation: too few bars, no model yet, or not computed yet"
        )
    rejected = [f"{one['reason']} ({one['file']}:{one['line']})" for one in rejected_rows(asked, symbol)]
    why = (
        f"was rejected: {'; '.join(rejected)}"
        if rejected
        else "is missing: it did not trade, or was not delivered"
    )
    return f"{symbol} has no recommendation of {asked}, since its bar {why}; its last is of {last_date}"
