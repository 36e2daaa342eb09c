"""Asset checks of accounts.

What belongs here: what counts as a violation in `users`. No run of this project writes that table.
"""

from sqlalchemy import Connection

from boursomatic_assets.checks._counting import count_duplicates
from boursomatic_assets.checks.invariant import Finding, invariant


@invariant("users")
def one_account_per_email(connection: Connection) -> Finding:
    """No e-mail address has two accounts, and a unique index enforces it."""
    return count_duplicates(connection, "uq_users_email", "users", "email")
