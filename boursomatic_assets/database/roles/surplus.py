"""Surplus: what a connected role may do beyond a writer's work.

What belongs here: the questions to the server. Kept elsewhere: what is granted (`privileges.py`).
"""

from typing import Final

from sqlalchemy import Connection, text

SURPLUS: Final = {
    "it is a superuser": "SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
    "it may create roles": "SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user",
    "it owns tables, and may drop them": (
        "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND pg_has_role(relowner, 'USAGE'))"
    ),
    "it may create tables": "SELECT has_schema_privilege('public', 'CREATE')",
    "it may read password hashes": "SELECT has_column_privilege('users', 'password_hash', 'SELECT')",
    "it may change what was recommended": (
        "SELECT has_column_privilege('recommendations', 'label', 'UPDATE')"
        " OR has_table_privilege('recommendations', 'DELETE')"
    ),
}
"""What a writer may not do, each with the statement that finds out."""


def surplus_of_writer(connection: Connection) -> list[str]:
    """What the connected role may do that a writer may not; empty if nothing."""
    return [named for named, query in SURPLUS.items() if connection.scalar(text(query))]
