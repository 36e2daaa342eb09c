"""The results of checks in Dagster's history: one for each session of a run, and one for the run.

What belongs here: the rows of Dagster's table of check executions, written for a whole range with few statements.
Kept elsewhere: what a session's part of a result is (`orchestration/session_counts.py`), colours
(`check_states.py`).

Dagster's own log gives the result of a range to no partition. Its rows of planned checks stay when a run ends
before them, and then hide the last results.
"""

import datetime as dt
from collections.abc import Mapping, Set
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._serdes import serialize_value
from dagster_shared.record import replace

from boursomatic_assets.orchestration import session_counts

Status = AssetCheckExecutionRecordStatus

PARTITION = "(the partition)"
"""What stands for the partition in the text of an event that many partitions share."""

CHECK = "asset_key = :asset AND check_name = :check AND run_id = :run"

# A run without partitions planned one row, which has to come after those of the sessions: the newest is the run's.
ADD_LOADED = sa.text(f"""
WITH planned AS (
    DELETE FROM asset_check_executions WHERE {CHECK} AND partition IS NULL
)
INSERT INTO asset_check_executions (asset_key, check_name, run_id, execution_status, partition)
SELECT DISTINCT :asset, :check, :run, 'PLANNED', partition
FROM event_logs JOIN unnest(CAST(:markets AS text[]), CAST(:firsts AS text[]), CAST(:lasts AS text[]))
    AS looked_at(market, first, last)
    ON split_part(partition, '|', 2) = market AND split_part(partition, '|', 1) BETWEEN first AND last
WHERE event_logs.asset_key = :asset AND dagster_event_type = 'ASSET_MATERIALIZATION' AND partition IS NOT NULL
ON CONFLICT DO NOTHING
""")

WRITE = sa.text(f"""
UPDATE asset_check_executions e SET execution_status = own.status,
    evaluation_event = replace(own.event, :placeholder, e.partition), evaluation_event_timestamp = :at,
    evaluation_event_storage_id = :event_id
FROM unnest(CAST(:keys AS text[]), CAST(:statuses AS text[]), CAST(:events AS text[])) AS own(key, status, event)
WHERE {CHECK} AND own.key = CASE
    WHEN e.partition = ANY(CAST(:keys AS text[])) THEN e.partition
    WHEN split_part(e.partition, '|', 2) = ANY(CAST(:keys AS text[])) THEN split_part(e.partition, '|', 2)
    ELSE '' END AND e.partition IS NOT NULL
""")
"""Each session has a result under its partition, its market, or nothing, whichever is there first."""

FORGET = sa.text("""
WITH began AS MATERIALIZED (
    SELECT step_key FROM event_logs WHERE run_id = :run AND dagster_event_type = 'STEP_START'
), never_began AS MATERIALIZED (
    SELECT event::jsonb #>> '{dagster_event,event_specific_data,check_name}' AS check_name,
        event::jsonb #>> '{dagster_event,event_specific_data,asset_key,path}' AS asset_key
    FROM event_logs WHERE run_id = :run AND dagster_event_type = 'ASSET_CHECK_EVALUATION_PLANNED'
        AND NOT EXISTS (SELECT FROM began WHERE began.step_key = event_logs.step_key)
)
DELETE FROM asset_check_executions e USING never_began
WHERE e.asset_key = never_began.asset_key AND e.check_name = never_began.check_name AND e.run_id = :run
    AND e.execution_status = 'PLANNED'
""")
"""A check whose step began and gave no result has broken, or was stopped, and stays so."""

# Of each run the newest row, which is that of the whole run; evaluations without a run stand for themselves.
NEWEST = sa.text("""
SELECT id, run_id, execution_status, evaluation_event, create_timestamp, partition FROM asset_check_executions
WHERE id IN (
    SELECT max(id) FROM asset_check_executions WHERE asset_key = :asset AND check_name = :check
        AND (CAST(:statuses AS text[]) IS NULL OR execution_status = ANY(:statuses))
    GROUP BY run_id, CASE WHEN coalesce(run_id, '') = '' THEN id END
    HAVING CAST(:cursor AS bigint) IS NULL OR max(id) < :cursor
    ORDER BY 1 DESC LIMIT :limit
) ORDER BY id DESC
""")


