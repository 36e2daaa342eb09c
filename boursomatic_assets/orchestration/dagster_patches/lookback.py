"""Dagster's multi-partition mapping, fast enough for look-backs over years of sessions.

What belongs here: how many sessions back and which markets an edge of the graph spans, computed on indices.
Kept elsewhere: which edges there are (`partitions.py`).

Dagster's own mapping also widens a backfill: asked for one old session, it would compute every later one that
can see it. And it visits every pair of a partition and its upstream partitions, and walks through the
excluded dates for each: minutes for a few years. Here a range is one pass over an array of dates. The class is
known by name to every process of the instance, since `storage.py` imports it. Without patches its methods are
those of Dagster's own mapping.
"""

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import numpy.typing as npt
from dagster._serdes import whitelist_for_serdes

from boursomatic_assets.orchestration.dagster_patches import guard, partition_keys

if TYPE_CHECKING:
    from dagster._core.definitions.partitions.mapping import UpstreamPartitionsResult
    from dagster._core.definitions.partitions.subset import PartitionsSubset


@whitelist_for_serdes
class LookBack(dg.MultiPartitionMapping):
    """A date x market mapping: a window of sessions, of the same market or of all of them."""

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: "PartitionsSubset | None",
        downstream_partitions_def: dg.PartitionsDefinition | None,
        upstream_partitions_def: dg.PartitionsDefinition,
        current_time: datetime | None = None,
        dynamic_partitions_store: Any = None,
    ) -> "UpstreamPartitionsResult":
        """The partitions that these wait for; those before the first partition are not needed.

        A session waits for its own, even where it reads earlier ones alone. The daemon leaves out of a run what
        waits for the same session (`get_downstream_partitions_for_partitions`), so the last session of a range,
        which no later one reads, would go at once in a run of its own, then the one before it, and so on.
        """
        if not guard.enabled():
            return super().get_upstream_mapped_partitions_result_for_partitions(
                downstream_partitions_subset,
                downstream_partitions_def,
                upstream_partitions_def,
                current_time,
                dynamic_partitions_store,
            )
        from dagster._core.definitions.partitions.mapping import UpstreamPartitionsResult

        assert downstream_partitions_subset is not None
        first, last = self._offsets
        read = self._shifted(downstream_partitions_subset, upstream_partitions_def, first, last, current_time)
        own = downstream_partitions_subset.get_partition_keys()
        return UpstreamPartitionsResult(
            partitions_subset=read.with_partition_keys(own),
            required_but_nonexistent_subset=upstream_partitions_def.empty_subset(),
        )

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: "PartitionsSubset",
        upstream_partitions_def: dg.PartitionsDefinition,
        downstream_partitions_def: dg.PartitionsDefinition,
        current_time: datetime | None = None,
        dynamic_partitions_store: Any = None,
    ) -> "PartitionsSubset":
        """The same session and market: a backfill of some sessions is to compute those and no later ones.

        What a corrected bar changes in later sessions is a question to the tables, not to the graph.
        """
        if not guard.enabled():
            return super().get_downstream_partitions_for_partitions(
                upstream_partitions_subset,
                upstream_partitions_def,
                downstream_partitions_def,
                current_time,
                dynamic_partitions_store,
            )
        keys = upstream_partitions_subset.get_partition_keys()
        return downstream_partitions_def.empty_subset().with_partition_keys(keys)

    @property
    def _offsets(self) -> tuple[int, int]:
        window = self.downstream_mappings_by_upstream_dimension["date"].partition_mapping
        assert isinstance(window, dg.TimeWindowPartitionMapping)
        return window.start_offset, window.end_offset

    @property
    def _crosses_markets(self) -> bool:
        market = self.downstream_mappings_by_upstream_dimension["market"].partition_mapping
        return isinstance(market, dg.AllPartitionMapping)

    def _shifted(
        self,
        subset: "PartitionsSubset",
        target: dg.PartitionsDefinition,
        first: int,
        last: int,
        current_time: datetime | None,
    ) -> "PartitionsSubset":
        """The target's partitions from `first` to `last` sessions away from those of a subset."""
        assert isinstance(target, dg.MultiPartitionsDefinition)
        dates = partition_keys.dates(target.get_partitions_def_for_dimension("date"), current_time)
        markets = target.get_partitions_def_for_dimension("market").get_partition_keys()
        asked = defaultdict(list)
        for key in subset.get_partition_keys():
            date, market = key.split("|")
            asked[market].append(date)
        keys = [
            f"{date}|{other}"
            for market, own in asked.items()
            for date in dates[_windows(np.searchsorted(dates, own), len(dates), first, last)].tolist()
            for other in (markets if self._crosses_markets else [market])
        ]
        return target.empty_subset().with_partition_keys(keys)


def _windows(positions: npt.NDArray[np.intp], size: int, first: int, last: int) -> npt.NDArray[np.bool_]:
    """Which of `size` places lie from `first` to `last` places away from any of the positions."""
    edges = np.zeros(size + 1, dtype=np.int64)
    np.add.at(edges, np.clip(positions + first, 0, size), 1)
    np.add.at(edges, np.clip(positions + last + 1, 0, size), -1)
    inside: npt.NDArray[np.bool_] = edges.cumsum()[:size] > 0
    return inside
