"""Asset checks of accounts, which no run here writes."""

from sqlalchemy import Connection

from boursomatic_assets.checks.check import Finding, invariant, unique


@invariant("users")
def one_account_per_email(connection: Connection) -> Finding:
    """No e-mail address has two accounts, and a unique index guards it."""
    return unique(connection, "uq_users_email", "users", "email")
