"""The embedded server: a real PostgreSQL from a wheel, started once and shared by every process of a home.

What belongs here: its programs, its place on the disk, and its life. Kept elsewhere: how it is reached
(`database/connections.py`).
"""

from boursomatic_assets.database.embedded.server import DATABASES, Server, ensure_running, status, stop

__all__ = ["DATABASES", "Server", "ensure_running", "status", "stop"]
