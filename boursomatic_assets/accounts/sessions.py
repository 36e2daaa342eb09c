"""Sessions of the database: as whom accounts are read and written.

What belongs here: transactions of the roles `app` and `account_admin`. Kept elsewhere: what the roles may do
(`migrations/`), their addresses (`database/`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection, func, select

from boursomatic_assets import database


@contextmanager
def acting_as(account_id: UUID) -> Iterator[Connection]:
    """A transaction of an application that serves one account: it sees this account's rows alone."""
    with database.engine("app").begin() as connection:
        connection.execute(select(func.set_config("app.user_id", str(account_id), True)))
        yield connection


@contextmanager
def administration() -> Iterator[Connection]:
    """A transaction of whoever keeps accounts: it sees all of them."""
    with database.engine("account_admin").begin() as connection:
        yield connection
