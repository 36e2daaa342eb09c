"""Keeping accounts: to create, deactivate, restore, release and erase them.

What belongs here: what an administrator does to an account. Kept elsewhere: finding one (`directory.py`), what an
account does itself (`login.py`, `preferences.py`), commands (`cli/users.py`).

An account is deactivated, never deleted: what refers to its id stays true. Its address stays taken until it is
restored or released; once it is erased, nothing of the person is left but that there was an account.
"""

from typing import Any

from sqlalchemy import Connection, Table, func, update
from sqlalchemy.dialects.postgresql import insert

from boursomatic_assets.accounts import attempts, emails, passwords
from boursomatic_assets.accounts.directory import (
    USERS,
    Account,
    AccountError,
    account_of,
    by_address,
    look_up,
    placeholder,
    require_active,
    select_accounts,
)
from boursomatic_assets.accounts.sessions import administration
from boursomatic_assets.schema import UserSettings

_SETTINGS: Table = UserSettings.__table__


def create(email: str, password: str, *, is_admin: bool = False) -> Account:
    """Create an account with the default settings, and return it.

    Raises:
        EmailError: it is no e-mail address.
        PasswordError: the password is not accepted.
        AccountError: the address is taken.
    """
    address = _new_address(email)
    password_hash = passwords.hashed(password)
    row = {"email": address, "password_hash": password_hash, "is_admin": is_admin}
    with administration() as connection:
        added = insert(USERS).values(id=func.gen_random_uuid(), **row).on_conflict_do_nothing()
        account_id = connection.scalar(added.returning(USERS.c.id))
        if account_id is None:
            raise _taken(by_address(connection, address))
        connection.execute(insert(_SETTINGS).values(id=func.gen_random_uuid(), user_id=account_id))
        return by_address(connection, address)


def require_free(email: str) -> None:
    """Require that an address is free for a new account, before a password is asked for.

    Raises:
        EmailError: it is no e-mail address.
        AccountError: the address is taken, or none that exists.
    """
    address = _new_address(email)
    with administration() as connection:
        taken = look_up(connection, address)
    if taken:
        raise _taken(taken)


def set_password(email: str, password: str) -> Account:
    """Set an account's password, and let it log in at once, whatever attempts failed before.

    Raises:
        PasswordError: the password is not accepted.
        AccountError: there is no such account, or it is deactivated.
    """
    address = emails.normalised(email)
    password_hash = passwords.hashed(password)
    with administration() as connection:
        account = by_address(connection, address, lock=True)
        require_active(account)
        _change(connection, account, password_hash=password_hash)
        attempts.forget(connection, address)
    return account


def deactivate(email: str) -> Account:
    """Stop an account's log-in at once. Its row stays, and its address stays taken.

    Raises:
        AccountError: there is no such account.
    """
    with administration() as connection:
        account = by_address(connection, emails.normalised(email), lock=True)
        return _change(connection, account, is_deleted=True)


def restore(email: str) -> Account:
    """Let a deactivated account log in again, with its password and settings.

    Raises:
        AccountError: there is no such account, or its address is released or erased.
    """
    with administration() as connection:
        account = by_address(connection, emails.normalised(email), lock=True)
        if account.state in ("released", "erased"):
            raise AccountError(f"the account's address was {account.state}, which is final: create a new account")
        return _change(connection, account, is_deleted=False)


def release(email: str) -> Account:
    """Make the address of a deactivated account free for another one. This is final; row and settings stay.

    Raises:
        AccountError: there is no such account, or it is active.
    """
    with administration() as connection:
        account = by_address(connection, emails.normalised(email), lock=True)
        _require_inactive(account)
        if account.state != "deactivated":
            return account
        attempts.forget(connection, account.email)
        return _change(connection, account, email=placeholder(account.id, "released"))


def erase(email: str) -> Account:
    """Erase what is personal of a deactivated account: address, password, settings. This is final; the id stays.

    Raises:
        AccountError: there is no such account, or it is active.
    """
    with administration() as connection:
        account = by_address(connection, emails.normalised(email), lock=True)
        _require_inactive(account)
        attempts.forget(connection, account.email)
        nothing = {"preferred_profile": None, "risk_consent_accepted": False}
        connection.execute(update(_SETTINGS).where(_SETTINGS.c.user_id == account.id).values(nothing))
        erased = {"email": placeholder(account.id, "erased"), "password_hash": passwords.NO_HASH}
        return _change(connection, account, is_admin=False, **erased)


def _new_address(email: str) -> str:
    address = emails.normalised(email)
    if address.endswith(emails.RESERVED):
        raise AccountError(f"no address ends with {emails.RESERVED}: give one that exists")
    return address


def _change(connection: Connection, account: Account, **values: Any) -> Account:
    changed = update(USERS).where(USERS.c.id == account.id).values(values)
    columns = select_accounts().selected_columns
    return account_of(connection.execute(changed.returning(*columns)).one())


def _taken(account: Account) -> AccountError:
    if account.state == "active":
        return AccountError(f"the address {account.email} has an account already: give another one")
    return AccountError(
        f"the address {account.email} belongs to a deactivated account: restore that one, or release its address"
    )


def _require_inactive(account: Account) -> None:
    if account.state == "active":
        raise AccountError(f"the account of {account.email} is active: deactivate it first")
