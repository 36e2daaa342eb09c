"""The directory of accounts: which there are, and what state each is in.

What belongs here: what an account is, and finding it by its address. Kept elsewhere: what changes one
(`keeping.py`), its preferences (`preferences.py`).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, Select, Table, func, select

from boursomatic_assets.accounts import emails
from boursomatic_assets.accounts.sessions import administration
from boursomatic_assets.schema import User

State = Literal["active", "deactivated", "released", "erased"]

USERS: Table = User.__table__


class AccountError(ValueError):
    """What is asked of an account cannot be done; the message says why, and what to do."""


@dataclass(frozen=True)
class Account:
    """An account, without its password's hash.

    Attributes:
        id: Its id, which never changes.
        email: Its address; one that ends with `.invalid` when it is released or erased.
        is_admin: Whether it is an administrator's.
        state: Whether it can log in, and if not, what became of it.
        created_at: When it was created, in UTC.
    """

    id: UUID
    email: str
    is_admin: bool
    state: State
    created_at: dt.datetime


def every_account() -> list[Account]:
    """Return all accounts, the oldest first."""
    u = USERS.c
    with administration() as connection:
        return [account_of(row) for row in connection.execute(select_accounts().order_by(u.created_at, u.id))]


def find(email: str) -> Account:
    """Return the account of an address.

    Raises:
        EmailError: it is no e-mail address.
        AccountError: there is no such account.
    """
    with administration() as connection:
        return by_address(connection, emails.normalised(email))


def find_active(email: str) -> Account:
    """Return the account of an address, if it can log in.

    Raises:
        EmailError: it is no e-mail address.
        AccountError: there is no such account, or it is deactivated.
    """
    account = find(email)
    require_active(account)
    return account


def by_address(connection: Connection, address: str, *, lock: bool = False) -> Account:
    """Return the account of a normalised address; `lock` holds its row until the transaction ends.

    Raises:
        AccountError: there is no such account.
    """
    account = look_up(connection, address, lock=lock)
    if account is None:
        raise AccountError(f"there is no account of {address}: `boursomatic users list` shows all")
    return account


def look_up(connection: Connection, address: str, *, lock: bool = False) -> Account | None:
    """Return the account of a normalised address; None if there is none."""
    matching = select_accounts().where(func.lower(USERS.c.email) == func.lower(address))
    row = connection.execute(matching.with_for_update() if lock else matching).one_or_none()
    return account_of(row) if row else None


def select_accounts() -> Select[Any]:
    """The query of the columns of which `account_of` makes an account."""
    u = USERS.c
    return select(u.id, u.email, u.is_admin, u.is_deleted, u.created_at)


def account_of(row: Row[Any]) -> Account:
    """Return the account of a row."""
    state: State = "deactivated" if row.is_deleted else "active"
    if row.is_deleted and row.email == placeholder(row.id, "released"):
        state = "released"
    elif row.is_deleted and row.email == placeholder(row.id, "erased"):
        state = "erased"
    return Account(row.id, row.email, row.is_admin, state, row.created_at)


def placeholder(account_id: UUID, state: State) -> str:
    """The address of an account that has none: one that nobody else can have, and that no mail reaches."""
    return f"{account_id}@{state}{emails.RESERVED}"


def require_active(account: Account) -> None:
    """Require that an account can log in.

    Raises:
        AccountError: it is deactivated, released or erased.
    """
    if account.state != "active":
        raise AccountError(f"the account is {account.state}: only an active one can be changed")
