"""A small backfill, as a program: some dates of both markets through all assets, and a toy asset that fails once.

What belongs here: what is to be the same with and without the patches of Dagster, as JSON on standard output.
`test_stock_dagster.py` runs it in two processes, one with BOURSOMATIC_STOCK_DAGSTER=1.

The dates are its arguments. The environment names the filled platform (DATABASE_URL, BOURSOMATIC_FILES,
BOURSOMATIC_HOME) and an empty instance (DAGSTER_DATABASE_URL, DAGSTER_HOME).
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.orchestration.dagster_patches import guard
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS
from worlds.webserver import ASSETS, STAGES, Dagster, forget, opened, written

BAD = "2024-02-02|US"
TOYS = ("bars", "numbers")
EVENTS = """SELECT dagster_event_type, asset_key, partition, count(*) FROM event_logs
    WHERE dagster_event_type LIKE 'ASSET_MATERIALIZATION%%' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


def keys_of(dates: Iterable[str]) -> set[str]:
    """The partitions of some dates."""
    return {f"{date}|{market}" for date in dates for market in ("US", "EURONEXT")}


@dg.asset(partitions_def=MARKET_SESSIONS)
def bars(context: dg.AssetExecutionContext) -> None:
    """Fails for one session."""
    if context.partition_key == BAD:
        raise dg.Failure("as asked for")


@dg.asset(partitions_def=MARKET_SESSIONS, deps=[bars])
def numbers() -> None: ...


toys = dg.Definitions([bars, numbers], executor=dg.in_process_executor)


def colours(dagster: Dagster, assets: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    """The partitions of assets by the colour that their pages show."""
    return {
        asset: {colour.value: sorted(keys) for colour, keys in dagster.coloured(asset).items()} for asset in assets
    }


def events() -> list[list[Any]]:
    """How many planned and made materialisations of each partition are stored."""
    with database.connect(database.dagster_url()) as connection:
        return [list(row) for row in connection.execute(EVENTS.encode()).fetchall()]


def reported(dagster: Dagster) -> dict[str, dict[str, Any]]:
    """What the page of `price_bars` shows of each partition."""
    records = dagster.instance.fetch_materializations(dg.AssetKey("price_bars"), limit=100).records
    made = {record.partition_key: record.asset_materialization for record in records}
    return {
        str(key): {name: value.value for name, value in one.metadata.items() if "table_name" not in name}
        for key, one in made.items()
        if one
    }


def digests() -> dict[str, str]:
    """A digest of what stands in each table, without what differs each time it is written."""
    tables = written(database.engine())
    return {name: hashlib.sha256(json.dumps(rows).encode()).hexdigest() for name, rows in tables.items()}


def report(keys: set[str]) -> dict[str, Any]:
    """Carry out both backfills; what came of them."""
    forget(database.engine("owner"), keys)
    with opened("worlds.platform", "platform") as dagster:
        statuses = [dagster.finish(dagster.backfill(stage, keys)) for stage in STAGES]
        stored = dagster.instance.get_runs()
        groups = {",".join(sorted(key.path[-1] for key in run.asset_selection or ())) for run in stored}
        found = {"colours": colours(dagster, ASSETS), "metadata": reported(dagster), "digests": digests()}
        known = Counter(MARKET_SESSIONS.get_partition_keys())
    with opened("worlds.small_backfill", "toys") as dagster:
        toy = dagster.finish(dagster.backfill(TOYS, keys))
        found["toys"] = colours(dagster, TOYS)
    return found | {
        "patched": guard.enabled(),
        "statuses": [*statuses, toy],
        "groups": sorted(groups),
        "keys": [len(known), min(known), max(known)],
        "events": events(),
    }


if __name__ == "__main__":
    json.dump(report(keys_of(sys.argv[1:])), sys.stdout)
