"""Pooling: whether sessions are shared between clients by a pooler in front of the server.

What belongs here: finding that out. Kept elsewhere: who says so (`cli/views/diagnosis/`), what it
takes of a pooler (`docs/replica.md`).

Runs hold advisory locks of their session, by which others see that they live, and a session has settings. So each
client must have a session of its own for as long as it is connected: PgBouncer's `pool_mode = session`. With
`transaction` or `statement` a lock stays with a session that others then use.
"""

from sqlalchemy import URL

from boursomatic_assets.database.connections import connect


def shares_sessions(url: URL) -> bool:
    """Return whether clients of an address share sessions: seen by two that are connected at once.

    Each of them asks twice for the process of the server that answers it. With a session of its own it is one
    process that the other never meets.

    Raises:
        DatabaseError: The server cannot be reached.
    """
    with connect(url) as one, connect(url) as other:
        one.autocommit = other.autocommit = True
        seen = []
        for client in (one, one, other, other):
            row = client.execute("SELECT pg_backend_pid()").fetchone()
            seen.append(row and row[0])
    return not (seen[0] == seen[1] != seen[2] == seen[3])
