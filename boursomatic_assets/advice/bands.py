"""Bands: where the score of an instrument lies within its session, and where it has been.

What belongs here: the direction of an instrument: entered at an end of its session's scores, and not left since.
Kept elsewhere: ranks of scores (`learning/prediction.py`), the other conditions of a profile (`profiles.py`).

Entering is harder than staying, so that a score that moves about an edge does not make a recommendation each day.
"""

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Times
from boursomatic_assets.learning.calibration.zones import ENTRY

STAY = 0.3
"""The share of a session's scores, from either end, in which a direction that was entered goes on."""

MEMORY = 20
"""Sessions of a market for which an entry counts, its own included: a direction is then to be entered again."""


def find_directions(ranked: pl.DataFrame, sessions: Times) -> pl.Series:
    """Return the direction of each row: BUY, SELL or null.

    A row is BUY if its rank is in the highest STAY of its session, and was in the highest ENTRY in one of the last
    MEMORY sessions, its own included, and not below the highest STAY since. SELL is the mirror image. A session in
    which an instrument has no score changes nothing.

    Args:
        ranked: instrument_id, ts and score_rank (0 to 1), of one market, with the MEMORY - 1 sessions before.
        sessions: The sessions of the market, sorted.
    """
    ordinal = np.searchsorted(sessions, ranked["ts"].to_numpy().astype("datetime64[D]"))
    rank = pl.col("score_rank")
    rows = ranked.select("instrument_id", "ts", "score_rank", ordinal=pl.Series(ordinal.astype(np.int64)))

    def since(condition: pl.Expr) -> pl.Expr:
        """Return the ordinal of the last session in which a condition held, -1 before the first."""
        last = pl.when(condition).then("ordinal").forward_fill().over("instrument_id", order_by="ts")
        return last.fill_null(-1)

    def holds(entry: pl.Expr, stay: pl.Expr) -> pl.Expr:
        entered = since(entry)
        return (entered > since(stay.not_())) & (pl.col("ordinal") - entered < MEMORY)

    buys = holds(rank >= 1 - ENTRY, rank >= 1 - STAY)
    sells = holds(rank < ENTRY, rank < STAY)
    direction = pl.when(buys).then(pl.lit("BUY")).when(sells).then(pl.lit("SELL"))
    return rows.select(direction=direction)["direction"]
