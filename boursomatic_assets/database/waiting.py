"""Waiting for the server: how long this process waits while it is away, and work that is done again afterwards.

What belongs here: waiting until it answers, and repeating what a lost connection has cut off.
Kept elsewhere: how long a process waits, and in which pauses (`settings/patience.py`), connecting
(`connections.py`), which error means what (`errors.py`).
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from boursomatic_assets import absorbed
from boursomatic_assets.database.errors import AwayError, is_lost
from boursomatic_assets.settings import patience

Result = TypeVar("Result")

SAY_SECONDS = 2.0
"""How long one waits in silence."""

MOST_REPETITIONS = 3
"""How often work is done again in a row; after that it may be the work that makes the server end."""


_log = logging.getLogger(__name__)


class _Patience:
    """How this process waits."""

    exhausted = False
    """Whether it has waited in vain, and has not connected since: what it still has to say waits for a moment."""
    gave_up = False


def begin_anew() -> None:
    """Let this process, which has done with a run, wait for the next one as a new process does."""
    _Patience.exhausted = _Patience.gave_up = False


def gave_up() -> bool:
    """Whether this process has waited as long as it may, in vain."""
    return _Patience.gave_up


def until_it_answers(connect: Callable[[], Result], let_go: Callable[[], None] = lambda: None) -> Result:
    """Connect, again and again while the server takes no connection: pauses grow, a long wait is said once.

    `let_go` is called before each pause: it closes what this process has open and does not use.

    Raises:
        AwayError: The server took no connection for as long as this process waits.
    """
    is_short = patience.only_looks() or _Patience.exhausted
    longest = min(patience.database_wait(), patience.LOOKING_SECONDS) if is_short else patience.database_wait()
    began, last_error, said = time.monotonic(), None, False
    for pause in patience.pauses():
        waited = time.monotonic() - began
        try:
            opened = connect()
        except AwayError as error:
            if waited + pause > longest:
                _Patience.gave_up = _Patience.exhausted = True
                raise
            last_error = error
        else:
            _Patience.exhausted = False
            if last_error:
                absorbed.record(last_error, f"connected after {waited:.1f} s")
            return opened
        if waited > SAY_SECONDS and not said:
            _log.warning("waits for the database, for %.0f s at most: %s", longest, last_error)
            said = True
        let_go()
        time.sleep(pause)
    raise AssertionError("pauses have no end")


def again(work: Callable[[], Result]) -> Result:
    """Do some work; if the connection is lost meanwhile, do it again from its beginning.

    The work reads, or writes in transactions of which each may be done twice; its new connection waits for the
    server.
    """
    for _ in range(MOST_REPETITIONS):
        try:
            return work()
        except Exception as error:
            if not is_lost(error):
                raise
            absorbed.record(error, "done again")
    return work()
