"""Buckets: the bounds and the vendors' names of market capitalisations and P/E ratios."""

import polars as pl
import pytest

from boursomatic_assets.schema.buckets import LOWER_BOUNDS, NUMERIC_COLUMNS, from_names, from_numbers
from boursomatic_assets.vocabulary import MARKET_CAP_BUCKETS, PE_BUCKETS


def bucket_of(cell: float | str | None, bucket: str) -> str | None:
    found: str | None = pl.DataFrame({"cell": [cell]}).select(from_numbers(pl.col("cell"), bucket)).item()
    return found


@pytest.mark.parametrize(
    ("cap", "bucket"),
    [
        (1.0, "small"),
        (1_999_999_999.0, "small"),
        (2e9, "mid"),
        (9_999_999_999.0, "mid"),
        (10e9, "large"),
        (5.2e12, "large"),
        (3_000_000_000, "mid"),
        ("3000000000", "mid"),
        ("850M", "small"),
        (" 2.5b ", "mid"),
        ("1.2T", "large"),
        ("2e9", "mid"),
        (0.0, None),
        (-5e9, None),
        (float("nan"), None),
        (float("inf"), None),
        ("n/a", None),
        ("", None),
        (None, None),
    ],
)
def test_the_bounds_of_market_capitalisations_are_two_and_ten_billion(
    cap: float | str | None, bucket: str | None
) -> None:
    assert bucket_of(cap, "market_cap_bucket") == bucket


@pytest.mark.parametrize(
    ("pe", "bucket"),
    [
        (14.99, "low"),
        (15.0, "medium"),
        (24.99, "medium"),
        (25.0, "high"),
        (1251.8, "high"),
        (-3.0, None),
        (0.0, None),
    ],
)
def test_the_bounds_of_pe_ratios_are_15_and_25(pe: float, bucket: str | None) -> None:
    assert bucket_of(pe, "pe_bucket") == bucket


@pytest.mark.parametrize(
    ("word", "bucket"),
    {
        "Large Cap": "large",
        "MID": "mid",
        "nano-cap": "small",
        "Micro Cap": "small",
        "mega": "large",
        "cap": None,
    }.items(),
)
def test_vendors_names_are_mapped(word: str, bucket: str | None) -> None:
    assert pl.select(from_names(pl.lit(word), "market_cap_bucket")).item() == bucket


def test_a_name_of_a_size_is_no_pe_bucket() -> None:
    assert pl.select(from_names(pl.lit("mega"), "pe_bucket")).item() is None


def test_the_buckets_are_those_of_the_table() -> None:
    assert tuple(LOWER_BOUNDS["market_cap_bucket"]) == MARKET_CAP_BUCKETS
    assert tuple(LOWER_BOUNDS["pe_bucket"]) == PE_BUCKETS
    assert LOWER_BOUNDS.keys() == NUMERIC_COLUMNS.keys()
