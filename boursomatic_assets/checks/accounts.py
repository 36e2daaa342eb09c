"""Asset checks of accounts.

What belongs here: what counts as a violation in `users`. Checks run as the writer, who sees counts of accounts and
nothing else. No run of this project writes that table.
"""

from sqlalchemy import Connection, text

from boursomatic_assets.checks.findings.counting import check_unique_index
from boursomatic_assets.checks.invariant import Finding, invariant


@invariant("users")
def one_account_per_email(connection: Connection) -> Finding:
    """No e-mail address has two accounts, and a unique index enforces it."""
    counted = text("SELECT repeated FROM account_counts WHERE table_name = 'users'")
    repeated = connection.scalar(counted) or 0
    return Finding(errors=repeated, figures={"repeated": repeated}) + check_unique_index(
        connection, "uq_users_email"
    )
