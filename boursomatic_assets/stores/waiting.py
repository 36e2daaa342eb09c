"""Waiting for a store that is away: the same request again, after growing pauses, for a stated time.

What belongs here: waiting. Kept elsewhere: how long a process waits (`settings/patience.py`), which answers mean
that a store is away (`bucket_errors.py`).
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from boursomatic_assets import absorbed
from boursomatic_assets.settings import patience
from boursomatic_assets.stores.store import AwayError

Result = TypeVar("Result")

SAY_SECONDS = 2.0
"""How long one waits in silence."""

_log = logging.getLogger(__name__)


def until_it_answers(ask: Callable[[], Result]) -> Result:
    """Ask a store, again and again while it does not answer; what is asked may be done twice.

    Raises:
        AwayError: It did not answer for as long as this process waits.
    """
    longest: float = patience.store_wait()
    if patience.only_looks():
        longest = min(longest, patience.LOOKING_SECONDS)
    began, last_error, said = time.monotonic(), None, False
    for pause in patience.pauses():
        waited = time.monotonic() - began
        try:
            answer = ask()
        except AwayError as error:
            if waited + pause > longest:
                raise
            last_error = error
        else:
            if last_error:
                absorbed.record(last_error, f"the store answered after {waited:.1f} s")
            return answer
        if waited > SAY_SECONDS and not said:
            _log.warning("waits for the store, for %.0f s at most: %s", longest, last_error)
            said = True
        time.sleep(pause)
    raise AssertionError("pauses have no end")
