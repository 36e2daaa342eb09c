"""The definitions that Dagster loads: assets with their groups, checks, jobs, schedules, sensors and resources.

What belongs here: how they are put together. Kept elsewhere: the assets (`assets/`), the checks (`checks/`), jobs,
schedules and sensors (`automation/`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import dagster as dg

from boursomatic_assets import automation, checks
from boursomatic_assets.assets import (
    advice_by_sector,
    archive_15m,
    cold_storage,
    coverage_by_month,
    features,
    instruments,
    model_versions,
    price_bars,
    price_bars_15m,
    recommendations,
    track_record,
    track_record_by_month,
)
from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.schema import User


@dataclass(frozen=True)
class Group:
    """Assets that one team owns.

    Attributes:
        modules: where they are.
        owner: the team, as Dagster writes one.
        tier: `raw` is as delivered, `derived` is computed, `published` is what users see.
        cadence: how often there is something new: each `session`, or each `month`.
    """

    modules: tuple[ModuleType, ...]
    owner: str
    tier: str
    cadence: str

    def assets(self, name: str) -> Iterator[dg.AssetsDefinition]:
        """The assets of the group, which has this name."""
        for asset in dg.load_assets_from_modules(self.modules, group_name=name):
            assert isinstance(asset, dg.AssetsDefinition)
            yield asset.map_asset_specs(self.described)

    def described(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """An asset with the group's owner and tags."""
        return spec.replace_attributes(owners=[self.owner], tags={"tier": self.tier, "cadence": self.cadence})


GROUPS = {
    "market_data": Group((instruments, price_bars), "team:market-data", "raw", "session"),
    "intraday": Group((price_bars_15m, archive_15m), "team:market-data", "raw", "session"),
    "features": Group((features,), "team:research", "derived", "session"),
    "archive": Group((cold_storage,), "team:market-data", "raw", "session"),
    "models": Group((model_versions,), "team:research", "derived", "month"),
    "recommendations": Group((recommendations, track_record), "team:advice", "published", "session"),
    "summaries": Group(
        (advice_by_sector, track_record_by_month, coverage_by_month), "team:advice", "derived", "session"
    ),
}

users = dg.AssetSpec(
    "users",
    group_name="accounts",
    description="One account for each e-mail address. The application writes it; the platform checks it.",
    kinds={"postgres"},
    owners=["team:accounts"],
    tags={"tier": "application"},
    metadata=table_metadata(User),
)

current_advice = dg.AssetSpec(
    "current_advice",
    group_name="recommendations",
    description="What is advised now: a view of the active recommendations, with instrument and version.",
    deps=[recommendations.recommendations],
    kinds={"postgres"},
    owners=["team:advice"],
    tags={"tier": "published", "cadence": "session"},
    metadata={"dagster/table_name": "public.current_advice"},
)
"""It has the checks about now, which belong to no session."""

defs = dg.Definitions(
    assets=dg.with_source_code_references(
        [users, current_advice, *(asset for name, group in GROUPS.items() for asset in group.assets(name))]
    ),
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
