"""The database: the PostgreSQL server, its addresses and connections, and the revision of the schema.

What belongs here: addresses (`addresses.py`), connections (`connections.py`), empty databases (`creation.py`),
errors of connections and statements (`errors.py`), waiting for a server that is away (`waiting.py`), for whom a
transaction waits (`locks.py`), migrations (`migrate.py`, `partitioning.py`), dumps (`dumps.py`), the server's
clock (`server_time.py`), poolers in front of it (`pooling.py`), replicas of it (`replica/`), and the embedded
server (`embedded/`). Kept elsewhere: the tables (`schema/`), reading and writing rows (`tables/`).
"""

from boursomatic_assets.database.addresses import dagster_url, database_url
from boursomatic_assets.database.connections import arrow_connection, connect, disconnect, engine, let_go
from boursomatic_assets.database.creation import create_databases
from boursomatic_assets.database.errors import AwayError, DatabaseError
from boursomatic_assets.database.waiting import again

__all__ = [
    "AwayError",
    "DatabaseError",
    "again",
    "arrow_connection",
    "connect",
    "create_databases",
    "dagster_url",
    "database_url",
    "disconnect",
    "engine",
    "let_go",
]
