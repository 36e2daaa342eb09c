"""The database: which PostgreSQL it is, how it is reached, and its schema's revision.

What belongs here: addresses and connections (this face), why a database cannot be reached (`errors.py`),
migrations (`migrate.py`), and the embedded server (`embedded/`).
Kept elsewhere: what the tables look like (`schema/`), rows into and out of them (`tables/`).
"""

from boursomatic_assets.database.addresses import dagster_url, database_url
from boursomatic_assets.database.connections import arrow_connection, connect, disconnect, engine
from boursomatic_assets.database.creation import create_databases
from boursomatic_assets.database.errors import DatabaseError

__all__ = [
    "DatabaseError",
    "arrow_connection",
    "connect",
    "create_databases",
    "dagster_url",
    "database_url",
    "disconnect",
    "engine",
]
