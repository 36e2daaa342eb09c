"""The UI's ranges of partitions are those that Dagster draws."""

import datetime as dt
import random
from collections.abc import Iterator
from enum import Enum
from typing import Any

import dagster as dg
import dagster_graphql.schema  # noqa: F401 - before its parts, which import each other
import pytest
from dagster_graphql.implementation import fetch_asset_checks, fetch_assets, partition_status_utils

from boursomatic_assets.orchestration.dagster_patches.partition_ranges import REPLACED, install, ranges
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, partition_dates, partition_key

MAY = dt.date(2024, 4, 25), dt.date(2024, 6, 6)
THEIRS = partition_status_utils.build_multi_partition_ranges_generic


class Status(Enum):
    """What a partition is."""

    DONE = "done"
    FAILED = "failed"


BY_REGION = dg.MultiPartitionsDefinition(
    {"a_region": dg.StaticPartitionsDefinition(["x", "y"]), "z_date": dg.DailyPartitionsDefinition("2024-06-01")}
)


def as_text(subsets: Any) -> str:
    return str({status: sorted(subset.get_partition_keys()) for status, subset in subsets.items()})


def drawn(function: Any, definition: dg.MultiPartitionsDefinition, done: set[str], failed: set[str] | None) -> Any:
    subsets = {
        Status.DONE: definition.subset_with_partition_keys(done),
        Status.FAILED: definition.subset_with_partition_keys(failed) if failed else None,
    }
    return function(subsets, definition, None, as_text)


@pytest.mark.parametrize("seed", range(5))
def test_runs_of_dates_are_those_of_dagster(seed: int) -> None:
    chance = random.Random(seed)
    dates = partition_dates(*MAY)
    keys = [str(partition_key(date, market)) for date in dates for market in ("US", "EURONEXT")]
    done = {key for key in keys if chance.random() < 0.8}
    failed = {key for key in keys if chance.random() < 0.1}
    found = drawn(ranges, MARKET_SESSIONS, done, failed)
    assert len(found) > 3
    assert found == drawn(THEIRS, MARKET_SESSIONS, done, failed)


def test_the_date_may_be_the_second_dimension() -> None:
    done = {"x|2024-06-03", "y|2024-06-03", "x|2024-06-04", "y|2024-06-05"}
    found = drawn(ranges, BY_REGION, done, None)
    assert [one.primary_dim_start_key for one in found] == ["2024-06-03", "2024-06-04", "2024-06-05"]
    assert found == drawn(THEIRS, BY_REGION, done, None)


def test_nothing_is_no_range() -> None:
    assert list(drawn(ranges, MARKET_SESSIONS, set(), None)) == []


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    for module in (fetch_assets, fetch_asset_checks):
        setattr(module, REPLACED, THEIRS)


@pytest.mark.usefixtures("restored")
def test_a_process_that_serves_the_ui_draws_them_so() -> None:
    install()
    assert fetch_assets.build_multi_partition_ranges_generic is ranges
    assert fetch_asset_checks.build_multi_partition_ranges_generic is ranges
