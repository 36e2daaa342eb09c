"""Roles: as whom the platform connects.

What belongs here: the names of the roles, and what each is for. Kept elsewhere: their addresses (`addresses.py`).
"""

from typing import Literal

Role = Literal["owner", "writer", "app", "account_admin", "reader"]
"""`owner` migrates; `writer` runs assets and commands; `account_admin` keeps accounts; `app` is an application
that serves one account at a time; `reader` is for notebooks and reports."""
