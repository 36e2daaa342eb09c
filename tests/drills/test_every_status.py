"""No partition is without a status: whatever fails in whatever is asked for, materialized and failed make all.

A property, through a real instance: a range of sessions of a market in chunks of any size, with failing dates
drawn at random; Dagster's own figures of each partition are looked at, and the rows. BOURSOMATIC_TEST_EXAMPLES
asks for more examples. One failing date in a year: `tests/orchestration/test_io_manager.py`. A backfill that the
daemon carries out: `tests/end_to_end/test_webserver.py`.
"""

import datetime as dt

import dagster as dg
import polars as pl
import pytest
from conftest import EXAMPLES
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from worlds.frames import bars, insert_instruments, query_rows, slice_of
from worlds.platform import execute

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.orchestration.chunks import MAX_FAILURES, ChunkedRows
from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_keys

KEY = dg.AssetKey("price_bars")
DATES = [
    str(date) for date in (dt.date(2024, 5, 1) + dt.timedelta(days) for days in range(60)) if date.weekday() < 5
]
SYMBOLS = {"US": "ACME BOLT", "EURONEXT": "LUXE VINS"}

asked_for = st.tuples(st.integers(0, len(DATES) - 1), st.integers(1, 24), st.sampled_from(("US", "EURONEXT")))
failing = st.sets(st.sampled_from(DATES), max_size=8)
chunk_sizes = st.sampled_from((2, 6, 16, 1_000))


def asset_failing_on(bad: set[str], chunk: int) -> dg.AssetsDefinition:
    """An asset `price_bars` of which some dates cannot be had."""

    def compute(part: Slice) -> pl.DataFrame:
        if found := bad & {str(date) for date in part.dates}:
            raise ValueError(f"no bars can be had of {min(found)}")
        sessions = [str(date) for date in part.sessions]
        made = bars(SYMBOLS[part.market.name], *(sessions or DATES[:1]))
        return made if sessions else made.clear()  # the market is closed

    @dg.asset(name="price_bars", partitions_def=MARKET_SESSIONS, backfill_policy=dg.BackfillPolicy.single_run())
    def price_bars(context: dg.AssetExecutionContext) -> ChunkedRows:
        return ChunkedRows(slices_of_keys(context.partition_keys), compute, bars=chunk)

    return price_bars


def every_partition_has_a_status(
    engine: Engine, instance: dg.DagsterInstance, asked: tuple[int, int, str], bad: set[str], chunk: int
) -> None:
    """Ask for a range, and compare what became of each of its partitions with what was to fail."""
    first, length, market = asked
    dates = DATES[first : first + length]
    execute(engine, "TRUNCATE price_bars, computed_sessions CASCADE")
    instance.wipe_assets([KEY])
    tags = {
        "dagster/asset_partition_range_start": f"{dates[0]}|{market}",
        "dagster/asset_partition_range_end": f"{dates[-1]}|{market}",
    }
    dg.materialize(
        [asset_failing_on(bad, chunk)],
        resources={"io_manager": PostgresIOManager()},
        instance=instance,
        tags=tags,
        raise_on_error=False,
    )
    known = {key for key in MARKET_SESSIONS.get_partition_keys() if key.endswith(f"|{market}")}
    keys = [f"{date}|{market}" for date in dates if f"{date}|{market}" in known]
    found = instance.get_status_by_partition(KEY, keys, MARKET_SESSIONS) or {}
    by_status = {status: {key for key in keys if found.get(key) == status} for status in AssetPartitionStatus}
    made, failed = by_status[AssetPartitionStatus.MATERIALIZED], by_status[AssetPartitionStatus.FAILED]
    wanted = {key for key in keys if key[:10] in bad}
    assert made | failed == set(keys), found
    assert not made & failed
    assert wanted <= failed
    assert failed == wanted or len(wanted) >= MAX_FAILURES
    stored = query_rows(engine, "SELECT DISTINCT ts::date::text FROM price_bars ORDER BY 1")
    sessions = {str(session) for key in made for session in slice_of(market, key[:10]).sessions}
    assert {date for (date,) in stored} == sessions


@pytest.mark.parametrize(
    ("asked", "bad", "chunk"),
    [((0, 10, "US"), {"2024-05-03", "2024-05-09"}, 6), ((5, 12, "EURONEXT"), {"2024-05-08"}, 1_000)],
)
def test_two_backfills_with_failures(
    migrated: Engine, dagster_instance: dg.DagsterInstance, asked: tuple[int, int, str], bad: set[str], chunk: int
) -> None:
    insert_instruments(migrated)
    every_partition_has_a_status(migrated, dagster_instance, asked, bad, chunk)


@pytest.mark.drill
@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=[*HealthCheck], database=None)
@given(asked=asked_for, bad=failing, chunk=chunk_sizes)
def test_any_backfill_with_any_failures(
    migrated: Engine, dagster_instance: dg.DagsterInstance, asked: tuple[int, int, str], bad: set[str], chunk: int
) -> None:
    insert_instruments(migrated)
    every_partition_has_a_status(migrated, dagster_instance, asked, bad, chunk)
