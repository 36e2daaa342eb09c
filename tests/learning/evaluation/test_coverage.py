"""Nine of ten published intervals hold the truth, on records whose scores and labels depend on those before."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from scipy.signal import lfilter

from boursomatic_assets.arrays import SESSIONS_PER_YEAR, Floats
from boursomatic_assets.learning.evaluation.metrics import (
    BASELINES,
    PROBABILITY_COLUMNS,
    SessionMetrics,
    confidence_intervals,
)
from boursomatic_assets.learning.labels import CLASSES

HORIZON, STRIDE = 20, 5
NAMES = pl.Series([f"i{number:02d}" for number in range(12)])
INSTRUMENTS = len(NAMES)

HISTORIES = {12: 1000, 24: 1000, 100: 500, 400: 250}
"""How many histories of so many sampled sessions: their share has a standard error of 0.9 to 1.9 points."""


def persistent(shape: tuple[int, int, int], persistence: float, random: np.random.Generator) -> Floats:
    """Scores (histories x days x instruments) that keep this share of themselves from one day to the next."""
    before = persistence * random.standard_normal((shape[0], 1, shape[2]))
    news = random.standard_normal(shape) * np.sqrt(1 - persistence**2)
    return lfilter([1.0], [1.0, -persistence], news, axis=1, zi=before)[0]


def table(ts: Floats, **columns: Floats) -> pl.DataFrame:
    """Rows of every instrument at each time."""
    names, times = NAMES.gather(np.tile(np.arange(INSTRUMENTS), ts.size)), np.repeat(ts.ravel(), INSTRUMENTS)
    rows = {name: np.repeat(x, INSTRUMENTS) if x.size == ts.size else x.ravel() for name, x in columns.items()}
    return pl.DataFrame({"instrument_id": names, "ts": times, **rows})


def simulated(sampled: int, persistence: float, skill: float) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Sessions and portfolio days of histories of independent returns, but for what the day before's score says.

    They are reduced together, one after the other in time, and cut apart again.
    """
    random, count = np.random.default_rng(sampled), HISTORIES[sampled]
    days = STRIDE * (sampled - 1) + HORIZON + 1
    scores = persistent((count, days, INSTRUMENTS), persistence, random)
    changes = random.standard_normal(scores.shape)
    changes[:, 1:] += skill * scores[:, :-1]
    close = 50 * np.cumprod(1 + 0.01 * changes, axis=1)
    ts = np.datetime64("1700-01-01", "us") + np.arange(count * days).reshape(count, days) * np.timedelta64(1, "D")
    start = np.arange(sampled) * STRIDE
    outcome = close[:, start + HORIZON] / close[:, start] - 1
    record = table(ts[:, start], known_at=ts[:, start + HORIZON], forward_return=outcome, score=scores[:, start])
    empty = {name: pl.lit(None, pl.Float64) for name in (*BASELINES, *PROBABILITY_COLUMNS)}
    record = record.with_columns(market=pl.lit("US"), label=pl.lit(None, pl.Enum(CLASSES)), **empty)
    whole = SessionMetrics.from_record(record, table(ts, c=close), HORIZON, STRIDE)
    for k in range(count):
        yield whole.sessions[k * sampled :][:sampled], whole.days[k * days :][: days - HORIZON]


def truths(histories: list[tuple[pl.DataFrame, pl.DataFrame]]) -> dict[str, float]:
    """The figures over all histories together."""
    sessions, days = (pl.concat(frames) for frames in zip(*histories, strict=True))
    earned = days["earned_score"].to_numpy()
    return {
        "rank_ic": sessions["rank_ic_score"].mean(),
        "decile_spread_net": sessions["net_spread_score"].mean(),
        "sharpe": earned.mean() / earned.std() * np.sqrt(SESSIONS_PER_YEAR),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampled", "persistence", "skill"),
    [(12, 0.98, 0.05), (12, 0.995, 0.0), (24, 0.98, 0.05), (24, 0.995, 0.0), (100, 0.98, 0.05), (400, 0.995, 0.0)],
)
def test_nine_of_ten_intervals_hold_the_truth(sampled: int, persistence: float, skill: float) -> None:
    histories = list(simulated(sampled, persistence, skill))
    found = [confidence_intervals(*history, overlap=HORIZON // STRIDE) for history in histories]
    for name, truth in truths(histories).items():
        holding = np.mean([low <= truth <= high for low, high in (intervals[name] for intervals in found)])
        assert 0.85 <= holding <= 0.95, f"{name} over {sampled} sessions"
