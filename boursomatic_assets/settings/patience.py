"""Patience: how long this process waits for the database, for the store, and for a lock.

What belongs here: the settings that say so, whether the process only looks, and pauses that grow.
Kept elsewhere: the variables (`variables.py`), waiting itself (`database/waiting.py`, `database/locks.py`,
`stores/waiting.py`).
"""

import random
from collections.abc import Iterator

from boursomatic_assets.settings.environment import settings_with_valid

LOOKING_SECONDS = 5.0
"""How long a command waits at most that only looks: a person sits before it."""

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.1, 5.0, 1.6


class _Process:
    """How this process waits."""

    only_looks = True


def be_patient() -> None:
    """Let this process wait as long as a run does, from now on."""
    _Process.only_looks = False


def only_looks() -> bool:
    """Return whether this process only looks: then it waits for LOOKING_SECONDS at most."""
    return _Process.only_looks


def pauses() -> Iterator[float]:
    """Pauses in seconds that grow, without an end; no two processes have the same ones."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.7, 1.3)  # noqa: S311 # nosec B311
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def database_wait() -> int:
    """Return how many seconds a run waits for a server that is away, `BOURSOMATIC_DATABASE_WAIT`."""
    return settings_with_valid("BOURSOMATIC_DATABASE_WAIT").BOURSOMATIC_DATABASE_WAIT


def store_wait() -> int:
    """Return how many seconds a run waits for a store that is away, `BOURSOMATIC_STORE_WAIT`."""
    return settings_with_valid("BOURSOMATIC_STORE_WAIT").BOURSOMATIC_STORE_WAIT


def lock_wait() -> int:
    """Return how many seconds a command waits for a lock, `BOURSOMATIC_LOCK_WAIT`."""
    return settings_with_valid("BOURSOMATIC_LOCK_WAIT").BOURSOMATIC_LOCK_WAIT
