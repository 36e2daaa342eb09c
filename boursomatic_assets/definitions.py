"""The definitions that Dagster loads: every asset with its group, the checks, jobs, schedules and resources.

What belongs here: how they are put together. Kept elsewhere: the assets (`assets/`), the checks (`checks/`), jobs
and schedules (`automation.py`).
"""

import dagster as dg

from boursomatic_assets import automation, checks
from boursomatic_assets.assets import (
    archive_15m,
    features,
    instruments,
    model_versions,
    price_bars,
    price_bars_15m,
    recommendations,
    track_record,
)
from boursomatic_assets.assets.metadata import OWNERS, table_metadata
from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.schema import User

GROUPS = {
    "market_data": [instruments, price_bars],
    "intraday": [price_bars_15m, archive_15m],
    "features": [features],
    "models": [model_versions],
    "recommendations": [recommendations, track_record],
}

users = dg.AssetSpec(
    "users",
    group_name="accounts",
    description="One account for each e-mail address. The application writes it; the platform checks it.",
    kinds={"postgres"},
    owners=OWNERS,
    metadata=table_metadata(User),
)

defs = dg.Definitions(
    assets=[
        users,
        *(
            asset
            for group, modules in GROUPS.items()
            for asset in dg.load_assets_from_modules(modules, group_name=group)
        ),
    ],
    asset_checks=dg.load_asset_checks_from_package_module(checks),
    jobs=automation.jobs,
    schedules=automation.schedules,
    resources={
        "io_manager": PostgresIOManager(),
        "source": BarSource(),
    },
    executor=dg.in_process_executor,
)
