"""The settings of patience: how long a process waits for the database.

What belongs here: the functions that `database/` and the command line ask. Kept elsewhere: the variables
(`variables.py`), waiting itself (`database/waiting.py`, `database/locks.py`).
"""

from boursomatic_assets.settings.environment import settings_with_valid


def database_wait() -> int:
    """Return how many seconds a run waits for a server that is away, `BOURSOMATIC_DATABASE_WAIT`."""
    return settings_with_valid("BOURSOMATIC_DATABASE_WAIT").BOURSOMATIC_DATABASE_WAIT


def lock_wait() -> int:
    """Return how many seconds a command waits for a lock, `BOURSOMATIC_LOCK_WAIT`."""
    return settings_with_valid("BOURSOMATIC_LOCK_WAIT").BOURSOMATIC_LOCK_WAIT
