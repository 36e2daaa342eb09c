"""The checks that fail, from their newest stored results.

What belongs here: reading them, by check and market. It is no patch: it works on every version of Dagster.
Kept elsewhere: which result stands (`newest_results.py`), their colours on the pages (`check_states.py`), what is
said of them (`alerts/`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._serdes import deserialize_value

from boursomatic_assets.orchestration.dagster_patches.check_history.newest_results import STANDING

FAILED = sa.text(
    f"{STANDING} SELECT id, asset_key, check_name, partition, run_id FROM standing"
    " WHERE status = 'FAILED' ORDER BY told"
)


@dataclass(frozen=True)
class FailedCheck:
    """A check whose newest results are failures, of one market or of none.

    Attributes:
        asset: The asset's name.
        check: The check's name.
        market: The market of its partitions; empty if it has none.
        dates: The dates of its failed partitions, in order.
        run_id: The run of the newest failure.
        is_error: Whether that is an error, and no warning.
        description: What it says.
        figures: What it reports.
    """

    asset: str
    check: str
    market: str
    dates: tuple[str, ...]
    run_id: str
    is_error: bool
    description: str
    figures: dict[str, Any]


def newest_result(instance: dg.DagsterInstance) -> int:
    """The number of the newest result of any check: while it stays the same, `failed_checks` does too."""
    log = instance.event_log_storage
    assert isinstance(log, SqlEventLogStorage)
    with log.index_connection() as connection:
        newest = sa.text("SELECT coalesce(max(evaluation_event_storage_id), 0) FROM asset_check_executions")
        return int(connection.execute(newest).scalar_one())


def failed_checks(instance: dg.DagsterInstance) -> list[FailedCheck]:
    """The checks whose newest results are failures, one for each market."""
    log = instance.event_log_storage
    assert isinstance(log, SqlEventLogStorage)
    groups = defaultdict(list)
    with log.index_connection() as connection:
        for row in connection.execute(FAILED):
            date, _, market = (row.partition or "").partition("|")
            groups[row.asset_key, row.check_name, market].append((date, row))
        ids = [rows[-1][1].id for rows in groups.values()]
        stored = sa.text("SELECT id, evaluation_event FROM asset_check_executions WHERE id = ANY(:ids)")
        events = {row.id: row.evaluation_event for row in connection.execute(stored, {"ids": ids})}
    return [
        _failed_check(market, sorted({date for date, _ in rows} - {""}), rows[-1][1], events[rows[-1][1].id])
        for (_, _, market), rows in groups.items()
    ]


def _failed_check(market: str, dates: Sequence[str], newest: Any, event: str) -> FailedCheck:
    """A check's failures of one market, with what the newest says."""
    told = deserialize_value(event, EventLogEntry).get_dagster_event().asset_check_evaluation_data
    return FailedCheck(
        asset=told.asset_key.to_user_string(),
        check=told.check_name,
        market=market,
        dates=tuple(dates),
        run_id=newest.run_id,
        is_error=told.severity == dg.AssetCheckSeverity.ERROR,
        description=told.description or "",
        figures={name: figure.value for name, figure in told.metadata.items()},
    )
