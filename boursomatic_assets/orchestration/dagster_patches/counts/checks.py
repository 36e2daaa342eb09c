"""How many partitions of each check passed, warn or fail.

What belongs here: counting them. Kept elsewhere: which result stands (`check_history/newest_results.py`).
"""

import json
from typing import NamedTuple

from sqlalchemy import Connection, text

from boursomatic_assets.orchestration.dagster_patches.check_history.newest_results import STANDING

SETTLING_SECONDS = 60
"""Dagster writes an event first, and what follows from it for a check in another transaction."""

STATES = text(
    STANDING
    + """
, failed AS MATERIALIZED (
    SELECT id FROM standing WHERE status = 'FAILED'
), errors AS MATERIALIZED (
    SELECT e.id FROM asset_check_executions e WHERE e.id IN (SELECT id FROM failed)
        AND strpos(e.evaluation_event, 'AssetCheckSeverity.ERROR') > 0
)
SELECT asset_key, check_name, coalesce(split_part(partition, '|', 2), '') AS market,
    count(*) FILTER (WHERE status = 'SUCCEEDED') AS passed,
    count(*) FILTER (WHERE status = 'FAILED' AND errors.id IS NULL) AS warning,
    count(errors.id) AS error
FROM standing LEFT JOIN errors USING (id)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
)


NEWEST = text(f"""
SELECT id, timestamp < now() AT TIME ZONE 'UTC' - make_interval(secs => {SETTLING_SECONDS}) AS is_settled
FROM event_logs WHERE dagster_event_type = 'ASSET_CHECK_EVALUATION' ORDER BY id DESC LIMIT 1
""")


class CheckStates(NamedTuple):
    """The partitions of a check by state; of a result of the whole check, the market is empty."""

    asset: str
    check: str
    market: str
    passed: int
    warning: int
    error: int


def newest_result(connection: Connection) -> int | None:
    """The number of the newest result of any check: while it stays the same, so do the states.

    None: there is none, or it is so new that the states may not yet follow from it.
    """
    row = connection.execute(NEWEST).one_or_none()
    return row.id if row and row.is_settled else None


def check_states(connection: Connection) -> list[CheckStates]:
    """Count the partitions of each check and market by the state of the result that stands."""
    return [
        CheckStates("/".join(json.loads(asset)), *counted) for asset, *counted in connection.execute(STATES).all()
    ]
