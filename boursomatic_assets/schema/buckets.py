"""Buckets of market capitalisation and of the P/E ratio: what `market_cap_bucket` and `pe_bucket` mean.

What belongs here: the bounds, and vendors' names of the same buckets.
Kept elsewhere: the files that state them (`sources/files/descriptions.py`).

A market capitalisation below 2 billion of the market's currency is small, below 10 billion mid, and from 10
billion large: the usual bounds of American vendors, among them Nasdaq's screener. Its finer names fall within
them: nano and micro are small, mega is large. A P/E ratio below 15 is low, below 25 medium, and from 25 high.
Without a positive number there is no bucket: a loss has no P/E.
"""

import polars as pl

LOWER_BOUNDS = {
    "market_cap_bucket": {"small": 0.0, "mid": 2e9, "large": 10e9},
    "pe_bucket": {"low": 0.0, "medium": 15.0, "high": 25.0},
}
"""The buckets of each column, each with its lower bound."""

NUMERIC_COLUMNS = {"market_cap_bucket": "market_cap", "pe_bucket": "pe"}
"""The column of numbers that each bucket is derived from."""

_FINER_BUCKETS = {"nano": "small", "micro": "small", "mega": "large"}
_POWERS_OF_TEN = {"K": "e3", "M": "e6", "B": "e9", "T": "e12"}


def from_numbers(cells: pl.Expr, bucket: str) -> pl.Expr:
    """The bucket of each cell, a number or a text like 1.2B; null where it is no positive number."""
    text = cells.cast(pl.String).str.strip_chars().str.to_uppercase()
    number = text.str.replace_many(_POWERS_OF_TEN).cast(pl.Float64, strict=False)
    bucket_name = pl.lit(None, pl.String)
    for name, lower_bound in LOWER_BOUNDS[bucket].items():
        bucket_name = (
            pl.when(number.is_finite() & (number > 0) & (number >= lower_bound))
            .then(pl.lit(name))
            .otherwise(bucket_name)
        )
    return bucket_name


def from_names(cells: pl.Expr, bucket: str) -> pl.Expr:
    """The bucket that each cell names, in any case, with or without "cap" after it; null where it names none."""
    buckets = {word: word for word in LOWER_BOUNDS[bucket]} | (
        _FINER_BUCKETS if bucket == "market_cap_bucket" else {}
    )
    names = cells.cast(pl.String).str.to_lowercase().str.replace(r"[ _-]?cap$", "").str.strip_chars()
    return names.replace_strict(buckets, default=None, return_dtype=pl.String)
