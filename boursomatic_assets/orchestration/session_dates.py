"""The definition of partitions by date: each exists from the midnight in UTC with which its date begins.

What belongs here: the definition, and how it is recognised. Kept elsewhere: which dates are closed, and what the
partitions are for (`partitions.py`); how its keys are looked up (`partition_keys.py`).

In Dagster a partition exists once its window is over. Windows of whole days would exist a day late, and an
`end_offset` of 1 counts on over weekends and holidays, to a date that is still to come. So the window of a date is
the hour that ends as the date begins in UTC. One hour east of Greenwich that is the first hour of the same date,
which gives the key. Nothing reads what happens in a window: a partition is known by its key alone.

The daemon and the webserver rebuild the definition from its description, so it is one of Dagster's own class.
"""

import datetime as dt
from collections.abc import Iterable
from typing import TypeGuard

import dagster as dg

WINDOW_STARTS = "0 0,1 * * 1-5"
"""Windows begin at each of these: the first hour of a weekday, and the rest of it until the next one."""

EXCLUDED_WINDOWS = "0 1 * * *"
"""The rest is no partition."""

AN_HOUR_EAST = "Etc/GMT-1"
"""UTC+1 without summer time: POSIX counts westwards."""


def session_dates(start: dt.date, closed: Iterable[dt.date]) -> dg.TimeWindowPartitionsDefinition:
    """A partition for each weekday from start to the current date in UTC, but for the closed ones."""
    return dg.TimeWindowPartitionsDefinition(
        start=start.isoformat(),
        fmt="%Y-%m-%d",
        cron_schedule=WINDOW_STARTS,
        timezone=AN_HOUR_EAST,
        exclusions=[EXCLUDED_WINDOWS, *(dt.datetime.combine(date, dt.time()) for date in closed)],
    )


def is_of_session_dates(definition: dg.PartitionsDefinition) -> TypeGuard[dg.TimeWindowPartitionsDefinition]:
    """Whether a definition, or the one from whose description it was rebuilt, is one of `session_dates`."""
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return False
    return definition == session_dates(definition.start.date(), closed_dates(definition))


def closed_dates(definition: dg.TimeWindowPartitionsDefinition) -> list[dt.date]:
    """The closed dates that a definition of `session_dates` was given."""
    exclusion_times = [one.timestamp for one in definition.exclusions or () if not isinstance(one, str)]
    return [dt.datetime.fromtimestamp(timestamp, definition.start.tzinfo).date() for timestamp in exclusion_times]
