"""The histories of `bench/noise.py`: nothing is to be found where it says so, and something where it says so."""

import numpy as np
import polars as pl
import pytest
from helpers.noise_histories import FIRST, KINDS, LAST, shuffle_sessions
from helpers.prepared import kept_bars

from boursomatic_assets.arrays import KEY
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.sources.simulated.source import Simulated

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "expected"), [("shuffled sessions", 0), ("shifted labels", 0), ("planted rank IC of 0.1", 0.1)]
)
def test_the_rank_ic_is_what_the_kind_says(kind: str, expected: float) -> None:
    """Of -rsi_14 and the return of the next 20 sessions; with the usual signal, of which two are made, 0.15."""
    made = KINDS[kind](1)
    history = History.from_frames(made.features, made.followed, Parameters())
    rows = history.rows.hstack(history.labels[20]).drop_nulls(["forward_return", "rsi_14"])
    by_session = rows.group_by("ts", "market").agg(-pl.corr("rsi_14", "forward_return", method="spearman"))
    assert by_session["rsi_14"].mean() == pytest.approx(expected, abs=0.04)


def test_a_shuffled_history_has_the_moves_of_its_bars() -> None:
    """In another order, each as it was or mirrored; the high stays the highest price, and the low the lowest."""

    def moves(bars: pl.DataFrame) -> pl.Series:
        before = pl.col("c").shift().over("instrument_id", order_by="ts")
        return bars.select((pl.col("c") / before).log().abs()).drop_nulls().to_series()

    bars = kept_bars(Simulated(4, 1), FIRST, LAST)
    made = pl.concat(shuffle_sessions(rows, np.random.default_rng(1)) for rows in bars.partition_by("market"))
    assert made.select(KEY).is_unique().all()
    lowest, highest = pl.min_horizontal("o", "c"), pl.max_horizontal("o", "c")
    assert made.select((pl.col("l") < lowest + 1e-9) & (pl.col("h") > highest - 1e-9)).to_series().all()
    assert made["c"].to_list() != bars["c"].to_list()
    assert moves(made).sum() == pytest.approx(moves(bars).sum(), rel=0.01)
