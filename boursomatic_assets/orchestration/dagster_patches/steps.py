"""What a step reads, and what it reports of each of its partitions.

What belongs here: the private parts of a step's context, behind one function for each use.
Kept elsewhere: what is worth reporting (`reporting.py`), whom a step waits for (`backfills.py`).
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

import dagster as dg

from boursomatic_assets.orchestration.dagster_patches import guard

if TYPE_CHECKING:
    from dagster._core.execution.context.system import StepExecutionContext

    Step: TypeAlias = StepExecutionContext

Metadata = Mapping[str, Any]


def partitions_read(step: "Step", asset: str) -> set[str]:
    """The partition keys of an input that a step asks for, its look-back included."""
    return set(step.asset_partitions_subset_for_input(asset).get_partition_keys())


class ResultOfManyPartitions(dg.AssetCheckResult):
    """The result of a check that no partition was named for; it is about no single materialisation.

    Dagster looks for the one that the step has read, and fails if the asset has partitions and the run has none.
    """

    def _get_target_materialization_data(self, step_context: "Step", check_key: dg.AssetCheckKey) -> None:
        """None, in place of a materialisation."""


def add_partition_metadata(step: "Step", asset_key: dg.AssetKey, metadata: Mapping[str, Metadata]) -> None:
    """Attach metadata to the partitions of a run, by partition key.

    Dagster's own `add_asset_metadata` takes one key at a time, and lists every partition there is to check it:
    9 to 50 ms for each key of a range.
    """
    if not guard.enabled():
        for key, values in metadata.items():
            step.add_asset_metadata(values, asset_key, key)
        return
    from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator

    known: dict[Any, Metadata] = dict(step._metadata_accumulator.per_output_metadata)
    for key, values in metadata.items():
        known[AssetMetadataHandle(asset_key=asset_key, partition_key=key)] = values
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=known)


def materializations(
    step: "Step", asset_key: dg.AssetKey, metadata: Mapping[str, Metadata]
) -> Iterator[dg.DagsterEvent]:
    """Materialisations of partitions by key, for a step that is about to fail; with patches stored as one batch.

    They are events, since an IO manager's `AssetMaterialization` is stored only once its step has succeeded.
    """
    made = [dg.AssetMaterialization(asset_key, partition=key, metadata=each) for key, each in metadata.items()]
    if not guard.enabled():
        yield from (dg.DagsterEvent.asset_materialization(step, one) for one in made)
        return
    from dagster._core.events import DagsterEventBatchMetadata

    batch = str(uuid4())
    for place, one in enumerate(made, 1):
        yield dg.DagsterEvent.asset_materialization(
            step, one, DagsterEventBatchMetadata(batch, place == len(made))
        )
