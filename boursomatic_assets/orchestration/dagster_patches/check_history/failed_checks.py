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

from boursomatic_assets.orchestration import session_counts
from boursomatic_assets.orchestration.dagster_patches.check_history.newest_results import STANDING

Groups = dict[tuple[str, str, str], dict[int, set[str]]]
"""The dates that failed, by check and market, and by the number of the result that says so."""

FAILED = sa.text(f"{STANDING} SELECT asset_key, check_name, partition, told FROM standing WHERE status = 'FAILED'")

# The log has what a run said of all its sessions, with the rows that name none; the result of each has its own.
SAID = sa.text("""
SELECT DISTINCT ON (told) evaluation_event_storage_id AS told, coalesce(l.event, e.evaluation_event) AS event
FROM asset_check_executions e LEFT JOIN event_logs l ON l.id = e.evaluation_event_storage_id
WHERE e.evaluation_event_storage_id = ANY(:told)
""")


@dataclass(frozen=True)
class FailedCheck:
    """A check whose newest results are failures, of one market or of none.

    Attributes:
        asset: The asset's name.
        check: The check's name.
        market: The market of its partitions; empty if it has none.
        dates: The dates of its failed partitions, in order.
        is_error: Whether one of them is an error, and no warning.
        counts: The errors and the warnings of all these partitions; what belongs to no session counts once.
        description: What the newest says.
        figures: What that reports.
        first_rows: The first rows that it names of this market.
    """

    asset: str
    check: str
    market: str
    dates: tuple[str, ...]
    is_error: bool
    counts: tuple[int, int]
    description: str
    figures: dict[str, Any]
    first_rows: str


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
    groups: Groups = defaultdict(lambda: defaultdict(set))
    with log.index_connection() as connection:
        for row in connection.execute(FAILED):
            date, _, market = (row.partition or "").partition("|")
            groups[row.asset_key, row.check_name, market][row.told].add(date)
        told = sorted({event_id for results in groups.values() for event_id in results})
        said = {row.told: _evaluation(row.event) for row in connection.execute(SAID, {"told": told})}
    return [
        _failed_check(market, [(said[event_id], dates) for event_id, dates in sorted(results.items())])
        for (_, _, market), results in groups.items()
    ]


def _evaluation(event: str) -> dg.AssetCheckEvaluation:
    return deserialize_value(event, EventLogEntry).get_dagster_event().asset_check_evaluation_data


def _failed_check(market: str, results: Sequence[tuple[dg.AssetCheckEvaluation, set[str]]]) -> FailedCheck:
    """A check's failures of one market, from what runs said, in order, each with the dates of which it stands."""
    newest = results[-1][0]
    dates = sorted({date for _, dates in results for date in dates} - {""})
    counts = session_counts.total([(said.metadata, dates) for said, dates in results], market)
    return FailedCheck(
        asset=newest.asset_key.to_user_string(),
        check=newest.check_name,
        market=market,
        dates=tuple(dates),
        is_error=bool(counts[0]) or (not any(counts) and newest.severity == dg.AssetCheckSeverity.ERROR),
        counts=counts,
        description=newest.description or "",
        figures={name: figure.value for name, figure in newest.metadata.items()},
        first_rows=session_counts.first_rows(newest.metadata, market, dates),
    )
