"""Advisory locks: which rows of `pg_locks` are one, as a condition of SQL.

What belongs here: that condition. Kept elsewhere: taking a lock and waiting for it (`locks.py`,
`tables/staging.py`), what its name says (`tables/claims/`).
"""


def is_lock(key: str, locks: str = "pg_locks") -> str:
    """The condition that a row is an advisory lock of this database that somebody has.

    Args:
        key: An expression for the lock's key, with its parameters: never a value.
        locks: What the statement calls `pg_locks`.
    """
    return (
        f"{locks}.locktype = 'advisory' AND {locks}.objsubid = 1 AND {locks}.granted"
        f" AND {locks}.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        f" AND ({locks}.classid::bigint << 32 | {locks}.objid::bigint) = {key}"
    )


def of_name(name: str) -> str:
    """The key of a lock that has a name, which an expression gives."""
    return f"hashtextextended({name}, 0)"
