"""How many runs wait, go on and have ended, how long they took, and when the daemon was last alive.

What belongs here: figures of Dagster's tables of runs. Kept elsewhere: what a failed run means (`alerts/runs.py`),
what a run computes (`storages/run_storage.py`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from boursomatic_assets.orchestration.dagster_patches import tags

LOOK_BACK_DAYS = 30
"""Runs that ended earlier are counted, and not shown by what they computed."""

MAX_KINDS = 100
"""Kinds of runs that are shown: sets of assets that a person chose are without number."""

UNFINISHED = text("""
SELECT count(*) FILTER (WHERE status = 'QUEUED') AS queued,
    count(*) FILTER (WHERE status <> 'QUEUED') AS in_progress,
    coalesce(max(extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - create_timestamp))
        FILTER (WHERE status = 'QUEUED'), 0) AS oldest_seconds
FROM runs WHERE status IN ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')
""")

FINISHED = text("""
SELECT status, (SELECT count(*) FROM runs r WHERE r.status = known.status) AS runs
FROM unnest(ARRAY['SUCCESS', 'FAILURE', 'CANCELED']) AS known(status)
""")

NEWEST = text("""
SELECT assets, market, seconds, ended FROM (
    SELECT DISTINCT ON (assets, market) coalesce(computes.value, r.pipeline_name) AS assets,
        coalesce(split_part(part.value, '|', 2), '') AS market,
        r.end_time - r.start_time AS seconds, r.end_time AS ended
    FROM runs r
    LEFT JOIN run_tags computes ON computes.run_id = r.run_id AND computes.key = :computes
    LEFT JOIN LATERAL (
        SELECT value FROM run_tags t WHERE t.run_id = r.run_id AND t.key = ANY(:parts) ORDER BY t.key LIMIT 1
    ) AS part ON true
    WHERE r.status = 'SUCCESS' AND r.update_timestamp > now() AT TIME ZONE 'UTC' - make_interval(days => :days)
        AND r.start_time IS NOT NULL AND r.end_time IS NOT NULL
    ORDER BY assets, market, r.end_time DESC
) AS newest ORDER BY ended DESC LIMIT :kinds
""")

HEARTBEATS = text("SELECT daemon_type, extract(epoch FROM timestamp) FROM daemon_heartbeats ORDER BY 1")


class Unfinished(NamedTuple):
    """Runs that wait and that go on, and for how long the oldest has waited."""

    queued: int
    in_progress: int
    oldest_seconds: float


class FinishedRun(NamedTuple):
    """The newest run of its kind that succeeded; `market` is empty if it has no partitions."""

    assets: str
    market: str
    seconds: float
    ended: float


def tables_exist(connection: Connection) -> bool:
    """Whether Dagster has made its tables, as it does at the first run."""
    return bool(connection.scalar(text("SELECT to_regclass('runs') IS NOT NULL")))


def unfinished(connection: Connection) -> Unfinished:
    """Count the runs that have not ended."""
    return Unfinished(*connection.execute(UNFINISHED).one())


def finished(connection: Connection) -> Sequence[Any]:
    """Count the runs that have ended: status, runs."""
    return connection.execute(FINISHED).all()


def newest_successes(connection: Connection) -> list[FinishedRun]:
    """The newest run that succeeded, of each kind and market."""
    parts = [tags.PARTITION, tags.RANGE_START]
    given = {"computes": tags.COMPUTES, "parts": parts, "days": LOOK_BACK_DAYS, "kinds": MAX_KINDS}
    return [FinishedRun(*row) for row in connection.execute(NEWEST, given)]


def heartbeats(connection: Connection) -> Sequence[Any]:
    """When each part of the daemon was last alive: its name, seconds since 1970."""
    return connection.execute(HEARTBEATS).all()
