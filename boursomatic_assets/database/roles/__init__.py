"""Roles: as whom somebody connects, and what he may do.

What belongs here: the names of the roles, what each may do with each table (`privileges.py`), the statements that
make it so (`grants.py`), and passwords of roles that log in (`logins.py`).
Kept elsewhere: the addresses of each role (`database/addresses.py`), row-level security and functions with the
owner's rights (`migrations/`).

The owner of the tables migrates. All other work is done as a role that has no more rights than it needs, so that
whoever takes over one of them cannot read a password hash, change what was published, or drop a table.
"""

from typing import Final

from boursomatic_assets import settings
from boursomatic_assets.vocabulary import Role

PURPOSES: Final[dict[Role, str]] = {
    "writer": "assets, the daemon and commands: market data, features, models, recommendations; no account",
    "app": "an application that serves one account at a time: that account's row, and its recommendations",
    "account_admin": "`boursomatic users`: accounts, and nothing else",
    "reader": "notebooks and reports: all but accounts, read only",
}


def role_name(role: Role) -> str:
    """The name of a role on the server, with `BOURSOMATIC_ROLE_PREFIX`."""
    return settings.role_prefix() + role
