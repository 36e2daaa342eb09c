"""Labels: what a close was followed by, and when that became known.

A session of an instrument is its own bar, so a horizon of 20 sessions is 20 bars of that instrument, whatever
other instruments or the other market did. Which labels may be used for what is decided in `splits`.
"""

import math

import polars as pl

from boursomatic_assets.learning.parameters import Parameters

LABELS = ("SELL", "HOLD", "BUY")
"""The classes of the model, in the order of its probabilities."""

KEY = ("instrument_id", "ts")


def daily_closes(bars: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id, ts and c of the daily bars, sorted by instrument and time."""
    return bars.filter(pl.col("interval") == "daily").select(*KEY, "c").sort(KEY)


def forward_returns(closes: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return what each close was followed by, `horizon` bars of the same instrument later.

    Args:
        closes: instrument_id, ts, c, sorted by instrument and time.
        horizon: Bars to look forward.

    Returns:
        instrument_id, ts, forward_return (a fraction: 0.05 is 5 %) and known_at (the ts of the bar where the
        horizon ends); both are null where that bar does not exist.
    """
    end = pl.col("c").shift(-horizon).over("instrument_id")
    known_at = pl.col("ts").shift(-horizon).over("instrument_id")
    return closes.select(*KEY, forward_return=end / pl.col("c") - 1, known_at=known_at)


def labelled(features: pl.DataFrame, closes: pl.DataFrame, parameters: Parameters) -> pl.DataFrame:
    """Return the feature rows that have a label, sorted by time and instrument.

    BUY is a forward return above label_threshold x vol_20d x sqrt(horizon), SELL one below its negative, HOLD
    the rest. A row without a volatility or without the closing bar of its horizon has no label and is left
    out. Bars after `known_at` change nothing about a row.

    Args:
        features: instrument_id, ts, vol_20d and the features of `parameters`.
        closes: As `daily_closes` returns them.
        parameters: The features, the horizon and the threshold.

    Returns:
        instrument_id, ts, the features, forward_return, known_at and label (an Enum of LABELS).
    """
    edge = parameters.label_threshold * math.sqrt(parameters.horizon) * pl.col("vol_20d")
    outcome = pl.col("forward_return")
    label = pl.when(outcome > edge).then(pl.lit("BUY")).when(outcome < -edge).then(pl.lit("SELL"))
    return (
        features.filter(pl.col("vol_20d").is_not_null())
        .join(forward_returns(closes, parameters.horizon).drop_nulls("known_at"), on=KEY, how="inner")
        .with_columns(label=label.otherwise(pl.lit("HOLD")).cast(pl.Enum(LABELS)))
        .select(*KEY, *parameters.features, "forward_return", "known_at", "label")
        .sort("ts", "instrument_id")
    )
