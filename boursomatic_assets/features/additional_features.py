"""The column `additional_features`: what is in it, and how it is written and read.

What belongs here: ranks within a session, the order of the keys, numbers as short JSON text, and back.
Kept elsewhere: the formulas (`additional_indicators.py`), the market's context (`market_context.py`), what a model
learns from them (`learning/`).

A model sees MODEL_FEATURES only, ranks and context: ranks mean the same in calm and in volatile years.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from boursomatic_assets.features.additional_indicators import ADDITIONAL_INDICATORS
from boursomatic_assets.features.market_context import CONTEXT

RAW_FEATURES = tuple(feature.__name__ for feature in ADDITIONAL_INDICATORS)
"""The features without a column, as numbers."""

RANKED_FEATURES = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "vol_20d", "volume_zscore", *RAW_FEATURES)
"""The features that are ranked: of the eight columns those that are not in price units."""

RANK_NAMES = tuple(f"{name}_rank" for name in RANKED_FEATURES)
MODEL_FEATURES = (*RANK_NAMES, *CONTEXT)
"""What a model may see, in the order in which it sees it."""

ADDITIONAL_FEATURES = (*RAW_FEATURES, *RANK_NAMES, *CONTEXT)
"""The keys of the JSON, in order."""

SIGNIFICANT_DIGITS = 6
"""Significant digits of a raw number or of context; ranks have four decimals."""


def pack(rows: pl.DataFrame, context: pl.DataFrame) -> pl.Series:
    """The JSON text of each row: all of ADDITIONAL_FEATURES, in order, null where undefined.

    Args:
        rows: all rows of a market in their sessions: ts and RANKED_FEATURES, null where undefined.
        context: the market's context, as `market_context.compute_context` gives it.
    """
    rows = rows.with_columns(pl.col(RAW_FEATURES).round_sig_figs(SIGNIFICANT_DIGITS)).with_columns(
        rank_within_sessions()
    )
    context = context.with_columns(pl.selectors.float().round_sig_figs(SIGNIFICANT_DIGITS))
    rows = rows.join(context, on="ts", how="left", maintain_order="left")
    return rows.select(pl.struct(ADDITIONAL_FEATURES).struct.json_encode()).to_series()


def rank_within_sessions() -> list[pl.Expr]:
    """RANK_NAMES: each of RANKED_FEATURES as (rank - 0.5) / count in its session, in (0, 1); nulls do not count.

    Equal numbers share their mean rank, so the mean of a session's ranks is 0.5.
    """
    return [
        ((pl.col(name).rank("average") - 0.5) / pl.col(name).count()).over("ts").round(4).alias(rank)
        for name, rank in zip(RANKED_FEATURES, RANK_NAMES, strict=True)
    ]


def unpack(rows: pl.DataFrame, names: Sequence[str] = ADDITIONAL_FEATURES) -> pl.DataFrame:
    """The rows with `additional_features` replaced by columns (Float64), exactly the numbers that were written.

    Args:
        rows: as `compute.compute_features` or the table gives them.
        names: the columns to return; null where a row does not have one.

    Raises:
        ValueError: a text is no JSON object of numbers in one line.
    """
    json_texts = rows["additional_features"].fill_null("{}")
    schema = dict.fromkeys(names, pl.Float64())
    rows = rows.drop("additional_features")
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, kind).alias(name) for name, kind in schema.items())
    try:
        # The texts as lines of one file: five times as fast as `str.json_decode`.
        numbers = pl.read_ndjson("\n".join(json_texts.to_list()).encode(), schema=schema)
    except pl.exceptions.PolarsError as error:
        raise ValueError(_unreadable_message(str(error))) from error
    if numbers.height != rows.height:
        raise ValueError(_unreadable_message(f"{rows.height} rows have {numbers.height} lines of text"))
    return rows.hstack(numbers)


def _unreadable_message(reason: str) -> str:
    return f"additional_features cannot be read ({reason}): compute the features of these sessions again"
