"""Moments: transactions in which all that is read is as it was at one moment.

What belongs here: how such a transaction begins. Kept elsewhere: what is read in it (`queries.py`, `checks/`,
`audit/`), the moment of a backup, which knows no table by name (`database/dumps.py`).

A migration, or `boursomatic db partition`, makes a table anew. A transaction that took its snapshot before, and
reads the table afterwards, finds the new one, whose rows its snapshot does not see: an empty table. So a
transaction first keeps the tables from being made anew until it ends, and takes its snapshot then.
"""

from typing import Final

from sqlalchemy import Connection

from boursomatic_assets.database.roles.privileges import privileges_of
from boursomatic_assets.schema import Table

_OF_NOW: Final = {"run_claims", "alerts"}
"""Tables of which nobody reads a moment. They change all the time; on a replica their vacuum waits for locks."""

_READ: Final = [
    name
    for name in (*Table.metadata.tables, "account_counts")  # the writer sees accounts through this view alone
    if any(privilege.word == "SELECT" for privilege in privileges_of(name, "writer")) and name not in _OF_NOW
]

_KEEP_TABLES: Final = f"LOCK TABLE {', '.join(f'ONLY public.{name}' for name in _READ)} IN ACCESS SHARE MODE"
"""Partitions need no lock: nobody makes one anew without its table."""

BEGINNING: Final = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", _KEEP_TABLES)
"""What a transaction that sees one moment begins with."""


def see_one_moment(connection: Connection) -> None:
    """Let a connection's transaction, which has not begun, see what is committed by its first query."""
    for statement in BEGINNING:
        connection.exec_driver_sql(statement)


def keep_tables(connection: Connection) -> None:
    """Keep tables from being made anew for as long as a transaction lasts.

    A statement that takes its snapshot before its locks needs it, as REFRESH MATERIALIZED VIEW does.
    """
    connection.exec_driver_sql(_KEEP_TABLES)
