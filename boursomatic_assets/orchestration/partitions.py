"""Dagster's partitions: date x market, and the look-backs between assets.

What belongs here: the partitions definition, partition mappings, conversion of partition keys to slices.
Kept elsewhere: sessions (`calendars/markets.py`), slices (`calendars/slices.py`), the definition of the dates
(`session_dates.py`).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

import dagster as dg
import numpy as np

from boursomatic_assets import settings
from boursomatic_assets.advice.bands import MEMORY
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.calendars.markets import MARKETS, all_sessions, market_named
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.orchestration.dagster_patches import partition_keys, tags
from boursomatic_assets.orchestration.dagster_patches.lookback import LookBack
from boursomatic_assets.orchestration.session_dates import session_dates

partition_keys.install()

START = settings.start()
"""The first partition's date."""


def _closed_weekdays() -> list[dt.date]:
    """Weekdays since START without a session of either market, until the calendars end: they are no partitions."""
    sessions = all_sessions()
    dates = np.arange(np.datetime64(START), sessions[-1] + 1)
    closed: list[dt.date] = np.setdiff1d(dates[np.is_busday(dates)], sessions).tolist()
    return closed


# A session's partition exists on its own date, so that a schedule can compute it after the close.
SESSION_DATES = session_dates(START, _closed_weekdays())
MARKET_SESSIONS = dg.MultiPartitionsDefinition(
    {"date": SESSION_DATES, "market": dg.StaticPartitionsDefinition(list(MARKETS))}
)

CLOSED_DATES_IN_LOOKBACK = 16
"""Partition dates on which one market is closed, in a look-back: they count in the offset, but are no sessions."""


def _look_back_mapping(date: dg.PartitionMapping, market: dg.PartitionMapping) -> LookBack:
    return LookBack(
        {
            "date": dg.DimensionPartitionMapping("date", date),
            "market": dg.DimensionPartitionMapping("market", market),
        }
    )


def _look_back_in_market(sessions: int) -> LookBack:
    return _look_back_mapping(
        dg.TimeWindowPartitionMapping(
            start_offset=-(sessions + CLOSED_DATES_IN_LOOKBACK), allow_nonexistent_upstream_partitions=True
        ),
        dg.IdentityPartitionMapping(),
    )


SAME_MARKET_LOOKBACK = _look_back_in_market(LOOKBACK)
"""A session and the LOOKBACK sessions before it, of its own market."""

DIRECTION_LOOKBACK = _look_back_in_market(MEMORY - 1)
"""A session and those before it in which a direction of its recommendations may have begun, of its own market."""

HORIZON_LOOKBACK = _look_back_in_market(LONGEST_HORIZON)
"""A session and all earlier ones whose recommendations may be due on it, of its own market."""

PARTITION_DATES = int((all_sessions() >= np.datetime64(START)).sum())
"""Partition dates until the calendars end: no look-back is longer. Dagster without patches iterates over as many
dates as an offset says, whether they exist or not."""

EVERYTHING_BEFORE = _look_back_mapping(
    dg.TimeWindowPartitionMapping(
        start_offset=-PARTITION_DATES, end_offset=-1, allow_nonexistent_upstream_partitions=True
    ),
    dg.AllPartitionMapping(),
)
"""Every earlier session of both markets. The session itself is waited for too (`dagster_patches/lookback.py`), but
not read."""


def partition_key(date: dt.date, market: str) -> str:
    """The partition key of one market's session, e.g. `2024-06-10|US`."""
    return dg.MultiPartitionKey({"date": date.isoformat(), "market": market})


def slices_of_keys(keys: Iterable[str]) -> list[Slice]:
    """The slices of partition keys, market by market, in order of time.

    The keys of a run over a range are unordered, and may be of one market or both.
    """
    dates = defaultdict(list)
    for key in keys:
        date, market = key.split("|")
        dates[market].append(dt.date.fromisoformat(date))
    return [part for market in sorted(dates) for part in slices_of(market_named(market), dates[market])]


def slices_of_run(context: dg.AssetExecutionContext) -> list[Slice]:
    """The slices that a run computes.

    Raises:
        dagster.Failure: A run of a job over a range, which `dagster_patches/storages/run_storage.py` could not
            prevent: Dagster leaves the first partition's tags on it, and would compute that partition for all.
    """
    run_tags = context.run.tags
    if tags.RANGE_START in run_tags and any(tag.startswith(tags.DIMENSION_PREFIX) for tag in run_tags):
        raise dg.Failure(
            "a backfill of single steps of a job names the wrong partitions in this version of Dagster:"
            " choose assets instead, or use `boursomatic backfill`"
        )
    return slices_of_keys(context.partition_keys)


def partition_dates(start: dt.date, end: dt.date) -> list[dt.date]:
    """Partition dates from start to end, both included.

    Raises:
        ValueError: The range is empty, has no session, or lies outside of the partitions; the message says which.
    """
    if start > end:
        raise ValueError(f"the range is empty: {start} is after {end}")
    sessions = all_sessions()
    if ((sessions >= np.datetime64(start)) & (sessions < np.datetime64(START))).any():
        raise ValueError(f"{start} is before the first partition, {START} (BOURSOMATIC_START moves it)")
    if end > (today := dt.datetime.now(dt.UTC).date()):
        raise ValueError(f"{end} is in the future: the last possible date is {today}")
    dates: list[dt.date] = sessions[(sessions >= np.datetime64(start)) & (sessions <= np.datetime64(end))].tolist()
    if not dates:
        raise ValueError(f"no market trades between {start} and {end}")
    return dates
