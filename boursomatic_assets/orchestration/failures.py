"""Failures of steps: what a run's page shows first of an error, and the line that messages quote.

What belongs here: the error of a source, or of a session that is not over, as a failure, and the table of the
files that a source refuses.
Kept elsewhere: why a file is refused (`sources/`), failed dates of a range (`reporting.py`).

Of an error that a person can mend the page shows one sentence and no traceback.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from boursomatic_assets.calendars.slices import NotClosedError
from boursomatic_assets.orchestration.session_counts import table
from boursomatic_assets.sources import SourceError

MAX_FILES = 20
"""Refused files that a table names; how many there are is said beside it."""

REFUSED_FILES = "refused_files"
"""The entry of metadata that names refused files."""

MENDABLE = (SourceError, NotClosedError)
"""Errors of which a traceback says nothing more."""

INSPECT = "`boursomatic files inspect` shows each file, and what must be stated of it."
AGAIN = "What is stored stays as it is: run this again once that is mended, or once the service answers."


@contextmanager
def of_source() -> Iterator[None]:
    """Let the error of a source fail the step as what it says.

    Raises:
        dagster.Failure: The source cannot deliver.
    """
    try:
        yield
    except SourceError as error:
        raise as_failure(error) from None


def as_failure(error: SourceError | NotClosedError) -> dg.Failure:
    """An error that a person can mend, or await, as a failure: its sentence, what to do, and refused files."""
    if isinstance(error, NotClosedError):
        return dg.Failure(str(error), allow_retries=False)
    inspect = [INSPECT] if error.refused else []
    return dg.Failure("\n".join([str(error), *inspect, AGAIN]), metadata=refused_files(error.refused))


def refused_files(reasons: Mapping[str, str]) -> dict[str, Any]:
    """Metadata of refused files: their table; nothing if there is none."""
    rows = [{"file": file, "reason": reason.removeprefix(f"{file}: ")} for file, reason in sorted(reasons.items())]
    return {REFUSED_FILES: table(rows[:MAX_FILES])} if rows else {}


def reason_of(event: dg.DagsterEvent) -> str:
    """Why a step failed, in one line: the sentence of its failure, or the message of its first cause."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return _first_line(data.user_failure_data.description)
    error = data.error
    while error and error.cause:
        error = error.cause
    return _first_line(error.message if error else event.message or "")


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0]
