"""The figures: each with its name, its meaning and its labels, as `/metrics` and docs/metrics.md say them.

What belongs here: descriptions. Kept elsewhere: the values (`platform.py`, `dagster.py`).

Names follow the rules of Prometheus: seconds, `_total` for what only grows, `_info` for what has no number. No
label is an instrument, a session or a run: those are without number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "boursomatic_"


@dataclass(frozen=True)
class Description:
    """What a figure is.

    Attributes:
        name: Its name, without PREFIX.
        meaning: One sentence.
        labels: The names of its labels.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Its name on the page."""
        return PREFIX + self.name

    @property
    def kind(self) -> str:
        """Its type: a counter only grows, as long as nobody deletes runs."""
        return "counter" if self.name.endswith("_total") else "gauge"

    def of(self, value: float, *labels: str) -> "Figure":
        """A value of it, with the values of its labels."""
        assert len(labels) == len(self.labels)
        return Figure(self, float(value), labels)


class Figure(NamedTuple):
    """A value of what is described."""

    description: Description
    value: float
    labels: tuple[str, ...]


UP = Description("up", "Whether all figures could be read: 1 or 0.")
GROUP_UP = Description("group_up", "Whether the figures of a group could be read: 1 or 0.", ("group",))
GROUP_SECONDS = Description("group_read_seconds", "How long a group of figures took to read.", ("group",))

BEHIND = Description(
    "sessions_behind", "Due sessions after the newest that is loaded, computed and advised.", ("market",)
)
STATES = Description(
    "due_sessions", "The newest due sessions by what was done of them, 60 at most.", ("market", "state")
)
LOADED = Description(
    "newest_loaded_session_timestamp_seconds",
    "The newest session with bars, as its date at 00:00 UTC.",
    ("market",),
)
DONE = Description(
    "newest_done_session_timestamp_seconds",
    "The newest due session that is loaded, computed and advised, as its date at 00:00 UTC.",
    ("market",),
)

ROWS = Description(
    "delivered_rows",
    "Rows of the latest delivery of every session by what became of them: kept, merged with another, or rejected.",
    ("market", "interval", "outcome"),
)
REJECTED = Description("rejected_rows", "Rejected rows by the rule that they violate.", ("reason",))

COMPUTED = Description("computed_sessions", "Sessions of which an asset was computed.", ("asset", "market"))
COMPUTED_AT = Description(
    "last_computation_timestamp_seconds", "When a session of an asset was last computed.", ("asset", "market")
)

CHAMPION = Description(
    "champion_info", "The champion, of which the value is 1; no series if there is none.", ("version", "as_of")
)
CHAMPION_AS_OF = Description(
    "champion_as_of_timestamp_seconds", "The moment up to which the champion knows the markets."
)

OPEN_ALERTS = Description("open_alerts", "Open problems by what they are about.", ("about",))
UNSENT_ALERTS = Description("unsent_alerts", "Alerts that are still to be sent.", ("channel",))

REPLICA_UP = Description(
    "replica_up",
    "Whether the read replica answers and follows the database: 1 or 0; no series if none is set.",
)
REPLICA_BYTES = Description(
    "replica_lag_bytes", "Bytes of the database's log that the read replica has not replayed; 0 if it has all."
)
REPLICA_SECONDS = Description(
    "replica_lag_seconds", "How old the newest commit is that the read replica has; 0 if it has all."
)
SLOT_BYTES = Description(
    "replication_slot_kept_bytes", "Bytes of its log that the server keeps for a replication slot.", ("slot",)
)
SLOT_USED = Description(
    "replication_slot_used", "Whether somebody follows by a replication slot: 1 or 0.", ("slot",)
)

QUEUED = Description("queued_runs", "Runs that wait for their turn.")
OLDEST_QUEUED = Description(
    "oldest_queued_run_age_seconds", "How long the oldest queued run has waited; 0 if none waits."
)
IN_PROGRESS = Description("runs_in_progress", "Runs that start, go on or are being stopped.")
RUNS = Description("runs_total", "Runs that have ended: success, failure or canceled.", ("status",))
RUN_SECONDS = Description(
    "last_run_duration_seconds",
    "How long the newest run took that succeeded in the last 30 days, by its assets and market.",
    ("assets", "market"),
)
RUN_ENDED = Description(
    "last_run_end_timestamp_seconds",
    "When the newest run ended that succeeded in the last 30 days, by its assets and market.",
    ("assets", "market"),
)

HEARTBEAT = Description(
    "daemon_heartbeat_timestamp_seconds", "When a part of Dagster's daemon was last alive.", ("daemon",)
)
CHECKS = Description(
    "check_partitions",
    "Partitions of a check by its newest result: passed, warning or error.",
    ("asset", "check", "market", "state"),
)

DESCRIPTIONS: Final = tuple(one for one in list(globals().values()) if isinstance(one, Description))
"""All of them, in the order of their declaration."""


def families(figures: Iterable[Figure]) -> list[Metric]:
    """Figures as Prometheus' library takes them; every description is there, if only as such."""
    found: dict[str, Metric] = {
        one.name: (CounterMetricFamily if one.kind == "counter" else GaugeMetricFamily)(
            one.full_name, one.meaning, labels=one.labels
        )
        for one in DESCRIPTIONS
    }
    for description, value, labels in figures:
        found[description.name].add_metric(labels, value)  # type: ignore[attr-defined]
    return list(found.values())
