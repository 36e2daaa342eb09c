"""The tags by which Dagster marks runs, as its documentation and its pages spell them.

What belongs here: names of tags that Dagster exports from private modules alone; a test holds them to those. And
the platform's own that is read where Dagster is not loaded.
Kept elsewhere: other tags of the platform's own, beside what they mark.
"""

PARTITION = "dagster/partition"
"""The partition of a run over one."""

RANGE_START = "dagster/asset_partition_range_start"
"""The first partition of a run over a range."""

RANGE_END = "dagster/asset_partition_range_end"
"""The last partition of a run over a range."""

DIMENSION_PREFIX = "dagster/partition/"
"""Before the name of a dimension: the key of a single partition in it."""

BACKFILL = "dagster/backfill"
"""The backfill that a run belongs to."""

WILL_RETRY = "dagster/will_retry"
"""Whether the daemon starts a failed run again: `true` or `false`."""

MAX_RETRIES = "dagster/max_retries"
"""How often the daemon starts a run again whose process was lost."""

RETRY_FAILED_STEPS = "dagster/retry_on_asset_or_op_failure"
"""Whether the daemon starts a failed run again though its process lived: `true` or `false`."""

COMPUTES = "boursomatic/computes"
"""What a run computes; `dagster.yaml` limits how many runs of one value go on at once."""

CODE = "boursomatic/code"
"""The version of the code that handed a run to a worker, which must have the same."""

QUEUE = "dagster-celery/queue"
"""The queue of a run that a worker executes."""

PRIORITY = "dagster/priority"
"""Which of the runs that wait begins first: a higher number, 0 without it."""
