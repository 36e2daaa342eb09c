"""Which keys a partitions definition of dates has: looked up, where Dagster walks through the calendar.

What belongs here: what Dagster asks about single keys. Kept elsewhere: look-backs (`lookback.py`).

For each key, Dagster iterates over the excluded dates, a millisecond or two; and a page that shows checks asks for
each partition of each check: a minute for ten years. A subclass would not help, since the daemon and the
webserver rebuild definitions from descriptions; so the answers of Dagster's own class are given here, for every
process that calls `install`: those of an instance (`storage.py`), and those that make partitions.
"""

from collections.abc import Set
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt

from boursomatic_assets.orchestration.dagster_patches import guard
from boursomatic_assets.orchestration.session_dates import closed_dates, is_of_session_dates

KEPT = "_boursomatic_keys"
"""Where a definition keeps the minute and its keys at that minute; no schedule is finer than that."""


def dates(definition: dg.PartitionsDefinition, now: datetime | None = None) -> npt.NDArray[np.str_]:
    """The keys of a definition of dates, sorted, as an array."""
    return _dates_at(definition, _minute(now))


def keys(definition: dg.PartitionsDefinition) -> frozenset[str]:
    """The keys of a definition as of now."""
    minute, kept = _minute(None), definition.__dict__.get(KEPT)
    if kept is None or kept[0] != minute:
        kept = definition.__dict__[KEPT] = (minute, frozenset(dates(definition).tolist()))
    known: frozenset[str] = kept[1]
    return known


def _minute(now: datetime | None) -> datetime:
    from dagster._core.definitions.partitions.context import partition_loading_context

    with partition_loading_context(now) as context:
        return context.effective_dt.replace(second=0, microsecond=0)


_walked = dg.TimeWindowPartitionsDefinition.get_partition_keys


@lru_cache(maxsize=16)
def _dates_at(definition: dg.PartitionsDefinition, minute: datetime) -> npt.NDArray[np.str_]:
    if is_of_session_dates(definition):
        return _until(definition, minute)
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return np.array(_walked(definition, minute))
    return np.array(definition.get_partition_keys(minute))


def _until(definition: dg.TimeWindowPartitionsDefinition, now: datetime) -> npt.NDArray[np.str_]:
    """The weekdays of a definition of `session_dates` until today in UTC, but for the closed ones: all at once."""
    instant = now if now.tzinfo else now.replace(tzinfo=definition.start.tzinfo)  # as Dagster takes it
    first, today = np.datetime64(definition.start.date()), np.datetime64(instant.astimezone(UTC).date())
    closed = np.array(closed_dates(definition), dtype="datetime64[D]")
    days = np.arange(first, today + 1)
    keys: npt.NDArray[np.str_] = days[np.is_busday(days, holidays=closed)].astype(str)
    return keys


def _all(
    self: dg.TimeWindowPartitionsDefinition,
    current_time: datetime | None = None,
    dynamic_partitions_store: Any = None,
) -> list[str]:
    found: list[str] = dates(self, current_time).tolist()
    return found


def _has(self: dg.TimeWindowPartitionsDefinition, partition_key: str) -> bool:
    return partition_key in keys(self)


def _valid(self: dg.TimeWindowPartitionsDefinition, partition_keys: set[str]) -> Set[str]:
    return partition_keys & keys(self)


def install() -> None:
    """Let definitions of dates answer so in this process, if the patches are in force."""
    if guard.enabled():
        of_dates: Any = dg.TimeWindowPartitionsDefinition
        of_dates.get_partition_keys, of_dates.has_partition_key = _all, _has
        of_dates.filter_valid_partition_keys = _valid
