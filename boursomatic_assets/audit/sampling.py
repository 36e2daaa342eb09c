"""Sampling: which recommendations are replayed.

What belongs here: the choice, one recommendation, a partition, or a random sample, grouped by session.
Kept elsewhere: replaying them (`replay.py`).

A session costs the same whether one or all of its rows are replayed, since a row depends on all of them. A sample
is therefore drawn in two stages: sessions, and then as many rows of each.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl

from boursomatic_assets.audit.replay import Replayer
from boursomatic_assets.audit.stored import PublishedSession, row_counts

MOST_SESSIONS = 300
"""Sessions that a sample is spread over, unless it needs more to be as large as it is to be."""


def replay_sample(replayer: Replayer, size: int, seed: int) -> Iterator[pl.DataFrame]:
    """Replay random rows of all history, superseded ones included; yields the results of each session.

    The same seed draws the same rows of the same table. All rows, if there are no more.
    """
    generator = np.random.default_rng(seed)
    drawn = draw_sessions(row_counts(), size, generator)
    for session, rows in sorted(drawn.items(), key=lambda one: one[0].as_of):  # neighbours share their boosters
        yield replayer.replay(session, partial(_draw_rows, size=rows, generator=generator))


def _draw_rows(rows: pl.DataFrame, size: int, generator: np.random.Generator) -> pl.DataFrame:
    return rows[np.sort(generator.choice(rows.height, min(size, rows.height), replace=False))]


def draw_sessions(
    counts: dict[PublishedSession, int], size: int, generator: np.random.Generator
) -> dict[PublishedSession, int]:
    """How many rows to draw of each session; sessions are drawn at random, and have an equal share each."""
    listed = list(counts)
    sessions = [listed[place] for place in generator.permutation(len(listed))]
    share = -(-size // min(size, MOST_SESSIONS, max(len(sessions), 1)))
    while sum(min(share, rows) for rows in counts.values()) < min(size, sum(counts.values())):
        share *= 2
    drawn: dict[PublishedSession, int] = {}
    for session in sessions:
        if (missing := size - sum(drawn.values())) <= 0:
            break
        drawn[session] = min(share, counts[session], missing)
    return drawn
