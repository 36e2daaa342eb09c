"""What Dagster's tables say: runs, checks, the daemon.

What belongs here: which figure each is. Kept elsewhere: the queries (`orchestration/dagster_patches/counts/`).
"""

import time
from collections.abc import Iterator

from sqlalchemy import Connection

from boursomatic_assets.metrics import descriptions as say
from boursomatic_assets.metrics.descriptions import Figure
from boursomatic_assets.orchestration.dagster_patches.counts import checks as check_counts
from boursomatic_assets.orchestration.dagster_patches.counts import runs as run_counts

COUNTED_AGAIN_SECONDS = 600
"""So often checks are counted without a new result: somebody may have deleted runs."""

ALL = "all"
"""The market of what belongs to none: an empty label would be no label."""


def runs(connection: Connection) -> Iterator[Figure]:
    """Runs that wait, go on and have ended."""
    unfinished = run_counts.unfinished(connection)
    yield say.QUEUED.of(unfinished.queued)
    yield say.OLDEST_QUEUED.of(unfinished.oldest_seconds)
    yield say.IN_PROGRESS.of(unfinished.in_progress)
    for status, count in run_counts.finished(connection):
        yield say.RUNS.of(count, status.lower())
    for run in run_counts.newest_successes(connection):
        labels = run.assets, run.market or ALL
        yield say.RUN_SECONDS.of(run.seconds, *labels)
        yield say.RUN_ENDED.of(run.ended, *labels)


class Checks:
    """The partitions of each check by state, counted again when a check has a new result.

    Of ten years they are 200,000, and take most of a second.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._counted: tuple[object, list[Figure]] = (None, [])

    def __call__(self, connection: Connection) -> list[Figure]:
        """Read them."""
        newest = check_counts.newest_result(connection)
        state = newest, int(time.monotonic() // COUNTED_AGAIN_SECONDS)
        if newest is None or state != self._counted[0]:
            self._counted = state, list(_checks(connection))
        return self._counted[1]


def _checks(connection: Connection) -> Iterator[Figure]:
    for check in check_counts.check_states(connection):
        for state in ("passed", "warning", "error"):
            labels = check.asset, check.check, check.market or ALL, state
            yield say.CHECKS.of(getattr(check, state), *labels)


def daemon(connection: Connection) -> Iterator[Figure]:
    """When each part of the daemon was last alive."""
    for part, seconds in run_counts.heartbeats(connection):
        yield say.HEARTBEAT.of(seconds, part.lower())
