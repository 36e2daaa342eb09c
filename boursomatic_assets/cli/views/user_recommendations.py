"""What the command line shows of the recommendations that an account sees.

What belongs here: the query of the view `user_recommendations`, as an application makes it, and why it has no
rows. Kept elsewhere: options (`cli/results.py`), the table as text (`recommendations.py`).
"""

from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Table, Text, cast, column, select, table

from boursomatic_assets.accounts import AccountError, acting_as, login, preferences
from boursomatic_assets.calendars.markets import market_named
from boursomatic_assets.schema import Instrument, ModelVersion, Recommendation, User
from boursomatic_assets.tables.aliases.names import symbols_of
from boursomatic_assets.tables.frames import polars_type

_USERS: Table = User.__table__
_R, _I, _V = (model.__table__.c for model in (Recommendation, Instrument, ModelVersion))

_SHOWN: tuple[Any, ...] = (
    _I.symbol, _I.exchange, _R.profile, _R.label, _R.view, _R.confidence, _R.expected_return_pct, _R.horizon_days,
    _R.stop_loss, _R.take_profit, _R.as_of, _V.version, _R.justification, _R.id,
)  # fmt: skip
_VIEW = table("user_recommendations", *(column(shown.name, shown.type) for shown in _SHOWN))


def recommendations_of(email: str, market: str | None = None, symbol: str | None = None) -> pl.DataFrame:
    """The active recommendations that an account sees, of one market or symbol if asked for.

    Raises:
        EmailError: It is no e-mail address.
        AccountError: There is no such account, or it sees none; the message says why.
    """
    account_id = login.account_id(email)
    if account_id is None:
        raise AccountError("there is no such account: `boursomatic users list` shows all")
    v = _VIEW.c
    shown = [cast(part, Text).label("id") if part.name == "id" else part for part in v]
    statement = select(*shown).order_by(v.exchange, v.symbol)
    if market:
        statement = statement.where(v.exchange.in_(market_named(market).exchanges))
    if symbol:
        statement = statement.where(v.symbol.in_(symbols_of(symbol)))
    types = {part.name: polars_type(part) for part in _SHOWN}
    with acting_as(account_id) as connection:
        found = pl.read_database(statement, connection, schema_overrides=types)
        if found.is_empty():
            raise AccountError(_explain_none(connection, account_id))
    return found


def _explain_none(connection: Connection, account_id: UUID) -> str:
    """Why an account sees no recommendation, and what to do."""
    if connection.scalar(select(_USERS.c.is_deleted).where(_USERS.c.id == account_id)):
        return "the account is deactivated: `boursomatic users restore EMAIL` restores it"
    chosen = preferences.read(connection, account_id)
    if not chosen.consent:
        return "the account has not accepted the risk disclosure: `boursomatic users consent EMAIL` records that"
    if not chosen.profile:
        return "the account prefers no profile: `boursomatic users settings EMAIL --profile PROFILE` sets one"
    return f"there are no such recommendations of the profile {chosen.profile}: `boursomatic backfill` makes some"
