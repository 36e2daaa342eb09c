"""The storage of Dagster, under the class path that the `dagster.yaml` files of older homes name.

What belongs here: this name alone. Kept elsewhere: the storage (`orchestration/dagster_patches/storage.py`).
"""

from collections.abc import Mapping
from typing import Any, Self

from boursomatic_assets.orchestration.dagster_patches import storage


class BoursomaticStorage(storage.BoursomaticStorage):
    """The platform's storage, with the definitions that older `dagster.yaml` files do not name."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """Open the storage."""
        values = {"definitions": "boursomatic_assets.definitions", **config_value}
        return super().from_config_value(inst_data, values)
