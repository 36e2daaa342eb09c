"""Places: which queue a run belongs into, and how many runs workers can execute at once.

What belongs here: the queue of a run, and limits of runs that follow from the workers that answer. Celery is not
imported here. Kept elsewhere: the queues (`broker/app.py`), who asks for limits (`coordinator.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from dagster._core.storage.dagster_run import DagsterRun

from boursomatic_assets import broker
from boursomatic_assets.broker.looking import Worker
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.settings import workers

OF_A_BACKFILL: Final = "-1"

KINDS_THAT_WAIT: Final = 3
"""Bars, features and advice of one backfill wait for one another: a kind may have so much of all places."""


def tags_of(run: DagsterRun) -> dict[str, str]:
    """What is stored with a run about where it waits, unless it states that itself."""
    found = {tags.PRIORITY: OF_A_BACKFILL} if tags.BACKFILL in run.tags else {}
    return found | ({tags.QUEUE: queue_of(run)} if workers.broker() else {})


def queue_of(run: DagsterRun) -> str:
    """The market of a run's partitions; another queue if they are of both, or it has none."""
    markets = {key.rpartition("|")[2] for key in _keys(run)}
    return markets.pop() if len(markets) == 1 and markets <= {*broker.EVERY_QUEUE} else broker.OTHER


def _keys(run: DagsterRun) -> Iterator[str]:
    return (run.tags[tag] for tag in (tags.PARTITION, tags.RANGE_START, tags.RANGE_END) if tag in run.tags)


def limits(
    answering: Sequence[Worker], configured: Sequence[Mapping[str, Any]]
) -> tuple[int, list[dict[str, Any]]]:
    """How many runs may be handed over: so many as workers have places for, in all and of each queue.

    A run that nobody has a place for waits in Dagster's own queue, where a broker that dies cannot lose it.
    """
    places = sum(len(worker.pids) for worker in answering)
    of_queues = [
        {"key": tags.QUEUE, "value": name, "limit": sum(worker.serves(name) for worker in answering)}
        for name in broker.EVERY_QUEUE
    ]
    of_kinds = {"limit": max(1, places // KINDS_THAT_WAIT)}
    of_tags = [{**one, **of_kinds} if one["key"] == tags.COMPUTES else {**one} for one in configured]
    return places, of_tags + of_queues
