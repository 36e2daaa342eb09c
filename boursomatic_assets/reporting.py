"""What the UI shows of each partition of a run.

What belongs here: metadata per partition, for a range of any length.
Kept elsewhere: what is worth reporting (`io_manager.py`, `assets/`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator
from dagster._core.execution.context.system import StepExecutionContext


def report_partitions(
    step: StepExecutionContext, asset_key: dg.AssetKey, metadata: Mapping[str, Mapping[str, Any]]
) -> None:
    """Attach metadata to the partitions of a run, by partition key.

    Dagster's own `add_asset_metadata` takes one key at a time, and lists every partition there is to check it:
    50 ms for each key of a range.
    """
    known: dict[Any, Mapping[str, Any]] = dict(step._metadata_accumulator.per_output_metadata)
    for key, value in metadata.items():
        known[AssetMetadataHandle(asset_key=asset_key, partition_key=key)] = value
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=known)
