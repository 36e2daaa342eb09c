"""The partitions definition by date: a partition exists from midnight UTC of its date on.

What belongs here: the definition, and how it is recognized.
Kept elsewhere: which dates are closed, and the partitions of both markets (`partitions.py`); fast look-up of its
keys (`dagster_patches/partition_keys.py`).

In Dagster a partition exists once its time window has ended. Windows of whole days would exist a day late, and an
`end_offset` of 1 continues over weekends and holidays, to a date in the future. Therefore the window of a date is
the hour that ends as the date begins in UTC. In UTC+1 that is the first hour of the same date, which gives the
key. Nothing uses the windows themselves: a partition is known by its key alone.

The daemon and the webserver rebuild the definition from its serialized form, so it has a class of Dagster.
"""

import datetime as dt
from collections.abc import Iterable
from typing import TypeGuard

import dagster as dg

WINDOW_STARTS = "0 0,1 * * 1-5"
"""Cron schedule of window starts: the first hour of a weekday, and the rest of the time until the next weekday."""

EXCLUDED_WINDOWS = "0 1 * * *"
"""Cron schedule of the windows that are no partitions: those after the first hour."""

AN_HOUR_EAST = "Etc/GMT-1"
"""UTC+1 without daylight saving time: POSIX counts westwards."""


def session_dates(start: dt.date, closed: Iterable[dt.date]) -> dg.TimeWindowPartitionsDefinition:
    """A partition for each weekday from start to the current date in UTC, without the closed dates."""
    return dg.TimeWindowPartitionsDefinition(
        start=start.isoformat(),
        fmt="%Y-%m-%d",
        cron_schedule=WINDOW_STARTS,
        timezone=AN_HOUR_EAST,
        exclusions=[EXCLUDED_WINDOWS, *(dt.datetime.combine(date, dt.time()) for date in closed)],
    )


def is_of_session_dates(definition: dg.PartitionsDefinition) -> TypeGuard[dg.TimeWindowPartitionsDefinition]:
    """Whether `session_dates` made a definition, or the one that it was deserialized from."""
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return False
    return definition == session_dates(definition.start.date(), closed_dates(definition))


def closed_dates(definition: dg.TimeWindowPartitionsDefinition) -> list[dt.date]:
    """The closed dates of a definition that `session_dates` made."""
    exclusion_times = [
        excluded.timestamp for excluded in definition.exclusions or () if not isinstance(excluded, str)
    ]
    return [dt.datetime.fromtimestamp(timestamp, definition.start.tzinfo).date() for timestamp in exclusion_times]
