"""Absorbed errors: exceptions that no caller sees, since the work is retried, split or done another way.

What belongs here: logging and counting such an error. An `except` that neither raises nor calls `record` states in
a comment why nothing is lost.
Kept elsewhere: where the counts are shown: the metadata of an asset (`orchestration/reporting.py`), the tag of a
run (`orchestration/io_manager.py`), `boursomatic status` (`cli/views/operating/status.py`).
"""

import logging
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

TAG = "boursomatic/absorbed_errors"
"""The tag of a run that absorbed errors; a run without it absorbed none."""

LONGEST_REASON = 300
"""The longest reason that is kept, in characters; the log has the traceback at level DEBUG."""

_log = logging.getLogger(__name__)
_collectors: list[list[str]] = []


def record(error: BaseException, fallback: str) -> None:
    """Log and count an error that is not raised.

    Args:
        error: the exception.
        fallback: what is done instead of raising it, as the beginning of a sentence.
    """
    message = (str(error).strip() or "no message").splitlines()[0]
    reason = textwrap.shorten(f"{fallback}, after {type(error).__name__}: {message}", LONGEST_REASON)
    _log.warning("%s", reason)
    _log.debug("where the error came from", exc_info=error)
    for reasons in _collectors:
        reasons.append(reason)


@contextmanager
def collected() -> Iterator[Sequence[str]]:
    """The reasons of all errors that this process absorbs within the block; blocks may be nested."""
    reasons: list[str] = []
    _collectors.append(reasons)
    try:
        yield reasons
    finally:
        _collectors[:] = [other for other in _collectors if other is not reasons]


def summary(reasons: Sequence[str]) -> str:
    """The number of errors and the first reason, in one line."""
    return f"{len(reasons)} {'error' if len(reasons) == 1 else 'errors'}, the first: {reasons[0]}"
