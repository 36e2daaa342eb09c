"""The storage under the name by which `dagster.yaml` files of older homes know it."""

from collections.abc import Mapping
from typing import Any, Self

from boursomatic_assets.orchestration.dagster_patches import storage


class BoursomaticStorage(storage.BoursomaticStorage):
    """The platform's storage, with the platform's definitions, which older settings do not name."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """Open the storage."""
        named = {"definitions": "boursomatic_assets.definitions", **config_value}
        return super().from_config_value(inst_data, named)
