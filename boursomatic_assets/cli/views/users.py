"""What the command line shows of accounts.

What belongs here: accounts and preferences as text and JSON, never a password or its hash; the recommendations
that an account sees, by the view `user_recommendations` as an application queries it, or why there are none.
Kept elsewhere: options (`cli/users.py`, `cli/results.py`), what accounts are (`accounts/`), recommendations as a
table (`recommendations.py`).
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Table, Text, cast, column, select, table

from boursomatic_assets.accounts import Account, AccountError, Preferences, acting_as, login, preferences
from boursomatic_assets.calendars.markets import market_named
from boursomatic_assets.cli.views.text import as_lines
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


def as_line(account: Account) -> str:
    """An account in one line: its address, id and state."""
    return f"{account.email}  {account.id}  {account.state}"


def list_as_table(every: Sequence[Account]) -> str:
    """Accounts as aligned lines."""
    if not every:
        return "there are no accounts: `boursomatic users create EMAIL` makes one"
    return as_lines([{name: _as_text(value) for name, value in _fields(account).items()} for account in every])


def list_as_json(every: Sequence[Account]) -> str:
    """Accounts as a JSON array of objects."""
    return json.dumps([_fields(account) for account in every], indent=2)


def as_text(account: Account, chosen: Preferences) -> str:
    """An account with its preferences, a fact a line."""
    facts = _fields(account) | _chosen(chosen)
    return "\n".join(f"{name + ':':<12}{_as_text(value)}" for name, value in facts.items())


def as_json(account: Account, chosen: Preferences) -> str:
    """An account with its preferences as a JSON object."""
    return json.dumps(_fields(account) | _chosen(chosen), indent=2)


def recommendations_of(
    email: str, market: str | None = None, symbol: str | None = None, label: str | None = None
) -> pl.DataFrame:
    """The active recommendations that an account sees, of one market, symbol or label if asked for.

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
    if label:
        statement = statement.where(v.label == label)
    types = {part.name: polars_type(part) for part in _SHOWN}
    with acting_as(account_id) as connection:
        found = pl.read_database(statement, connection, schema_overrides=types)
        if found.is_empty():
            raise AccountError(_explain_none(connection, account_id))
    return found


def _fields(account: Account) -> dict[str, str | bool | None]:
    return {
        "email": account.email,
        "id": str(account.id),
        "state": account.state,
        "admin": account.is_admin,
        "created_at": _time(account.created_at),
    }


def _chosen(chosen: Preferences) -> dict[str, str | bool | None]:
    return {"profile": chosen.profile, "consent": chosen.consent, "consent_at": _time(chosen.consent_at)}


def _time(moment: dt.datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _as_text(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value or ""


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