def store(connection: sa.Connection, event: EventLogEntry, event_id: int | None) -> None:
    """Store a result of several partitions as one of each: those that its run planned, or those it looked at."""
    result = event.get_dagster_event().asset_check_evaluation_data
    names = {"asset": result.asset_key.to_string(), "check": result.check_name, "run": event.run_id}
    if slices := session_counts.looked_at(result.metadata):
        markets, firsts, lasts = map(list, zip(*slices, strict=True))
        connection.execute(ADD_LOADED, names | {"markets": markets, "firsts": firsts, "lasts": lasts})
    parts = results_of_sessions(result)
    given = {
        "keys": list(parts),
        "statuses": [(Status.SUCCEEDED if part.passed else Status.FAILED).value for part in parts.values()],
        "events": [serialize_value(_with_result(event, part)) for part in parts.values()],
        "placeholder": PARTITION,
        "at": dt.datetime.fromtimestamp(event.timestamp, dt.UTC).replace(tzinfo=None),
        "event_id": event_id,
    }
    connection.execute(WRITE, names | given)


def forget_what_never_began(connection: sa.Connection, run_id: str) -> None:
    """Delete the planned checks of a run that is over whose steps never began: their last results stay."""
    connection.execute(FORGET, {"run": run_id})


def newest_of_each_run(
    connection: sa.Connection,
    key: dg.AssetCheckKey,
    limit: int,
    cursor: int | None,
    statuses: Set[Status] | None,
) -> list[AssetCheckExecutionRecord]:
    """The newest results of a check, one for each run, whatever range it was about."""
    given = {
        "asset": key.asset_key.to_string(),
        "check": key.name,
        "statuses": [status.value for status in statuses] if statuses else None,
        "cursor": cursor,
        "limit": limit,
    }
    rows = connection.execute(NEWEST, given).mappings()
    return [AssetCheckExecutionRecord.from_db_row(row, key=key) for row in rows]


def results_of_sessions(result: AssetCheckEvaluation) -> dict[str, AssetCheckEvaluation]:
    """The results of partitions by key; that of a market stands for its other sessions, that of `` for all others.

    A result that failed and names neither a session nor a market is that of each partition.
    """
    metadata = result.metadata
    sessions, markets = session_counts.own_counts(metadata)
    if not result.passed and not sessions and markets.keys() <= {session_counts.BOTH_MARKETS}:
        return {"": _with_partition(result, _without_range(metadata))}
    of_table = markets.pop(session_counts.BOTH_MARKETS, (0, 0))
    parts = {"": _part(result, ("", ""), (0, 0), of_table)}
    shared = {market: session_counts.add(counts, of_table) for market, counts in markets.items()}
    for market, counts in shared.items():
        parts[market] = _part(result, (market, ""), (0, 0), counts)
    for (market, session), own in sessions.items():
        parts[f"{session}|{market}"] = _part(result, (market, session), own, shared.get(market, of_table))
    return parts


def _without_range(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a result of the whole table, without what the run looked at."""
    return {name: value for name, value in metadata.items() if name != session_counts.LOOKED_AT}


def _part(
    result: AssetCheckEvaluation, key: tuple[str, str], own: tuple[int, int], shared: tuple[int, int]
) -> AssetCheckEvaluation:
    """The result of a session from its own counts and those that it shares with others."""
    counts = session_counts.add(own, shared)
    told = session_counts.sentence(counts)
    elsewhere = f", {session_counts.sentence(shared)} of no session" if sum(shared) else ""
    return replace(
        _with_partition(result, session_counts.part_of_session(result.metadata, key, counts, shared)),
        passed=not sum(counts),
        severity=dg.AssetCheckSeverity.ERROR if counts[0] else dg.AssetCheckSeverity.WARN,
        description=f"{told}{elsewhere}",
    )


def _with_partition(result: AssetCheckEvaluation, metadata: Mapping[str, Any]) -> AssetCheckEvaluation:
    return replace(result, partition=PARTITION, metadata=metadata)


def _with_result(event: EventLogEntry, result: AssetCheckEvaluation) -> EventLogEntry:
    return event._replace(dagster_event=event.get_dagster_event()._replace(event_specific_data=result))
