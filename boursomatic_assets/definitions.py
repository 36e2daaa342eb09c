"""The definitions that Dagster loads: assets with their groups, checks, jobs, schedules, sensors and resources.

What belongs here: how they are put together. Kept elsewhere: the assets (`assets/`), the checks (`checks/`), jobs,
schedules and sensors (`automation/`).
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

current_advice = dg.AssetSpec(
    "current_advice",
    group_name="recommendations",
    description="What is advised now: the recommendations of the newest closed session of each market.",
    deps=[recommendations.recommendations],
    kinds={"postgres"},
    owners=OWNERS,
)
"""It has the checks about now, which belong to no session."""

defs = dg.Definitions(
    assets=[
        users,
        current_advice,
        *(
            asset
            for group, modules in GROUPS.items()
            for asset in dg.load_assets_from_modules(modules, group_name=group)
        ),
    ],
    asset_checks=dg.load_asset_checks_from_package_module(checks),
    jobs=automation.jobs,
    schedules=automation.schedules,
    sensors=automation.sensors,
    resources={
        "io_manager": PostgresIOManager(),
        "source": BarSource(),
    },
    executor=dg.in_process_executor,
)
