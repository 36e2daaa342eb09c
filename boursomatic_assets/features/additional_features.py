"""The column `additional_features`: what is in it, and how it is written and read.

What belongs here: ranks within a session, the order of the keys, numbers as short JSON text, and back.
Kept elsewhere: the formulas (`more_indicators.py`), the market's context (`market_context.py`).

A model sees ranks and context only, MODEL_FEATURES: ranks mean the same in calm years and wild ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from boursomatic_assets.features.market_context import CONTEXT
from boursomatic_assets.features.more_indicators import MORE_FEATURES

RAW = tuple(feature.__name__ for feature in MORE_FEATURES)
"""The features without a column, as numbers."""

RANKED = ("ret_1d", "ret_5d", "ret_20d", "rsi_14", "vol_20d", "volume_zscore", *RAW)
"""What is ranked: of the eight columns those that are not in price units."""

RANKS = tuple(f"{name}_rank" for name in RANKED)
MODEL_FEATURES = (*RANKS, *CONTEXT)
"""What a model may see, in the order in which it sees it."""

NAMES = (*RAW, *RANKS, *CONTEXT)
"""The keys of the JSON, in order."""

DIGITS = 6
"""Significant digits of a raw number or of context; ranks have four decimals."""


def pack(rows: pl.DataFrame, shared: pl.DataFrame) -> pl.Series:
    """The JSON text of each row: all of NAMES, in order, null where undefined.

    Args:
        rows: all rows of a market in their sessions: ts and RANKED, null where undefined.
        shared: the market's context, as `market_context.context` gives it.
    """
    rows = rows.with_columns(pl.col(RAW).round_sig_figs(DIGITS)).with_columns(ranks())
    shared = shared.with_columns(pl.selectors.float().round_sig_figs(DIGITS))
    rows = rows.join(shared, on="ts", how="left", maintain_order="left")
    return rows.select(pl.struct(NAMES).struct.json_encode()).to_series()


def ranks() -> list[pl.Expr]:
    """Each of RANKED as (rank - 0.5) / count among the rows of its session that have one: RANKS, in (0, 1).

    Equal numbers share their mean rank, so the mean of a session's ranks is 0.5.
    """
    return [
        ((pl.col(name).rank("average") - 0.5) / pl.col(name).count()).over("ts").round(4).alias(rank)
        for name, rank in zip(RANKED, RANKS, strict=True)
    ]


def unpack(rows: pl.DataFrame, names: Sequence[str] = NAMES) -> pl.DataFrame:
    """The rows with `additional_features` replaced by columns (Float64), exactly the numbers that were written.

    Args:
        rows: as `indicators.features` or the table gives them.
        names: the columns that are wanted; what a row does not have is null.

    Raises:
        ValueError: a text is no JSON object of numbers in one line.
    """
    text = rows["additional_features"].fill_null("{}")
    schema = dict.fromkeys(names, pl.Float64())
    rows = rows.drop("additional_features")
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, kind).alias(name) for name, kind in schema.items())
    try:
        # The texts as lines of one file: five times as fast as `str.json_decode`.
        numbers = pl.read_ndjson("\n".join(text.to_list()).encode(), schema=schema)
    except pl.exceptions.PolarsError as error:
        raise ValueError(_unreadable(str(error))) from error
    if numbers.height != rows.height:
        raise ValueError(_unreadable(f"{rows.height} rows have {numbers.height} lines of text"))
    return rows.hstack(numbers)


def _unreadable(why: str) -> str:
    return f"additional_features cannot be read ({why}): compute the features of these sessions anew"
