"""Asset checks of summaries: each is made from what is there now.

What belongs here: when a summary that is out of date is a warning. Kept elsewhere: which are
(`tables/summaries/refreshing.py`), when they are refreshed (`automation/summaries.py`).
"""

from typing import Final

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.tables.summaries import refreshing


def check_name(summary: str) -> str:
    """The name of a summary's check."""
    return f"{summary}_is_up_to_date"


def evaluate(summary: str) -> dg.AssetCheckResult:
    """What the check of a summary says now."""
    with database.engine().connect() as connection:
        passed = summary not in refreshing.outdated(connection)
        found = refreshing.extent(connection, summary)
    state = "made from what is there now" if passed else "out of date: something it is made from has changed"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(summary),
        check_name=check_name(summary),
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{state} ({found})",
    )


def _check(summary: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(summary),
        name=check_name(summary),
        description="The summary is made from what is there now.",
    )
    def check() -> dg.AssetCheckResult:
        return database.again(lambda: evaluate(summary))

    return check


CHECKS: Final = [_check(summary) for summary in refreshing.SUMMARIES]
"""One of each summary."""
